-- +goose Up
-- A CA can have several accounts. An order stays with its account. The orders so far belong to the
-- account that each CA has had.
ALTER TABLE acme_orders ADD COLUMN account text NOT NULL DEFAULT 'default';

-- The existing unique columns identify further accounts, too, so that the previous version, which
-- knows one account of each CA, neither reads nor changes the others.
COMMENT ON COLUMN acme_accounts.directory_url IS 'the CA''s directory; the name of a further account there follows as the fragment';
COMMENT ON COLUMN ca_accounts.ca IS 'name of the CA in the configuration; that of a further account there follows after a slash';
COMMENT ON COLUMN ca_pauses.ca IS 'as in ca_accounts';
COMMENT ON COLUMN ca_holds.ca IS 'name of the CA in the configuration; that of an account there follows after a slash, if only the account is on hold';

-- +goose Down
COMMENT ON COLUMN ca_holds.ca IS NULL;
COMMENT ON COLUMN ca_pauses.ca IS NULL;
COMMENT ON COLUMN ca_accounts.ca IS NULL;
COMMENT ON COLUMN acme_accounts.directory_url IS NULL;
ALTER TABLE acme_orders DROP COLUMN account;
