-- +goose NO TRANSACTION
-- +goose Up
-- The key of a certificate that was replaced is removed at key_until. Null: not determined yet,
-- also if the previous version replaced the certificate.
ALTER TABLE certificates ADD COLUMN IF NOT EXISTS key_until timestamptz, ADD COLUMN IF NOT EXISTS key_removed_at timestamptz;

-- Rows to be removed are found without reading the others. The last two indexes have no entries for
-- rows whose secrets were removed.
DROP INDEX CONCURRENTLY IF EXISTS jobs_finished;
CREATE INDEX CONCURRENTLY jobs_finished ON jobs (status, updated_at) WHERE status IN ('succeeded', 'failed') AND delivery_id IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS certificates_key_until;
CREATE INDEX CONCURRENTLY certificates_key_until ON certificates (coalesce(key_until, '-infinity')) WHERE replaced_by <> '' AND sealed_key IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS acme_orders_secrets;
CREATE INDEX CONCURRENTLY acme_orders_secrets ON acme_orders (id) WHERE step IN ('stored', 'failed') AND csr <> '';

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS acme_orders_secrets;
DROP INDEX CONCURRENTLY IF EXISTS certificates_key_until;
DROP INDEX CONCURRENTLY IF EXISTS jobs_finished;
ALTER TABLE certificates DROP COLUMN IF EXISTS key_removed_at, DROP COLUMN IF EXISTS key_until;
