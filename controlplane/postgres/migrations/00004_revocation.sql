-- +goose Up
ALTER TABLE jobs DROP CONSTRAINT jobs_type_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_type_check CHECK (type IN ('dns_check', 'start_issuance', 'renewal', 'revocation'));
ALTER TABLE jobs ADD COLUMN certificate_id text NOT NULL DEFAULT ''; -- of a revocation
ALTER TABLE certificates ADD COLUMN revocation_requested text NOT NULL DEFAULT ''; -- the requested reason

-- +goose Down
ALTER TABLE certificates DROP COLUMN revocation_requested;
ALTER TABLE jobs DROP COLUMN certificate_id;
DELETE FROM jobs WHERE type = 'revocation';
ALTER TABLE jobs DROP CONSTRAINT jobs_type_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_type_check CHECK (type IN ('dns_check', 'start_issuance', 'renewal'));
