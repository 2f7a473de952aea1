-- +goose Up
-- The events of DNS connections are delivered to webhooks, too.
CREATE OR REPLACE FUNCTION webhook_wants(id text, events text[], action text, entity_id text, details jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (events = '{}' OR action = ANY (events)) AND id <> entity_id
        AND split_part(action, '.', 1) IN ('domain', 'delegation', 'certificate', 'job', 'webhook', 'dns_connection') -- controlplane.EventKinds
        AND NOT (split_part(action, '.', 1) = 'job' AND coalesce(details ->> 'type', '') = 'webhook_delivery')
$$;
CREATE OR REPLACE TRIGGER audit_logs_deliver AFTER INSERT ON audit_logs FOR EACH ROW
    WHEN (split_part(NEW.action, '.', 1) IN ('domain', 'delegation', 'certificate', 'job', 'webhook', 'dns_connection')) EXECUTE FUNCTION webhook_deliver();

-- +goose Down
CREATE OR REPLACE TRIGGER audit_logs_deliver AFTER INSERT ON audit_logs FOR EACH ROW
    WHEN (split_part(NEW.action, '.', 1) IN ('domain', 'delegation', 'certificate', 'job', 'webhook')) EXECUTE FUNCTION webhook_deliver();
CREATE OR REPLACE FUNCTION webhook_wants(id text, events text[], action text, entity_id text, details jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (events = '{}' OR action = ANY (events)) AND id <> entity_id
        AND split_part(action, '.', 1) IN ('domain', 'delegation', 'certificate', 'job', 'webhook') -- controlplane.EventKinds
        AND NOT (split_part(action, '.', 1) = 'job' AND coalesce(details ->> 'type', '') = 'webhook_delivery')
$$;
