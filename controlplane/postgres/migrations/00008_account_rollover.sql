-- +goose Up
ALTER TABLE acme_accounts ADD COLUMN next_sealed_key bytea; -- planned; stored before it is sent to the CA

-- +goose Down
ALTER TABLE acme_accounts DROP COLUMN next_sealed_key;
