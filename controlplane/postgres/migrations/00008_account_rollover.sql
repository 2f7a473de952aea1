-- +goose Up
ALTER TABLE acme_accounts ADD COLUMN next_sealed_key bytea; -- planned; stored before the CA hears of it

-- +goose Down
ALTER TABLE acme_accounts DROP COLUMN next_sealed_key;
