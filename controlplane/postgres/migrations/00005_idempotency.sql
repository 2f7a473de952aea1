-- +goose Up
-- An answer is written in the transaction of its request. So every row has an answer, and
-- instead of a lease the request holds an advisory lock until its transaction ends.
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
