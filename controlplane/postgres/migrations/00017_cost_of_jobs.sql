-- +goose Up
-- A job's claim and its end change the domain each: with some room left in its page neither
-- touches an index.
ALTER TABLE domains SET (fillfactor = 85);

-- +goose Down
ALTER TABLE domains RESET (fillfactor);
