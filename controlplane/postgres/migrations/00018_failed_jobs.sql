-- +goose Up
-- The few failed jobs are listed without reading the jobs that succeeded.
CREATE INDEX jobs_failed ON jobs (org_id, created_at DESC, id DESC) WHERE status = 'failed';

-- +goose Down
DROP INDEX jobs_failed;
