-- +goose NO TRANSACTION
-- +goose Up
-- The connection through which the record of a delegation is created, and the default of a domain for its delegations. Empty: none.
ALTER TABLE domains ADD COLUMN IF NOT EXISTS connection_id text NOT NULL DEFAULT '';
ALTER TABLE delegations ADD COLUMN IF NOT EXISTS connection_id text NOT NULL DEFAULT '';
DROP INDEX CONCURRENTLY IF EXISTS domains_connection;
CREATE INDEX CONCURRENTLY domains_connection ON domains (connection_id) WHERE connection_id <> '';
DROP INDEX CONCURRENTLY IF EXISTS delegations_connection;
CREATE INDEX CONCURRENTLY delegations_connection ON delegations (connection_id) WHERE connection_id <> '';

-- A record that a default requested. Until its job has chosen the zone, that is empty.
ALTER TABLE dns_records ADD COLUMN IF NOT EXISTS automatic boolean NOT NULL DEFAULT false;

-- +goose StatementBegin
-- The new versions prevent that a run of a job writes the ID again.
CREATE OR REPLACE FUNCTION end_connection() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE domains SET connection_id = '', version = version + 1, updated_at = now() WHERE org_id = OLD.org_id AND connection_id = OLD.id;
    UPDATE delegations SET connection_id = '', version = version + 1, updated_at = now() WHERE org_id = OLD.org_id AND connection_id = OLD.id;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE OR REPLACE TRIGGER dns_connections_end AFTER DELETE ON dns_connections FOR EACH ROW EXECUTE FUNCTION end_connection();

-- +goose Down
DROP TRIGGER dns_connections_end ON dns_connections;
DROP FUNCTION end_connection;
DROP INDEX CONCURRENTLY IF EXISTS domains_connection;
DROP INDEX CONCURRENTLY IF EXISTS delegations_connection;
ALTER TABLE dns_records DROP COLUMN automatic;
ALTER TABLE delegations DROP COLUMN connection_id;
ALTER TABLE domains DROP COLUMN connection_id;
