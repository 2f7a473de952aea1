-- +goose NO TRANSACTION
-- +goose Up
-- The revision of a domain's options, and that of its certificate: existing certificates have the
-- current options. The defaults apply to what an older version of the program inserts.
ALTER TABLE domains
    ADD COLUMN IF NOT EXISTS options_revision     bigint NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS certificate_revision bigint NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS reissue_at           timestamptz; -- when the sweep orders a certificate with the current options; NULL: not needed, or by request
ALTER TABLE certificates ADD COLUMN IF NOT EXISTS options_revision bigint NOT NULL DEFAULT 1;
ALTER TABLE acme_orders ADD COLUMN IF NOT EXISTS options_revision bigint NOT NULL DEFAULT 0; -- 0: unknown, by an older version
CREATE INDEX IF NOT EXISTS domains_reissue ON domains (reissue_at) WHERE reissue_at IS NOT NULL;

-- +goose Down
DROP INDEX domains_reissue;
ALTER TABLE acme_orders DROP COLUMN options_revision;
ALTER TABLE certificates DROP COLUMN options_revision;
ALTER TABLE domains DROP COLUMN reissue_at, DROP COLUMN certificate_revision, DROP COLUMN options_revision;
