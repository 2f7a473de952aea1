-- +goose Up
-- The open circuit breakers of CAs, as each worker reports them. Workers do not read them: a CA may
-- be unreachable only from one network.
CREATE TABLE ca_breakers (
    ca          text NOT NULL,
    worker      text NOT NULL,
    since       timestamptz NOT NULL,
    probe_at    timestamptz NOT NULL, -- next order, to see whether the CA responds again
    message     text NOT NULL,        -- of the last failure
    reported_at timestamptz NOT NULL,
    PRIMARY KEY (ca, worker)
);

-- For the metric of domains that wait because the validation zone does not answer.
CREATE INDEX jobs_unserved ON jobs (domain_id)
    WHERE status = 'queued' AND reason IN ('target-not-served', 'zone-not-answering');

-- +goose Down
DROP INDEX jobs_unserved;
DROP TABLE ca_breakers;
