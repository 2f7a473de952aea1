-- +goose NO TRANSACTION
-- +goose Up
-- The number of delegations is stored, so that the plan's limit holds under concurrency. It is null
-- until the organization's delegations are counted below. Meanwhile, the triggers leave it null.
ALTER TABLE organizations
    ADD COLUMN IF NOT EXISTS delegation_limit integer CHECK (delegation_limit >= 0), -- overrides the tier's
    ADD COLUMN IF NOT EXISTS delegation_count integer;
ALTER TABLE organizations ALTER COLUMN delegation_count SET DEFAULT 0;

-- +goose StatementBegin
-- Nobody reads the number of delegations of a deleted organization.
CREATE OR REPLACE FUNCTION count_delegation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE organizations SET delegation_count = delegation_count + 1 WHERE id = NEW.org_id;
    ELSE
        UPDATE organizations SET delegation_count = delegation_count - 1 WHERE id = OLD.org_id AND deleted_at IS NULL;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE OR REPLACE TRIGGER delegations_count AFTER INSERT OR DELETE ON delegations FOR EACH ROW EXECUTE FUNCTION count_delegation();

-- A transaction that adds or removes a delegation updates the organization's row. What it has added
-- or removed is counted either by the statement below, if it ends before that row is locked, or by
-- its own trigger afterwards.
-- +goose StatementBegin
DO $$
DECLARE
    batch text[];
BEGIN
    LOOP
        batch := ARRAY(SELECT id FROM organizations WHERE delegation_count IS NULL ORDER BY id LIMIT 100);
        EXIT WHEN batch = '{}';
        PERFORM FROM organizations WHERE id = ANY (batch) ORDER BY id FOR NO KEY UPDATE;
        UPDATE organizations o SET delegation_count = (SELECT count(*) FROM delegations WHERE org_id = o.id)
        WHERE id = ANY (batch) AND delegation_count IS NULL;
        COMMIT;
    END LOOP;
END $$;
-- +goose StatementEnd
ALTER TABLE organizations ALTER COLUMN delegation_count SET NOT NULL;

-- The creation and deletion of a delegation are events, too.
CREATE OR REPLACE FUNCTION webhook_wants(id text, events text[], action text, entity_id text, details jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (events = '{}' OR action = ANY (events)) AND id <> entity_id
        AND split_part(action, '.', 1) IN ('domain', 'delegation', 'certificate', 'job', 'webhook') -- controlplane.EventKinds
        AND NOT (split_part(action, '.', 1) = 'job' AND coalesce(details ->> 'type', '') = 'webhook_delivery')
$$;
CREATE OR REPLACE TRIGGER audit_logs_deliver AFTER INSERT ON audit_logs FOR EACH ROW
    WHEN (split_part(NEW.action, '.', 1) IN ('domain', 'delegation', 'certificate', 'job', 'webhook')) EXECUTE FUNCTION webhook_deliver();

-- +goose Down
CREATE OR REPLACE TRIGGER audit_logs_deliver AFTER INSERT ON audit_logs FOR EACH ROW
    WHEN (split_part(NEW.action, '.', 1) IN ('domain', 'certificate', 'job', 'webhook')) EXECUTE FUNCTION webhook_deliver();
CREATE OR REPLACE FUNCTION webhook_wants(id text, events text[], action text, entity_id text, details jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (events = '{}' OR action = ANY (events)) AND id <> entity_id
        AND split_part(action, '.', 1) IN ('domain', 'certificate', 'job', 'webhook')
        AND NOT (split_part(action, '.', 1) = 'job' AND coalesce(details ->> 'type', '') = 'webhook_delivery')
$$;
DROP TRIGGER delegations_count ON delegations;
DROP FUNCTION count_delegation;
ALTER TABLE organizations DROP COLUMN delegation_limit, DROP COLUMN delegation_count;
