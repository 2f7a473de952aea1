-- +goose Up
-- CAs that an operator has put on hold: no new orders are placed there.
CREATE TABLE ca_holds (
    ca         text PRIMARY KEY, -- name in the configuration
    until      timestamptz,      -- NULL: until released
    reason     text NOT NULL,
    held_by    text NOT NULL,
    created_at timestamptz NOT NULL
);

-- CAs that reject the service's account, or may do so: rejected orders of unrelated domains show it.
CREATE TABLE ca_accounts (
    ca       text PRIMARY KEY,
    since    timestamptz NOT NULL, -- the first rejection
    unusable boolean NOT NULL,
    domains  text[] NOT NULL,      -- registered domains whose orders were rejected, at most a few
    probes   integer NOT NULL,     -- orders placed to see whether the account is usable again
    probe_at timestamptz NOT NULL, -- no order is placed before
    code     text NOT NULL,
    message  text NOT NULL,
    fix      text NOT NULL
);

-- Names that a CA has paused for the service's account, as each organization found out.
CREATE TABLE ca_pauses (
    org_id     text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    ca         text NOT NULL,
    name       text NOT NULL, -- without "*."
    message    text NOT NULL,
    fix        text NOT NULL, -- with the CA's link to unpause the name
    created_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, ca, name)
);

-- +goose Down
DROP TABLE ca_pauses;
DROP TABLE ca_accounts;
DROP TABLE ca_holds;
