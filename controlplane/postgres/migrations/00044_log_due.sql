-- +goose NO TRANSACTION
-- +goose Up
-- The time before which no entry of an organization's log is past its retention period. The removal
-- reads the logs of the organizations whose time has come, and not those of all. Only the removal
-- writes it, at most once a day, so that other updates of the row write to no index.
ALTER TABLE organizations ADD COLUMN IF NOT EXISTS log_due_at timestamptz NOT NULL DEFAULT '-infinity';
DROP INDEX CONCURRENTLY IF EXISTS organizations_log_due;
CREATE INDEX CONCURRENTLY organizations_log_due ON organizations (log_due_at);

-- Another tier has another period.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION organizations_tier() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.log_due_at := '-infinity';
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE OR REPLACE TRIGGER organizations_tier BEFORE UPDATE OF subscription_tier ON organizations
    FOR EACH ROW EXECUTE FUNCTION organizations_tier();

-- +goose Down
DROP TRIGGER organizations_tier ON organizations;
DROP FUNCTION organizations_tier;
DROP INDEX CONCURRENTLY IF EXISTS organizations_log_due;
ALTER TABLE organizations DROP COLUMN log_due_at;
