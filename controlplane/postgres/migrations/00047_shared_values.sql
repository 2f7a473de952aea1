-- +goose NO TRANSACTION
-- +goose Up
-- Orders that share a pending authorization publish the same value. It is removed with the last of
-- them. The index is empty unless values are shared.
ALTER TABLE challenges ADD COLUMN IF NOT EXISTS shared_with text[] NOT NULL DEFAULT '{}'; -- orders besides order_id
DROP INDEX CONCURRENTLY IF EXISTS challenges_shared;
CREATE INDEX CONCURRENTLY challenges_shared ON challenges (org_id) WHERE shared_with <> '{}';

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS challenges_shared;
ALTER TABLE challenges DROP COLUMN shared_with;
