-- +goose Up
CREATE TABLE webhooks (
    id                     text PRIMARY KEY,
    org_id                 text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    url                    text NOT NULL,
    description            text NOT NULL DEFAULT '',
    events                 text[] NOT NULL DEFAULT '{}', -- types; empty for all
    enabled                boolean NOT NULL DEFAULT true,
    disabled_reason        text NOT NULL DEFAULT '' CHECK (disabled_reason IN ('', 'gone', 'failing')),
    failing_since          timestamptz,
    sealed_secret          bytea NOT NULL,
    previous_sealed_secret bytea,
    previous_until         timestamptz,
    created_at             timestamptz NOT NULL DEFAULT now(),
    updated_at             timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhooks_list ON webhooks (org_id, created_at DESC, id DESC);

-- The delivery of an event to a webhook. created_at is the event's time.
CREATE TABLE webhook_deliveries (
    id               text PRIMARY KEY,
    org_id           text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    webhook_id       text NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event_id         text NOT NULL,
    event_type       text NOT NULL,
    body             bytea, -- the same at every attempt; null until the first
    status           text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'succeeded', 'failed')),
    attempts_made    integer NOT NULL DEFAULT 0,
    last_status_code integer NOT NULL DEFAULT 0,
    last_error       text NOT NULL DEFAULT '',
    next_attempt_at  timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhook_deliveries_list ON webhook_deliveries (webhook_id, created_at DESC, id DESC);
CREATE INDEX webhook_deliveries_org ON webhook_deliveries (org_id);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (webhook_id) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_age ON webhook_deliveries (created_at);

CREATE TABLE webhook_attempts (
    delivery_id      text NOT NULL REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
    number           integer NOT NULL,
    org_id           text NOT NULL,
    at               timestamptz NOT NULL,
    duration         interval NOT NULL,
    status_code      integer NOT NULL DEFAULT 0,
    error            text NOT NULL DEFAULT '',
    request_headers  jsonb NOT NULL,
    response_headers jsonb NOT NULL DEFAULT '{}',
    response_body    text NOT NULL DEFAULT '',
    PRIMARY KEY (delivery_id, number)
);

-- A delivery has one job, also when it is redelivered, and that job has no domain.
ALTER TABLE jobs
    ALTER COLUMN domain_id DROP NOT NULL,
    ADD COLUMN delivery_id text REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
    DROP CONSTRAINT jobs_type_check,
    ADD CONSTRAINT jobs_type_check CHECK (type IN ('dns_check', 'start_issuance', 'renewal', 'revocation', 'webhook_delivery')),
    ADD CONSTRAINT jobs_about CHECK (num_nonnulls(domain_id, delivery_id) = 1);
CREATE UNIQUE INDEX jobs_delivery ON jobs (delivery_id) WHERE delivery_id IS NOT NULL;

-- The suffix of the IDs of a delivery and its job: that of a TypeID, with the time of the event, so
-- that it sorts like the event. An event has one delivery to a webhook, even if it is redelivered.
CREATE FUNCTION webhook_suffix(event text, webhook text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT substr(event, 5, 10) || left(md5(event || webhook), 16)
$$;

-- Whether an entry of the log is delivered to a webhook. Events about the webhook itself and about
-- jobs of deliveries are not, because each delivery could cause another.
CREATE FUNCTION webhook_wants(id text, events text[], action text, entity_id text, details jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (events = '{}' OR action = ANY (events)) AND id <> entity_id
        AND split_part(action, '.', 1) IN ('domain', 'job', 'webhook') -- controlplane.EventKinds
        AND NOT (split_part(action, '.', 1) = 'job' AND coalesce(details ->> 'type', '') = 'webhook_delivery')
$$;

-- Deliveries are created together with their entry, by any statement that appends it: every
-- committed event is delivered, and nothing else. The locks on the webhooks prevent their deletion
-- until the deliveries are committed.
--
-- +goose StatementBegin
CREATE FUNCTION webhook_deliver() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    hook text;
    suffix text;
BEGIN
    IF NOT EXISTS (SELECT FROM webhooks WHERE org_id = NEW.org_id) THEN -- most have none, and a look costs less than a locking loop
        RETURN NULL;
    END IF;
    FOR hook IN
        SELECT w.id FROM webhooks w
        WHERE w.org_id = NEW.org_id AND w.enabled AND webhook_wants(w.id, w.events, NEW.action, NEW.entity_id, NEW.details)
        ORDER BY w.id FOR KEY SHARE
    LOOP
        suffix := webhook_suffix(NEW.id, hook);
        INSERT INTO webhook_deliveries (id, org_id, webhook_id, event_id, event_type, next_attempt_at, created_at, updated_at)
        VALUES ('dlv_' || suffix, NEW.org_id, hook, NEW.id, NEW.action, NEW.created_at, NEW.created_at, NEW.created_at);
        INSERT INTO jobs (id, org_id, delivery_id, type, slot, queue, run_at, request_id, created_at, updated_at)
        VALUES ('job_' || suffix, NEW.org_id, 'dlv_' || suffix, 'webhook_delivery', 'webhook:dlv_' || suffix, 'default',
            NEW.created_at, NEW.request_id, NEW.created_at, NEW.created_at);
    END LOOP;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_logs_deliver AFTER INSERT ON audit_logs FOR EACH ROW
    WHEN (split_part(NEW.action, '.', 1) IN ('domain', 'job', 'webhook')) EXECUTE FUNCTION webhook_deliver();

-- +goose Down
DROP TRIGGER audit_logs_deliver ON audit_logs;
DROP FUNCTION webhook_deliver;
DROP FUNCTION webhook_wants;
DROP FUNCTION webhook_suffix;
DELETE FROM jobs WHERE type = 'webhook_delivery';
ALTER TABLE jobs
    DROP CONSTRAINT jobs_about,
    DROP CONSTRAINT jobs_type_check,
    ADD CONSTRAINT jobs_type_check CHECK (type IN ('dns_check', 'start_issuance', 'renewal', 'revocation')),
    DROP COLUMN delivery_id,
    ALTER COLUMN domain_id SET NOT NULL;
DROP TABLE webhook_attempts, webhook_deliveries, webhooks;
