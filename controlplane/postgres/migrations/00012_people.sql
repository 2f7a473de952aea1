-- +goose Up
-- A user is a GitHub account, identified by its ID. A login may pass to another account, and is
-- then empty here until its former owner signs in again.
ALTER TABLE users
    ADD COLUMN joined_at timestamptz,                -- first sign-in; null if the user was only added
    ADD COLUMN last_org_id text NOT NULL DEFAULT ''; -- the organization that they used last
CREATE UNIQUE INDEX users_login ON users (lower(login)) WHERE login <> '';
CREATE INDEX organization_members_list ON organization_members (org_id, created_at, user_id);

-- A session is for one organization, and ends with the membership there.
CREATE TABLE sessions (
    id           text PRIMARY KEY,
    hash         bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    user_id      text NOT NULL,
    org_id       text NOT NULL,
    ip           text NOT NULL DEFAULT '',
    user_agent   text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    FOREIGN KEY (org_id, user_id) REFERENCES organization_members (org_id, user_id) ON DELETE CASCADE
);
CREATE INDEX sessions_member ON sessions (org_id, user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- Used states of sign-ins at GitHub: each is valid once.
CREATE TABLE used_states (
    hash       bytea PRIMARY KEY CHECK (length(hash) = 32),
    expires_at timestamptz NOT NULL
);
CREATE INDEX used_states_expiry ON used_states (expires_at);

CREATE TABLE invitations (
    id         text PRIMARY KEY,
    org_id     text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    role       text NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    hash       bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    expires_at timestamptz NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX invitations_list ON invitations (org_id, created_at DESC, id DESC);
CREATE INDEX invitations_expiry ON invitations (expires_at);

-- The orders of an organization are deleted with it.
CREATE INDEX acme_orders_org ON acme_orders (org_id);

-- +goose Down
DROP INDEX acme_orders_org;
DROP TABLE invitations, used_states, sessions;
DROP INDEX organization_members_list, users_login;
ALTER TABLE users DROP COLUMN last_org_id, DROP COLUMN joined_at;
