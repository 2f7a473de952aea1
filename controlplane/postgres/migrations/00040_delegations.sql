-- +goose NO TRANSACTION
-- +goose Up
-- Delegations are separate objects, which domains use. Both versions of the program can run
-- while this is applied: everything that a domain needs is added by triggers.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin;

-- The labels that the name servers serve.
CREATE TABLE IF NOT EXISTS targets (
    label  text PRIMARY KEY CHECK (length(label) = 32), -- without the zone
    org_id text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS targets_org ON targets (org_id, label);

-- A name of an organization whose challenge name points to a target. State, cause, and checks
-- change often. No index contains them, so that these changes write to no index.
CREATE TABLE IF NOT EXISTS delegations (
    id              text PRIMARY KEY,
    org_id          text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name            text NOT NULL CHECK (length(name) BETWEEN 1 AND 237),
    target          text NOT NULL UNIQUE REFERENCES targets (label),
    pinned          boolean NOT NULL DEFAULT false, -- it stays without a domain that uses it
    state           text NOT NULL DEFAULT 'unchecked' CHECK (state IN ('unchecked', 'delegated', 'broken')),
    diagnosis       jsonb, -- of the last check, without its evidence; null before the first
    check_since     timestamptz NOT NULL DEFAULT now(),
    check_attempts  integer NOT NULL DEFAULT 0,
    last_checked_at timestamptz,
    next_check_at   timestamptz,
    version         bigint NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, name)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000);
CREATE INDEX IF NOT EXISTS delegations_list ON delegations (org_id, created_at DESC, id DESC);

-- The delegations that a domain uses.
CREATE TABLE IF NOT EXISTS domain_delegations (
    domain_id     text NOT NULL REFERENCES domains (id) ON DELETE CASCADE,
    delegation_id text NOT NULL REFERENCES delegations (id),
    PRIMARY KEY (domain_id, delegation_id)
);
CREATE INDEX IF NOT EXISTS domain_delegations_users ON domain_delegations (delegation_id);

ALTER TABLE domains
    ADD COLUMN IF NOT EXISTS additional_names text[] NOT NULL DEFAULT '{}', -- sorted
    ADD COLUMN IF NOT EXISTS targets jsonb NOT NULL DEFAULT '{}', -- label by additional name, without "*."
    ADD COLUMN IF NOT EXISTS issue_partial boolean NOT NULL DEFAULT false;

ALTER TABLE acme_orders
    ADD COLUMN IF NOT EXISTS targets jsonb NOT NULL DEFAULT '{}', -- label by name, except for the names at target
    ADD COLUMN IF NOT EXISTS txt_targets text[] NOT NULL DEFAULT '{}'; -- label of each of txt_values; empty: target

-- +goose StatementBegin
-- A domain uses the delegations of its name and of its additional names. The suffix of the ID of a
-- delegation is that of a TypeID: the time is the domain's.
CREATE OR REPLACE FUNCTION delegate_domain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wanted jsonb := jsonb_build_object(NEW.name, NEW.cname_target) || NEW.targets;
    base text;
    label text;
    used text;
BEGIN
    FOR base, label IN SELECT * FROM jsonb_each_text(wanted) LOOP
        INSERT INTO targets VALUES (label, NEW.org_id) ON CONFLICT DO NOTHING;
        INSERT INTO delegations (id, org_id, name, target, check_since, created_at, updated_at)
        VALUES (CASE base WHEN NEW.name THEN 'dlg' || substr(NEW.id, 4) ELSE 'dlg' || substr(NEW.id, 4, 11) || left(md5(NEW.id || base), 16) END,
            NEW.org_id, base, label, NEW.updated_at, NEW.updated_at, NEW.updated_at)
        ON CONFLICT (org_id, name) DO NOTHING RETURNING id INTO used;
        IF used IS NULL THEN
            SELECT id INTO used FROM delegations WHERE org_id = NEW.org_id AND name = base;
        END IF;
        INSERT INTO domain_delegations VALUES (NEW.id, used) ON CONFLICT DO NOTHING;
    END LOOP;
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM domain_delegations u USING delegations g
        WHERE u.domain_id = NEW.id AND g.id = u.delegation_id AND NOT wanted ? g.name;
    END IF;
    RETURN NULL;
END $$;

-- A delegation ends with its last use, unless it is pinned. The organization's row is locked by
-- everything that adds or removes a use.
CREATE OR REPLACE FUNCTION end_delegation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM delegations g WHERE g.id = OLD.delegation_id AND NOT g.pinned
        AND NOT EXISTS (SELECT FROM domain_delegations u WHERE u.delegation_id = g.id);
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION end_target() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM targets WHERE label = OLD.target;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION notify_target() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM pg_notify('dcvaas_zone', '+t ' || NEW.label);
    ELSE
        PERFORM pg_notify('dcvaas_zone', '-t ' || OLD.label);
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE OR REPLACE TRIGGER domains_delegate AFTER INSERT ON domains FOR EACH ROW EXECUTE FUNCTION delegate_domain();
CREATE OR REPLACE TRIGGER domains_redelegate AFTER UPDATE OF targets ON domains FOR EACH ROW
    WHEN (OLD.targets <> NEW.targets) EXECUTE FUNCTION delegate_domain();
CREATE OR REPLACE TRIGGER domain_delegations_end AFTER DELETE ON domain_delegations FOR EACH ROW EXECUTE FUNCTION end_delegation();
CREATE OR REPLACE TRIGGER delegations_end AFTER DELETE ON delegations FOR EACH ROW EXECUTE FUNCTION end_target();
CREATE OR REPLACE TRIGGER targets_notify AFTER INSERT OR DELETE ON targets FOR EACH ROW EXECUTE FUNCTION notify_target();

-- The domains so far, in batches that do not hold locks for long.
-- +goose StatementBegin
DO $$
DECLARE
    after text := '';
    batch text[];
BEGIN
    LOOP
        batch := ARRAY(SELECT id FROM domains WHERE id > after ORDER BY id LIMIT 5000);
        EXIT WHEN batch = '{}';
        WITH held AS MATERIALIZED (
            SELECT id, org_id, name, cname_target, created_at FROM domains WHERE id = ANY (batch) FOR KEY SHARE
        ), labels AS (
            INSERT INTO targets (label, org_id) SELECT cname_target, org_id FROM held ON CONFLICT DO NOTHING
        ), added AS (
            INSERT INTO delegations (id, org_id, name, target, check_since, created_at, updated_at)
            SELECT 'dlg' || substr(id, 4), org_id, name, cname_target, created_at, created_at, created_at FROM held
            ON CONFLICT (org_id, name) DO NOTHING
            RETURNING id, org_id, name
        )
        INSERT INTO domain_delegations (domain_id, delegation_id)
        SELECT held.id, added.id FROM held JOIN added USING (org_id, name) ON CONFLICT DO NOTHING;
        after := batch[array_upper(batch, 1)];
        COMMIT;
    END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER domains_redelegate ON domains;
DROP TRIGGER domains_delegate ON domains;
DROP TABLE domain_delegations, delegations, targets;
DROP FUNCTION delegate_domain, end_delegation, end_target, notify_target;
ALTER TABLE acme_orders DROP COLUMN targets, DROP COLUMN txt_targets;
ALTER TABLE domains DROP COLUMN additional_names, DROP COLUMN issue_partial;
DROP EXTENSION btree_gin;
DROP EXTENSION pg_trgm;
