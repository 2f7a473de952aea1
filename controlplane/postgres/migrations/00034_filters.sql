-- +goose NO TRANSACTION
-- +goose Up
-- Indexes for filters that match few rows of a large organization. Each is partial where most rows
-- need no entry. An index that an interrupted migration has left is dropped first.
DROP INDEX CONCURRENTLY IF EXISTS audit_logs_action;
CREATE INDEX CONCURRENTLY audit_logs_action ON audit_logs (org_id, action, created_at);
DROP INDEX CONCURRENTLY IF EXISTS audit_logs_actor;
CREATE INDEX CONCURRENTLY audit_logs_actor ON audit_logs (org_id, actor_id, created_at) WHERE actor_type <> 'system';
-- An entity has few entries, and its ID is unique without the organization.
DROP INDEX CONCURRENTLY IF EXISTS audit_logs_about;
CREATE INDEX CONCURRENTLY audit_logs_about ON audit_logs (entity_id);
DROP INDEX CONCURRENTLY IF EXISTS audit_logs_entity;

DROP INDEX CONCURRENTLY IF EXISTS domains_status;
CREATE INDEX CONCURRENTLY domains_status ON domains (org_id, status, created_at DESC, id DESC) WHERE status <> 'active';
DROP INDEX CONCURRENTLY IF EXISTS domains_labels;
CREATE INDEX CONCURRENTLY domains_labels ON domains USING gin (labels jsonb_path_ops) WHERE labels <> '{}';

DROP INDEX CONCURRENTLY IF EXISTS jobs_unfinished;
CREATE INDEX CONCURRENTLY jobs_unfinished ON jobs (org_id, created_at DESC, id DESC) WHERE status IN ('queued', 'running');
DROP INDEX CONCURRENTLY IF EXISTS jobs_rare;
CREATE INDEX CONCURRENTLY jobs_rare ON jobs (org_id, type, created_at DESC, id DESC) WHERE type IN ('start_issuance', 'revocation');

DROP INDEX CONCURRENTLY IF EXISTS webhook_deliveries_failed;
CREATE INDEX CONCURRENTLY webhook_deliveries_failed ON webhook_deliveries (webhook_id, created_at DESC, id DESC) WHERE status = 'failed';

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS webhook_deliveries_failed;
DROP INDEX CONCURRENTLY IF EXISTS jobs_rare;
DROP INDEX CONCURRENTLY IF EXISTS jobs_unfinished;
DROP INDEX CONCURRENTLY IF EXISTS domains_labels;
DROP INDEX CONCURRENTLY IF EXISTS domains_status;
CREATE INDEX CONCURRENTLY audit_logs_entity ON audit_logs (org_id, entity_id, seq);
DROP INDEX CONCURRENTLY IF EXISTS audit_logs_about;
DROP INDEX CONCURRENTLY IF EXISTS audit_logs_actor;
DROP INDEX CONCURRENTLY IF EXISTS audit_logs_action;
