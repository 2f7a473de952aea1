-- +goose Up
-- A check of a delegation that found nothing serves all domains that use the delegation. It counts
-- while ready_at is last_checked_at: the previous version of the program does not write it.
ALTER TABLE delegations
    ADD COLUMN ready jsonb, -- for what the check of ready_at found nothing
    ADD COLUMN ready_at timestamptz,
    ADD COLUMN woken_at timestamptz; -- when a check that found a cause was last passed on to the users

-- +goose Down
ALTER TABLE delegations DROP COLUMN ready, DROP COLUMN ready_at, DROP COLUMN woken_at;
