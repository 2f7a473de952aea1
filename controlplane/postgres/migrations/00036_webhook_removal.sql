-- +goose Up
-- A deleted webhook ends at once: it is marked and disabled, and its deliveries are removed in batches.
ALTER TABLE webhooks ADD COLUMN deleted_at timestamptz;
CREATE INDEX webhooks_deleted ON webhooks (deleted_at) WHERE deleted_at IS NOT NULL; -- usually empty

-- +goose Down
DROP INDEX webhooks_deleted;
DELETE FROM webhooks WHERE deleted_at IS NOT NULL;
ALTER TABLE webhooks DROP COLUMN deleted_at;
