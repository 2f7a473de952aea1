-- +goose NO TRANSACTION
-- +goose Up
-- The CAs' certificates above a leaf certificate are the same in many chains. They are stored once.
CREATE TABLE IF NOT EXISTS issuer_chains (
    sha256     bytea PRIMARY KEY, -- of pem
    pem        text NOT NULL,     -- of the certificates above a leaf
    created_at timestamptz NOT NULL DEFAULT now()
);
-- The chain of a leaf certificate alone. Chains are split a day after it was added, because the
-- previous version, which may run until then, reads whole chains. A new database has none to read.
INSERT INTO issuer_chains (sha256, pem, created_at)
SELECT sha256(''), '', CASE WHEN EXISTS (SELECT FROM certificates) THEN now() ELSE '-infinity' END
ON CONFLICT DO NOTHING;

-- A chain is chain_pem, then leaf (DER), then the row of issuer_chains. Null issuers: chain_pem is the whole chain.
ALTER TABLE certificates ADD COLUMN IF NOT EXISTS leaf bytea, ADD COLUMN IF NOT EXISTS issuers bytea;
-- Has only whole chains, which are to be split.
DROP INDEX CONCURRENTLY IF EXISTS certificates_whole;
CREATE INDEX CONCURRENTLY certificates_whole ON certificates (created_at) WHERE issuers IS NULL;

-- Finds old orders that are over.
DROP INDEX CONCURRENTLY IF EXISTS acme_orders_over;
CREATE INDEX CONCURRENTLY acme_orders_over ON acme_orders (updated_at) WHERE step IN ('stored', 'failed');

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS acme_orders_over;
UPDATE certificates c SET issuers = NULL, leaf = NULL, chain_pem = chain_pem ||
    coalesce(E'-----BEGIN CERTIFICATE-----\n' || regexp_replace(translate(encode(leaf, 'base64'), E'\n', ''), '(.{1,64})', E'\\1\n', 'g') || E'-----END CERTIFICATE-----\n', '') ||
    (SELECT i.pem FROM issuer_chains i WHERE i.sha256 = c.issuers)
WHERE issuers IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS certificates_whole;
ALTER TABLE certificates DROP COLUMN IF EXISTS issuers, DROP COLUMN IF EXISTS leaf;
DROP TABLE IF EXISTS issuer_chains;
