-- +goose Up
ALTER TABLE jobs
    ADD COLUMN waited_for      text NOT NULL DEFAULT '', -- the last reason for which it was deferred since it started or failed
    ADD COLUMN last_error_acme jsonb; -- the CA's problem document, if the CA caused the last error
-- Certificates whose key is compromised. The last request before the revocation at the CA counts.
CREATE INDEX certificates_compromised ON certificates (org_id) WHERE coalesce(nullif(revocation_reason, ''), revocation_requested) = 'keyCompromise';

-- +goose Down
DROP INDEX certificates_compromised;
ALTER TABLE jobs DROP COLUMN last_error_acme, DROP COLUMN waited_for;
