-- +goose Up
-- The few jobs that failed are listed without reading all that succeeded.
CREATE INDEX jobs_failed ON jobs (org_id, created_at DESC, id DESC) WHERE status = 'failed';

-- +goose Down
DROP INDEX jobs_failed;
