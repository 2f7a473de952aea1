-- +goose Up
ALTER TABLE jobs
    ADD COLUMN waited_for      text NOT NULL DEFAULT '', -- the last reason for which it was put back since it began or failed
    ADD COLUMN last_error_acme jsonb; -- the CA's problem document, where the last error is the CA's
-- Certificates whose key others may have; what is asked for again before the CA is told counts.
CREATE INDEX certificates_compromised ON certificates (org_id) WHERE coalesce(nullif(revocation_reason, ''), revocation_requested) = 'keyCompromise';

-- +goose Down
DROP INDEX certificates_compromised;
ALTER TABLE jobs DROP COLUMN last_error_acme, DROP COLUMN waited_for;
