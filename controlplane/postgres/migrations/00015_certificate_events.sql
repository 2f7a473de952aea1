-- +goose Up
-- The revocation of a certificate and the download of a key are events, too.
CREATE OR REPLACE FUNCTION webhook_wants(id text, events text[], action text, entity_id text, details jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (events = '{}' OR action = ANY (events)) AND id <> entity_id
        AND split_part(action, '.', 1) IN ('domain', 'certificate', 'job', 'webhook') -- controlplane.EventKinds
        AND NOT (split_part(action, '.', 1) = 'job' AND coalesce(details ->> 'type', '') = 'webhook_delivery')
$$;
DROP TRIGGER audit_logs_deliver ON audit_logs;
CREATE TRIGGER audit_logs_deliver AFTER INSERT ON audit_logs FOR EACH ROW
    WHEN (split_part(NEW.action, '.', 1) IN ('domain', 'certificate', 'job', 'webhook')) EXECUTE FUNCTION webhook_deliver();

-- +goose Down
DROP TRIGGER audit_logs_deliver ON audit_logs;
CREATE TRIGGER audit_logs_deliver AFTER INSERT ON audit_logs FOR EACH ROW
    WHEN (split_part(NEW.action, '.', 1) IN ('domain', 'job', 'webhook')) EXECUTE FUNCTION webhook_deliver();
CREATE OR REPLACE FUNCTION webhook_wants(id text, events text[], action text, entity_id text, details jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (events = '{}' OR action = ANY (events)) AND id <> entity_id
        AND split_part(action, '.', 1) IN ('domain', 'job', 'webhook')
        AND NOT (split_part(action, '.', 1) = 'job' AND coalesce(details ->> 'type', '') = 'webhook_delivery')
$$;
