-- +goose Up
-- The account that ordered a certificate: only that account can replace it with an exemption from
-- the CA's limits (RFC 9773 §5). This is a separate migration, because a transaction that locks both
-- tables could wait for one that stores a certificate, and that one for it.
ALTER TABLE certificates ADD COLUMN account text NOT NULL DEFAULT 'default';

-- +goose Down
ALTER TABLE certificates DROP COLUMN account;
