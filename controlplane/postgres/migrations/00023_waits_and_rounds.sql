-- +goose Up
ALTER TABLE jobs
    ADD COLUMN waits       integer NOT NULL DEFAULT 0, -- deferrals in a row for an unavailable dependency
    ADD COLUMN cas         jsonb NOT NULL DEFAULT '{}', -- why and until when CAs are not tried, by name
    ADD COLUMN round       integer NOT NULL DEFAULT 0, -- dead-lettered jobs in a row that it follows
    ADD COLUMN round_since timestamptz; -- when the first of these was dead-lettered
-- An order's last attempt despite the counted limits, for each CA: all workers share their number.
CREATE TABLE forced_attempts (
    ca       text PRIMARY KEY,
    last_at  timestamptz NOT NULL,
    attempts bigint NOT NULL
);
-- No automatic attempt starts before this time: a job for the certificate was dead-lettered.
ALTER TABLE domains ADD COLUMN retry_at timestamptz;

-- +goose Down
ALTER TABLE domains DROP COLUMN retry_at;
DROP TABLE forced_attempts;
ALTER TABLE jobs DROP COLUMN round_since, DROP COLUMN round, DROP COLUMN cas, DROP COLUMN waits;
