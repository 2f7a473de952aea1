-- +goose NO TRANSACTION
-- +goose Up
-- Key type rsa3072. The rows are read after the table is unlocked: all of them fit.
ALTER TABLE domains
    DROP CONSTRAINT domains_key_type_check,
    ADD CONSTRAINT domains_key_type_check CHECK (key_type IN ('ec256', 'ec384', 'rsa2048', 'rsa3072', 'rsa4096')) NOT VALID;
ALTER TABLE domains VALIDATE CONSTRAINT domains_key_type_check;

-- +goose Down
ALTER TABLE domains
    DROP CONSTRAINT domains_key_type_check,
    ADD CONSTRAINT domains_key_type_check CHECK (key_type IN ('ec256', 'ec384', 'rsa2048', 'rsa4096')) NOT VALID;
