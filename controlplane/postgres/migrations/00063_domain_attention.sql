-- +goose NO TRANSACTION
-- +goose Up
-- The domains that need attention, in the default order of the list. Few domains do, and checks that
-- find the same as before do not change the index.
DROP INDEX CONCURRENTLY IF EXISTS domains_attention;
CREATE INDEX CONCURRENTLY domains_attention ON domains (org_id, coalesce(expires_at, 'infinity'), id)
    WHERE summary_state IN ('expired', 'revoked', 'at_risk', 'blocked');

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS domains_attention;
