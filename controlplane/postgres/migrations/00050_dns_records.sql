-- +goose NO TRANSACTION
-- +goose Up
-- The records that are created, or are to be, at DNS hosts through connections. A row is stored
-- before the first write to the host.
CREATE TABLE IF NOT EXISTS dns_records (
    org_id        text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name          text NOT NULL, -- of the record
    delegation_id text NOT NULL, -- of a delegation that can have ended
    connection_id text NOT NULL REFERENCES dns_connections (id) ON DELETE CASCADE,
    job_id        text NOT NULL, -- of the last request
    zone          text NOT NULL,
    value         text NOT NULL, -- the target
    host_id       text NOT NULL DEFAULT '', -- that the host gave the record
    state         text NOT NULL CHECK (state IN ('pending', 'created', 'present', 'failed', 'removing')),
    attempted     boolean NOT NULL DEFAULT false, -- while pending: a write may have reached the host
    replaces      jsonb NOT NULL DEFAULT '[]', -- the records that may be replaced, and then were
    reason        text NOT NULL DEFAULT '', -- why it failed
    detail        text NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    PRIMARY KEY (org_id, name)
);
CREATE INDEX IF NOT EXISTS dns_records_connection ON dns_records (connection_id, state, name);

-- A job can be about a connection.
ALTER TABLE jobs ADD COLUMN IF NOT EXISTS connection_id text REFERENCES dns_connections (id) ON DELETE CASCADE;
DROP INDEX CONCURRENTLY IF EXISTS jobs_connection;
CREATE INDEX CONCURRENTLY jobs_connection ON jobs (connection_id) WHERE connection_id IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS jobs_connection_open;
CREATE UNIQUE INDEX CONCURRENTLY jobs_connection_open ON jobs (connection_id) WHERE connection_id IS NOT NULL AND status IN ('queued', 'running');
ALTER TABLE jobs DROP CONSTRAINT IF EXISTS jobs_type_check, DROP CONSTRAINT IF EXISTS jobs_about,
    ADD CONSTRAINT jobs_type_check CHECK (type IN ('dns_check', 'start_issuance', 'renewal', 'revocation', 'webhook_delivery', 'delegation_check', 'dns_apply')) NOT VALID,
    ADD CONSTRAINT jobs_about CHECK (num_nonnulls(domain_id, delivery_id, delegation_id, connection_id) = 1) NOT VALID;
ALTER TABLE jobs VALIDATE CONSTRAINT jobs_type_check;
ALTER TABLE jobs VALIDATE CONSTRAINT jobs_about;

-- +goose Down
DELETE FROM jobs WHERE connection_id IS NOT NULL;
ALTER TABLE jobs DROP CONSTRAINT jobs_about, DROP CONSTRAINT jobs_type_check,
    ADD CONSTRAINT jobs_type_check CHECK (type IN ('dns_check', 'start_issuance', 'renewal', 'revocation', 'webhook_delivery', 'delegation_check')),
    ADD CONSTRAINT jobs_about CHECK (num_nonnulls(domain_id, delivery_id, delegation_id) = 1);
DROP INDEX CONCURRENTLY IF EXISTS jobs_connection_open;
DROP INDEX CONCURRENTLY IF EXISTS jobs_connection;
ALTER TABLE jobs DROP COLUMN IF EXISTS connection_id;
DROP TABLE dns_records;
