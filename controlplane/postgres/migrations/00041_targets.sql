-- +goose NO TRANSACTION
-- +goose Up
-- Challenges are published at targets, which need no domain. The name servers are notified by the
-- table of targets alone: a target can outlive a domain that used it.
ALTER TABLE challenges DROP CONSTRAINT IF EXISTS challenges_target_fkey;
ALTER TABLE challenges DROP CONSTRAINT IF EXISTS challenges_target;
ALTER TABLE challenges ADD CONSTRAINT challenges_target FOREIGN KEY (target) REFERENCES targets (label) ON DELETE CASCADE NOT VALID;
ALTER TABLE challenges VALIDATE CONSTRAINT challenges_target;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION notify_domain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM pg_notify('dcvaas_moved', OLD.id);
    ELSIF TG_OP = 'UPDATE' AND NEW.version <> OLD.version THEN
        PERFORM pg_notify('dcvaas_moved', NEW.id);
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- Finds the domains of an organization by a part of any of their names.
DROP INDEX CONCURRENTLY IF EXISTS delegations_part;
CREATE INDEX CONCURRENTLY delegations_part ON delegations USING gin (org_id, name gin_trgm_ops) WITH (fastupdate = off);

-- A job can be about a delegation.
ALTER TABLE jobs ADD COLUMN IF NOT EXISTS delegation_id text REFERENCES delegations (id) ON DELETE CASCADE;
DROP INDEX CONCURRENTLY IF EXISTS jobs_delegation;
CREATE INDEX CONCURRENTLY jobs_delegation ON jobs (delegation_id, created_at DESC, id DESC) WHERE delegation_id IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS jobs_delegation_open;
CREATE UNIQUE INDEX CONCURRENTLY jobs_delegation_open ON jobs (delegation_id) WHERE delegation_id IS NOT NULL AND status IN ('queued', 'running');
ALTER TABLE jobs DROP CONSTRAINT IF EXISTS jobs_type_check, DROP CONSTRAINT IF EXISTS jobs_about,
    ADD CONSTRAINT jobs_type_check CHECK (type IN ('dns_check', 'start_issuance', 'renewal', 'revocation', 'webhook_delivery', 'delegation_check')) NOT VALID,
    ADD CONSTRAINT jobs_about CHECK (num_nonnulls(domain_id, delivery_id, delegation_id) = 1) NOT VALID;
ALTER TABLE jobs VALIDATE CONSTRAINT jobs_type_check;
ALTER TABLE jobs VALIDATE CONSTRAINT jobs_about;

-- +goose Down
DELETE FROM jobs WHERE delegation_id IS NOT NULL;
ALTER TABLE jobs DROP CONSTRAINT jobs_about, DROP CONSTRAINT jobs_type_check,
    ADD CONSTRAINT jobs_type_check CHECK (type IN ('dns_check', 'start_issuance', 'renewal', 'revocation', 'webhook_delivery')),
    ADD CONSTRAINT jobs_about CHECK (num_nonnulls(domain_id, delivery_id) = 1);
DROP INDEX CONCURRENTLY IF EXISTS jobs_delegation_open;
DROP INDEX CONCURRENTLY IF EXISTS jobs_delegation;
ALTER TABLE jobs DROP COLUMN IF EXISTS delegation_id;
DROP INDEX CONCURRENTLY IF EXISTS delegations_part;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION notify_domain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM pg_notify('dcvaas_zone', '+t ' || NEW.cname_target);
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM pg_notify('dcvaas_zone', '-t ' || OLD.cname_target);
        PERFORM pg_notify('dcvaas_moved', OLD.id);
    ELSIF NEW.version <> OLD.version THEN
        PERFORM pg_notify('dcvaas_moved', NEW.id);
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
DELETE FROM challenges c WHERE NOT EXISTS (SELECT FROM domains WHERE cname_target = c.target);
ALTER TABLE challenges DROP CONSTRAINT challenges_target;
ALTER TABLE challenges ADD CONSTRAINT challenges_target_fkey FOREIGN KEY (target) REFERENCES domains (cname_target) ON DELETE CASCADE;
