-- +goose Up
-- The table was not used. The credentials are sealed with the connection's ID as associated data.
ALTER TABLE dns_connections RENAME COLUMN provider TO type;
ALTER TABLE dns_connections
    ADD COLUMN status text NOT NULL DEFAULT 'ok' CHECK (status IN ('ok', 'invalid', 'unreachable')), -- of the last test
    ADD COLUMN status_detail text NOT NULL DEFAULT '',
    ADD COLUMN last_tested_at timestamptz,
    ADD COLUMN next_test_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN last_used_at timestamptz, -- for a record
    ADD COLUMN created_by text NOT NULL DEFAULT '';
CREATE INDEX dns_connections_due ON dns_connections (next_test_at);

-- +goose Down
DROP INDEX dns_connections_due;
ALTER TABLE dns_connections DROP COLUMN status, DROP COLUMN status_detail, DROP COLUMN last_tested_at, DROP COLUMN next_test_at,
    DROP COLUMN last_used_at, DROP COLUMN created_by;
ALTER TABLE dns_connections RENAME COLUMN type TO provider;
