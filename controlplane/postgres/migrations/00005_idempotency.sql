-- +goose Up
-- An answer is written in the transaction of the work that it tells of, so there is no row
-- without one, and no lease: who does the work holds an advisory lock, which ends with it.
ALTER TABLE idempotency_keys
    DROP COLUMN locked_until,
    ALTER COLUMN status SET NOT NULL,
    ALTER COLUMN headers SET NOT NULL,
    ALTER COLUMN body SET NOT NULL;

-- +goose Down
DELETE FROM idempotency_keys;
ALTER TABLE idempotency_keys
    ALTER COLUMN status DROP NOT NULL,
    ALTER COLUMN headers DROP NOT NULL,
    ALTER COLUMN body DROP NOT NULL,
    ADD COLUMN locked_until timestamptz NOT NULL;
