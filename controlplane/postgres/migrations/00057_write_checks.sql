-- +goose Up
-- The row that each process writes to check whether Postgres can store data.
CREATE TABLE IF NOT EXISTS write_checks (
    only bool PRIMARY KEY CHECK (only),
    checked_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- +goose Down
DROP TABLE write_checks;
