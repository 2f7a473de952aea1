-- +goose Up
-- The log is read in the order of its seq, and a row may be committed after others with a higher
-- seq. Readers therefore stop at the horizon, up to which every row is committed or rolled back. A
-- statement that appends first takes a floor: a shared advisory lock, until its transaction ends,
-- on a seq below all that it will get. Writers never wait for it, and only transactions that append
-- delay readers.
--
-- A writer takes its floor before its seq, and the horizon reads the last seq before the floors. So
-- a writer whose floor is not seen either takes its seq after the horizon was read, and gets a
-- higher one, or has ended, and its rows are visible to the next statement.
--
-- +goose StatementBegin
CREATE FUNCTION audit_logs_last() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(pg_sequence_last_value('audit_logs_seq_seq'), 0)
$$;

-- The key of a floor's lock has two parts: 1146243411 ("DVAS"), which identifies floors, and the
-- lower 32 bits of the seq.
CREATE FUNCTION audit_logs_floor() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    held text;
BEGIN
    -- Expressions only, no statements: they are several times as fast.
    IF coalesce(current_setting('dcvaas.floor', true), '') = '' THEN -- the first of its transaction
        IF NOT pg_try_advisory_xact_lock_shared(1146243411, (audit_logs_last() % 4294967296 - 2147483648)::int) THEN
            RAISE EXCEPTION 'a floor of audit_logs is locked exclusively';
        END IF;
        held := set_config('dcvaas.floor', 'held', true);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION audit_logs_horizon() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    last bigint := audit_logs_last();
    behind bigint;
BEGIN
    SELECT max((last - (objid::bigint + 2147483648)) & 4294967295) INTO behind FROM pg_locks
    WHERE locktype = 'advisory' AND classid = 1146243411 AND objsubid = 2 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
    RETURN last - coalesce(behind, 0);
END $$;

CREATE FUNCTION notify_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('dcvaas_moved', NEW.org_id);
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_logs_hold_floor BEFORE INSERT ON audit_logs FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_floor();
CREATE TRIGGER audit_logs_notify AFTER INSERT ON audit_logs FOR EACH ROW EXECUTE FUNCTION notify_log();

-- The log by time, and the entries about a domain, regardless of their entity.
CREATE INDEX audit_logs_time ON audit_logs (org_id, created_at, id);
CREATE INDEX audit_logs_domain ON audit_logs (org_id, (coalesce(details ->> 'domain_id', entity_id)), created_at, id);

-- +goose Down
DROP INDEX audit_logs_domain, audit_logs_time;
DROP TRIGGER audit_logs_notify ON audit_logs;
DROP TRIGGER audit_logs_hold_floor ON audit_logs;
DROP FUNCTION notify_log;
DROP FUNCTION audit_logs_horizon;
DROP FUNCTION audit_logs_floor;
DROP FUNCTION audit_logs_last;
