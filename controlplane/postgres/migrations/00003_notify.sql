-- +goose Up
-- Listeners are notified in the transaction of the change, so every committed change is notified,
-- and nothing else.

-- +goose StatementBegin
CREATE FUNCTION notify_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status = 'queued' AND NEW.dispatched_at IS NULL THEN
        PERFORM pg_notify('dcvaas_jobs', '');
    END IF;
    IF TG_OP = 'INSERT' OR NEW.status <> OLD.status OR NEW.run_at <> OLD.run_at OR NEW.attempts <> OLD.attempts THEN
        PERFORM pg_notify('dcvaas_moved', NEW.id);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION notify_domain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM pg_notify('dcvaas_zone', '+t ' || NEW.cname_target);
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM pg_notify('dcvaas_zone', '-t ' || OLD.cname_target);
        PERFORM pg_notify('dcvaas_moved', OLD.id);
    ELSIF NEW.version <> OLD.version THEN
        PERFORM pg_notify('dcvaas_moved', NEW.id);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION notify_challenge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM pg_notify('dcvaas_zone', '-c ' || OLD.target || ' ' || OLD.value);
    ELSE
        PERFORM pg_notify('dcvaas_zone', '+c ' || NEW.target || ' ' || NEW.value || ' ' || extract(epoch FROM NEW.expires_at)::bigint);
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER jobs_notify AFTER INSERT OR UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION notify_job();
CREATE TRIGGER domains_notify AFTER INSERT OR UPDATE OR DELETE ON domains FOR EACH ROW EXECUTE FUNCTION notify_domain();
CREATE TRIGGER challenges_notify AFTER INSERT OR UPDATE OR DELETE ON challenges FOR EACH ROW EXECUTE FUNCTION notify_challenge();

-- +goose Down
DROP TRIGGER challenges_notify ON challenges;
DROP TRIGGER domains_notify ON domains;
DROP TRIGGER jobs_notify ON jobs;
DROP FUNCTION notify_challenge;
DROP FUNCTION notify_domain;
DROP FUNCTION notify_job;
