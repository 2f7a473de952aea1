-- +goose Up
-- The acme-dns API: clients publish TXT values at targets, with accounts that they register.

-- Keys with which clients register accounts.
CREATE TABLE acmedns_keys (
    id            text PRIMARY KEY,
    org_id        text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name          text NOT NULL,
    hash          bytea NOT NULL UNIQUE, -- SHA-256 of the secret
    prefix        text NOT NULL,
    registrations bigint NOT NULL DEFAULT 0,
    last_used_at  timestamptz,
    created_by    text NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX acmedns_keys_list ON acmedns_keys (org_id, created_at DESC, id DESC);

-- An account publishes at its own target, whose label is the subdomain, or at that of a delegation.
-- Updates change only columns that no index contains.
CREATE TABLE acmedns_accounts (
    id            text PRIMARY KEY,
    org_id        text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    username      uuid NOT NULL UNIQUE,
    password_hash bytea NOT NULL, -- SHA-256
    subdomain     text NOT NULL UNIQUE REFERENCES targets (label) ON DELETE CASCADE,
    target        text NOT NULL REFERENCES targets (label) ON DELETE CASCADE,
    delegation_id text REFERENCES delegations (id) ON DELETE CASCADE,
    key_id        text REFERENCES acmedns_keys (id) ON DELETE SET NULL,
    description   text NOT NULL DEFAULT '',
    allow_from    text[] NOT NULL DEFAULT '{}',
    updates       bigint NOT NULL DEFAULT 0,
    last_used_at  timestamptz,
    rotated_at    timestamptz, -- null with the first password
    created_by    text NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT acmedns_accounts_target CHECK ((delegation_id IS NULL) = (target = subdomain))
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000);
CREATE INDEX acmedns_accounts_list ON acmedns_accounts (org_id, created_at DESC, id DESC);
CREATE INDEX acmedns_accounts_at ON acmedns_accounts (target);
CREATE INDEX acmedns_accounts_delegation ON acmedns_accounts (delegation_id) WHERE delegation_id IS NOT NULL;
CREATE INDEX acmedns_accounts_key ON acmedns_accounts (key_id) WHERE key_id IS NOT NULL;

-- The values that the name servers serve, next to the challenges of orders.
CREATE TABLE acmedns_values (
    account_id text NOT NULL REFERENCES acmedns_accounts (id) ON DELETE CASCADE,
    value      text NOT NULL,
    org_id     text NOT NULL,
    target     text NOT NULL REFERENCES targets (label) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, value)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX acmedns_values_at ON acmedns_values (target, value);
CREATE INDEX acmedns_values_expiry ON acmedns_values (expires_at);

-- +goose StatementBegin
-- Notifies the name servers of a value. It can be published at a target more than once: by accounts
-- that share the target, and by an order. It is removed with the last of them. A row is added under
-- a lock of the others, so that the notification of their deletion does not follow that of the
-- addition.
CREATE FUNCTION notify_value(label text, txt text, added boolean, of_order boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    until timestamptz;
BEGIN
    IF added THEN
        IF NOT of_order THEN -- the row of an order is the only one in its table
            PERFORM FROM challenges c WHERE c.target = label AND c.value = txt FOR KEY SHARE;
        END IF;
        PERFORM FROM acmedns_values v WHERE v.target = label AND v.value = txt FOR KEY SHARE;
    END IF;
    SELECT max(s.expires_at) INTO until FROM (
        SELECT c.expires_at FROM challenges c WHERE c.target = label AND c.value = txt
        UNION ALL SELECT v.expires_at FROM acmedns_values v WHERE v.target = label AND v.value = txt
    ) s;
    IF until IS NULL THEN
        PERFORM pg_notify('dcvaas_zone', '-c ' || label || ' ' || txt);
    ELSE
        PERFORM pg_notify('dcvaas_zone', '+c ' || label || ' ' || txt || ' ' || extract(epoch FROM until)::bigint);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION notify_challenge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM notify_value(OLD.target, OLD.value, false, TG_TABLE_NAME = 'challenges');
    ELSE
        PERFORM notify_value(NEW.target, NEW.value, true, TG_TABLE_NAME = 'challenges');
    END IF;
    RETURN NULL;
END $$;

-- Serves a value at an account's target, and counts the update. Only the values that expire last are kept. It returns the target,
-- and no row if the account does not exist. Its first statement locks the account, so that the others see the values of all updates
-- before this one. The target must be of the same organization.
CREATE FUNCTION publish_acmedns_value(org text, account text, txt text, until timestamptz, at timestamptz, kept integer) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    label text;
BEGIN
    UPDATE acmedns_accounts a SET updates = a.updates + 1, last_used_at = at FROM targets t
    WHERE a.org_id = org AND a.id = account AND t.org_id = org AND t.label = a.target RETURNING a.target INTO label;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    DELETE FROM acmedns_values v WHERE v.account_id = account AND v.value IN (
        SELECT o.value FROM acmedns_values o WHERE o.account_id = account AND o.value <> txt ORDER BY o.expires_at DESC, o.value OFFSET kept - 1);
    INSERT INTO acmedns_values AS v (account_id, value, org_id, target, expires_at) VALUES (account, txt, org, label, until)
    ON CONFLICT (account_id, value) DO UPDATE SET expires_at = greatest(v.expires_at, excluded.expires_at);
    RETURN NEXT label;
END $$;

-- The subdomain's target ends with its account.
CREATE FUNCTION end_acmedns_target() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM targets WHERE label = OLD.subdomain;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER acmedns_values_notify AFTER INSERT OR UPDATE OR DELETE ON acmedns_values FOR EACH ROW EXECUTE FUNCTION notify_challenge();
CREATE TRIGGER acmedns_accounts_end AFTER DELETE ON acmedns_accounts FOR EACH ROW EXECUTE FUNCTION end_acmedns_target();

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION notify_challenge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM pg_notify('dcvaas_zone', '-c ' || OLD.target || ' ' || OLD.value);
    ELSE
        PERFORM pg_notify('dcvaas_zone', '+c ' || NEW.target || ' ' || NEW.value || ' ' || extract(epoch FROM NEW.expires_at)::bigint);
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
DELETE FROM acmedns_accounts;
DROP TABLE acmedns_values, acmedns_accounts, acmedns_keys;
DROP FUNCTION notify_value, publish_acmedns_value, end_acmedns_target;
