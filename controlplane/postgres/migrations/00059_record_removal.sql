-- +goose NO TRANSACTION
-- +goose Up
-- The records of delegations that have ended are removed at their DNS hosts. A delegation that is added again keeps its record:
-- what exists in delegations counts, and remove_at only says what has to be looked at.
ALTER TABLE dns_records
    ADD COLUMN IF NOT EXISTS remove_at timestamptz, -- when the removal is due next, -infinity at first; null while the delegation lasts
    ADD COLUMN IF NOT EXISTS ended_at timestamptz; -- since when the removal is due

-- +goose StatementBegin
-- The condition is on the key alone: a worker can change the rest of the row while this waits for its lock.
CREATE OR REPLACE FUNCTION end_record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE dns_records SET remove_at = '-infinity' WHERE org_id = OLD.org_id AND name = '_acme-challenge.' || OLD.name;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE OR REPLACE TRIGGER delegations_end_record AFTER DELETE ON delegations FOR EACH ROW EXECUTE FUNCTION end_record();

-- The records whose delegations have ended before.
UPDATE dns_records r SET remove_at = '-infinity' WHERE NOT EXISTS (
    SELECT FROM delegations g WHERE g.org_id = r.org_id AND '_acme-challenge.' || g.name = r.name);

DROP INDEX CONCURRENTLY IF EXISTS dns_records_due;
CREATE INDEX CONCURRENTLY dns_records_due ON dns_records (remove_at) WHERE remove_at IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS dns_records_ended;
CREATE INDEX CONCURRENTLY dns_records_ended ON dns_records (connection_id, name) WHERE remove_at IS NOT NULL;

-- +goose Down
DROP TRIGGER delegations_end_record ON delegations;
DROP FUNCTION end_record;
DROP INDEX CONCURRENTLY IF EXISTS dns_records_due;
DROP INDEX CONCURRENTLY IF EXISTS dns_records_ended;
ALTER TABLE dns_records DROP COLUMN remove_at, DROP COLUMN ended_at;
