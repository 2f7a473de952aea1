-- +goose Up
-- What is due is found queue by queue (jobs_waiting) and, where more is due than there is
-- room for, organization by organization (jobs_turns). Every generation is above 0: that
-- only those who look queue by queue say so keeps the others from a plan by jobs_waiting,
-- which would read all that is due in a queue for each organization.
CREATE INDEX jobs_waiting ON jobs (queue, run_at) WHERE status = 'queued' AND dispatched_at IS NULL AND generation > 0;
CREATE INDEX jobs_turns ON jobs (queue, org_id, run_at) WHERE status = 'queued' AND dispatched_at IS NULL;
DROP INDEX jobs_due;

-- +goose Down
CREATE INDEX jobs_due ON jobs (run_at) WHERE status = 'queued' AND dispatched_at IS NULL;
DROP INDEX jobs_turns, jobs_waiting;
