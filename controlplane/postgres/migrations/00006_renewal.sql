-- +goose Up
ALTER TABLE domains
    ADD COLUMN forbidden_cas  text[] NOT NULL DEFAULT '{}', -- by CAA, at the last check
    ADD COLUMN renewal_draw   double precision NOT NULL DEFAULT 0, -- point in the CA's window, drawn once for each certificate
    ADD COLUMN ari_start      timestamptz, -- the CA's window (RFC 9773 §4.2)
    ADD COLUMN ari_end        timestamptz,
    ADD COLUMN ari_checked_at timestamptz,
    ADD COLUMN ari_check_at   timestamptz, -- next fetch of the renewal information; null for none
    ADD COLUMN rehearse_at    timestamptz; -- next check of the delegation of an active domain
CREATE INDEX domains_ari ON domains (ari_check_at) WHERE status = 'active' AND auto_renew;
CREATE INDEX domains_rehearse ON domains (rehearse_at) WHERE status = 'active';

-- +goose Down
DROP INDEX domains_rehearse;
DROP INDEX domains_ari;
ALTER TABLE domains DROP COLUMN rehearse_at, DROP COLUMN ari_check_at, DROP COLUMN ari_checked_at, DROP COLUMN ari_end,
    DROP COLUMN ari_start, DROP COLUMN renewal_draw, DROP COLUMN forbidden_cas;
