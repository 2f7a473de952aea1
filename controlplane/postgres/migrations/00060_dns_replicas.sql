-- +goose Up
-- The name servers of the validation zone, one row for each that runs. Publishers of a value wait
-- until each one with a lease serves it. A server without a lease answers SERVFAIL.
CREATE TABLE dns_replicas (
	id text PRIMARY KEY, -- chosen at the start of the process
	address text NOT NULL, -- host:port at which workers query it
	beat bigint NOT NULL, -- number of its last heartbeat
	received bigint NOT NULL, -- number of the last heartbeat that came back through the feed
	expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- +goose Down
DROP TABLE dns_replicas;
