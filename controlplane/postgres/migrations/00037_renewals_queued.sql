-- +goose NO TRANSACTION
-- +goose Up
-- The daily scan finds renewals whose job was lost among those that are queued, not among all domains.
DROP INDEX CONCURRENTLY IF EXISTS domains_queued;
CREATE INDEX CONCURRENTLY domains_queued ON domains (renew_at) WHERE renewal_queued;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS domains_queued;
