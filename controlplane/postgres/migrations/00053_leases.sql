-- +goose Up
-- Work that one process at a time does, such as a sweep. The holder extends expires_at while it
-- works, so that another process can take over soon after the holder or its connection is lost.
CREATE TABLE leases (
	name text PRIMARY KEY,
	holder text NOT NULL,
	expires_at timestamptz NOT NULL,
	finished_at timestamptz -- of the last run without an error
);

-- +goose Down
DROP TABLE leases;
