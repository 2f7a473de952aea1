-- +goose Up
CREATE TABLE domains (
    id              text PRIMARY KEY,
    org_id          text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name            text NOT NULL CHECK (length(name) BETWEEN 1 AND 237),
    cname_target    text NOT NULL UNIQUE CHECK (length(cname_target) = 32), -- label, without the zone
    status          text NOT NULL CHECK (status IN ('pending_cname', 'issuing', 'active', 'error')),
    status_reason   text NOT NULL DEFAULT '',
    wildcard        boolean NOT NULL DEFAULT false,
    key_type        text NOT NULL DEFAULT 'ec256' CHECK (key_type IN ('ec256', 'ec384', 'rsa2048', 'rsa4096')),
    csr_pem         text NOT NULL DEFAULT '',
    profile         text NOT NULL DEFAULT '',
    preferred_chain text NOT NULL DEFAULT '',
    ca              text NOT NULL DEFAULT '',
    auto_issue      boolean NOT NULL DEFAULT true,
    auto_renew      boolean NOT NULL DEFAULT true,
    labels          jsonb NOT NULL DEFAULT '{}',
    conditions      jsonb NOT NULL DEFAULT '[]',
    certificate_id  text NOT NULL DEFAULT '',
    expires_at      timestamptz,
    renew_at        timestamptz,
    renewal_queued  boolean NOT NULL DEFAULT false, -- the sweep has created a job for renew_at
    last_issued_at  timestamptz,
    check_since     timestamptz NOT NULL DEFAULT now(),
    check_attempts  integer NOT NULL DEFAULT 0,
    claimed_by      text NOT NULL DEFAULT '', -- ID of the job that holds it
    claimed_until   timestamptz,
    version         bigint NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, name)
);
CREATE INDEX domains_list ON domains (org_id, created_at DESC, id DESC);
CREATE INDEX domains_expiry ON domains (org_id, coalesce(expires_at, 'infinity'), id);
-- For the sweep: domains that are not due cost nothing.
CREATE INDEX domains_renew ON domains (renew_at)
    WHERE status = 'active' AND auto_renew AND NOT renewal_queued;

CREATE TABLE certificates (
    id                 text PRIMARY KEY,
    org_id             text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    domain_id          text NOT NULL REFERENCES domains (id) ON DELETE CASCADE,
    order_id           text NOT NULL UNIQUE, -- an order gives one certificate
    names              text[] NOT NULL,
    serial             text NOT NULL,
    issuer             text NOT NULL,
    ca                 text NOT NULL,
    profile            text NOT NULL DEFAULT '',
    key_type           text NOT NULL,
    not_before         timestamptz NOT NULL,
    not_after          timestamptz NOT NULL,
    fingerprint_sha256 text NOT NULL,
    chain_pem          text NOT NULL,
    sealed_key         bytea,
    ari_id             text NOT NULL DEFAULT '',
    replaced_by        text NOT NULL DEFAULT '',
    revoked_at         timestamptz,
    revocation_reason  text NOT NULL DEFAULT '',
    created_at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX certificates_list ON certificates (org_id, created_at DESC, id DESC);
CREATE INDEX certificates_domain ON certificates (domain_id, created_at DESC, id DESC);

CREATE TABLE jobs (
    id               text PRIMARY KEY,
    org_id           text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    domain_id        text NOT NULL REFERENCES domains (id) ON DELETE CASCADE,
    type             text NOT NULL CHECK (type IN ('dns_check', 'start_issuance', 'renewal')),
    slot             text NOT NULL, -- a domain has one open job per slot
    status           text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'succeeded', 'failed')),
    queue            text NOT NULL CHECK (queue IN ('critical', 'default', 'bulk')),
    reason           text NOT NULL DEFAULT '',
    attempts         integer NOT NULL DEFAULT 0,
    generation       integer NOT NULL DEFAULT 1,
    run_at           timestamptz NOT NULL DEFAULT now(),
    dispatched_at    timestamptz,
    claimed_by       text NOT NULL DEFAULT '', -- the worker's run that holds it
    claimed_until    timestamptz,
    last_error_code  text NOT NULL DEFAULT '',
    last_error       text NOT NULL DEFAULT '',
    dead_lettered_at timestamptz,
    result           jsonb,
    request_id       text NOT NULL DEFAULT '',
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
CREATE UNIQUE INDEX jobs_open ON jobs (domain_id, slot) WHERE status IN ('queued', 'running');
CREATE INDEX jobs_due ON jobs (run_at) WHERE status = 'queued' AND dispatched_at IS NULL;
CREATE INDEX jobs_dispatched ON jobs (dispatched_at) WHERE status IN ('queued', 'running') AND dispatched_at IS NOT NULL;
CREATE INDEX jobs_running ON jobs (claimed_until) WHERE status = 'running';
CREATE INDEX jobs_list ON jobs (org_id, created_at DESC, id DESC);
CREATE INDEX jobs_domain ON jobs (domain_id, created_at DESC, id DESC);

CREATE TABLE acme_accounts (
    id            text PRIMARY KEY,
    directory_url text NOT NULL UNIQUE,
    email         text NOT NULL DEFAULT '',
    url           text NOT NULL DEFAULT '', -- the kid; empty until registered
    sealed_key    bytea NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE acme_orders (
    id              text PRIMARY KEY,
    org_id          text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    domain_id       text NOT NULL REFERENCES domains (id) ON DELETE CASCADE,
    job_id          text NOT NULL,
    ca              text NOT NULL,
    step            text NOT NULL,
    names           text[] NOT NULL,
    target          text NOT NULL,
    key_type        text NOT NULL,
    profile         text NOT NULL DEFAULT '',
    preferred_chain text NOT NULL DEFAULT '',
    replaces        text NOT NULL DEFAULT '',
    csr             bytea NOT NULL,
    sealed_key      bytea,
    order_url       text NOT NULL DEFAULT '',
    certificate_url text NOT NULL DEFAULT '',
    txt_values      text[] NOT NULL DEFAULT '{}',
    error_code      text NOT NULL DEFAULT '',
    error_detail    text NOT NULL DEFAULT '',
    expires_at      timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);
-- A domain has at most one order in progress.
CREATE UNIQUE INDEX acme_orders_open ON acme_orders (domain_id) WHERE step NOT IN ('stored', 'failed');
CREATE INDEX acme_orders_domain ON acme_orders (domain_id, created_at DESC);

CREATE TABLE challenges (
    target     text NOT NULL REFERENCES domains (cname_target) ON DELETE CASCADE,
    value      text NOT NULL,
    org_id     text NOT NULL,
    domain_id  text NOT NULL,
    order_id   text NOT NULL REFERENCES acme_orders (id) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (target, value)
);
CREATE INDEX challenges_order ON challenges (order_id);
CREATE INDEX challenges_expiry ON challenges (expires_at);

-- +goose StatementBegin
CREATE FUNCTION uncount_domain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE organizations SET domain_count = domain_count - 1 WHERE id = OLD.org_id;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER domains_uncount AFTER DELETE ON domains FOR EACH ROW EXECUTE FUNCTION uncount_domain();

-- +goose Down
DROP TABLE challenges, acme_orders, acme_accounts, jobs, certificates, domains;
DROP FUNCTION uncount_domain;
