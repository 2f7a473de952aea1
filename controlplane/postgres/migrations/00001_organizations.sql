-- +goose Up
CREATE TABLE organizations (
    id                    text PRIMARY KEY,
    name                  text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    subscription_tier     text NOT NULL DEFAULT 'free' CHECK (subscription_tier IN ('free', 'pro', 'agency')),
    domain_limit          integer CHECK (domain_limit >= 0), -- overrides the tier's
    domain_count          integer NOT NULL DEFAULT 0,        -- stored, so that the limit holds under concurrency
    theme_logo_url        text,
    theme_primary_color   text,
    theme_secondary_color text,
    created_at            timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
    id         text PRIMARY KEY,
    github_id  bigint UNIQUE,
    login      text NOT NULL,
    name       text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE organization_members (
    org_id     text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id    text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role       text NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, user_id)
);
CREATE INDEX organization_members_user ON organization_members (user_id);

CREATE TABLE api_tokens (
    id           text PRIMARY KEY,
    org_id       text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    token_hash   bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    token_prefix text NOT NULL,
    scopes       text[] NOT NULL,
    domain_ids   text[] NOT NULL DEFAULT '{}',
    expires_at   timestamptz,
    last_used_at timestamptz,
    created_by   text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX api_tokens_list ON api_tokens (org_id, created_at DESC, id DESC);

-- The append-only log. seq is its order, and id is its public identifier.
CREATE TABLE audit_logs (
    id          text PRIMARY KEY,
    seq         bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    org_id      text NOT NULL,
    actor_type  text NOT NULL CHECK (actor_type IN ('user', 'token', 'system')),
    actor_id    text NOT NULL DEFAULT '',
    ip          text NOT NULL DEFAULT '',
    action      text NOT NULL,
    entity_type text NOT NULL DEFAULT '',
    entity_id   text NOT NULL DEFAULT '',
    before      jsonb,
    after       jsonb,
    details     jsonb,
    request_id  text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_logs_org ON audit_logs (org_id, seq);
CREATE INDEX audit_logs_entity ON audit_logs (org_id, entity_id, seq);

-- +goose StatementBegin
CREATE FUNCTION audit_logs_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_logs is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION audit_logs_refuse();
CREATE TRIGGER audit_logs_no_truncate BEFORE TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_refuse();

-- Answers to POSTs that carried an Idempotency-Key, for 24 hours.
CREATE TABLE idempotency_keys (
    org_id       text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    key          text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    method       text NOT NULL,
    path         text NOT NULL,
    body_hash    bytea NOT NULL,
    status       integer, -- null while the first request is in progress
    headers      jsonb,
    body         bytea,   -- sealed: a response may contain a secret that is shown once
    locked_until timestamptz NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- Customers' DNS hosts, to create the record for them. The credentials are sealed.
CREATE TABLE dns_connections (
    id                 text PRIMARY KEY,
    org_id             text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    provider           text NOT NULL CHECK (provider IN ('cloudflare', 'godaddy', 'route53', 'rfc2136')),
    name               text NOT NULL,
    sealed_credentials bytea NOT NULL,
    expires_at         timestamptz,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX dns_connections_list ON dns_connections (org_id, created_at DESC, id DESC);

-- +goose Down
DROP TABLE dns_connections, idempotency_keys, audit_logs, api_tokens, organization_members, users, organizations;
DROP FUNCTION audit_logs_refuse;
