-- +goose Up
-- The claim of a job and its outcome each update the domain. With free space in its page, neither
-- updates an index.
ALTER TABLE domains SET (fillfactor = 85);

-- +goose Down
ALTER TABLE domains RESET (fillfactor);
