-- +goose Up
-- A deleted organization ends at once: it is marked, and its rows are removed in batches.
ALTER TABLE organizations ADD COLUMN deleted_at timestamptz;
CREATE INDEX organizations_deleted ON organizations (deleted_at) WHERE deleted_at IS NOT NULL; -- usually empty

-- Nobody reads the number of domains of a deleted organization.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION uncount_domain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE organizations SET domain_count = domain_count - 1 WHERE id = OLD.org_id AND deleted_at IS NULL;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION uncount_domain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE organizations SET domain_count = domain_count - 1 WHERE id = OLD.org_id;
    RETURN NULL;
END $$;
-- +goose StatementEnd
DROP INDEX organizations_deleted;
DELETE FROM organizations WHERE deleted_at IS NOT NULL;
ALTER TABLE organizations DROP COLUMN deleted_at;
