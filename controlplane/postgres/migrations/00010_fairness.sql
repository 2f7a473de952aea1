-- +goose Up
-- Due jobs are found by queue (jobs_waiting) and, if more are due than there is room for, by
-- organization (jobs_turns). Every generation is above 0. Only the statement that reads by queue
-- has this condition, so that the others cannot use jobs_waiting, with which they would read all
-- due jobs of a queue for each organization.
CREATE INDEX jobs_waiting ON jobs (queue, run_at) WHERE status = 'queued' AND dispatched_at IS NULL AND generation > 0;
CREATE INDEX jobs_turns ON jobs (queue, org_id, run_at) WHERE status = 'queued' AND dispatched_at IS NULL;
DROP INDEX jobs_due;

-- +goose Down
CREATE INDEX jobs_due ON jobs (run_at) WHERE status = 'queued' AND dispatched_at IS NULL;
DROP INDEX jobs_turns, jobs_waiting;
