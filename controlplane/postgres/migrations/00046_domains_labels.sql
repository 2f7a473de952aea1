-- +goose NO TRANSACTION
-- +goose Up
-- Finds an organization's domains by a key of their labels, or by a pair. It has about 10 bytes per
-- domain with a label. The previous version uses it in place of the index of all organizations.
DROP INDEX CONCURRENTLY IF EXISTS domains_labels_org;
CREATE INDEX CONCURRENTLY domains_labels_org ON domains USING gin (org_id, labels) WHERE labels <> '{}';
DROP INDEX CONCURRENTLY IF EXISTS domains_labels;

-- +goose Down
CREATE INDEX CONCURRENTLY IF NOT EXISTS domains_labels ON domains USING gin (labels jsonb_path_ops) WHERE labels <> '{}';
DROP INDEX CONCURRENTLY IF EXISTS domains_labels_org;
