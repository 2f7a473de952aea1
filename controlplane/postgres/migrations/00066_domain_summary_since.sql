-- +goose Up
-- When a domain got the state of its summary. Null: not known.
ALTER TABLE domains ADD COLUMN IF NOT EXISTS summary_since timestamptz;

-- +goose Down
ALTER TABLE domains DROP COLUMN summary_since;
