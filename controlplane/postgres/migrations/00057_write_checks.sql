-- +goose Up
-- The row that each process writes to check whether Postgres can store data.
CREATE TABLE IF NOT EXISTS write_checks (
    single bool PRIMARY KEY CHECK (single),
    checked_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- +goose Down
DROP TABLE write_checks;
