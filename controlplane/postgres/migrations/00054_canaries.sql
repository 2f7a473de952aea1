-- +goose Up
-- With these values, a process detects that one of its secrets differs from that of the others. They
-- reveal nothing about the secrets.
CREATE TABLE canaries (
	name text PRIMARY KEY,
	value bytea NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now()
);

-- +goose Down
DROP TABLE canaries;
