-- +goose Up
-- The TXT record with which a worker tests regularly whether resolvers reach the validation zone,
-- and what the last tests found out. Its changes go to the name servers like those of challenges.
CREATE TABLE zone_probe (
	single bool PRIMARY KEY DEFAULT true CHECK (single),
	label text NOT NULL,
	value text NOT NULL,
	expires_at timestamptz NOT NULL,
	failures int NOT NULL DEFAULT 0, -- in a row
	since timestamptz, -- of the first of them
	problems jsonb NOT NULL DEFAULT '[]',
	checked_at timestamptz,
	next_at timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);

-- +goose StatementBegin
CREATE FUNCTION dcvaas_notify_probe() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify('dcvaas_zone', '+t ' || NEW.label);
	IF TG_OP = 'UPDATE' THEN
		PERFORM pg_notify('dcvaas_zone', '-c ' || OLD.label || ' ' || OLD.value);
	END IF;
	PERFORM pg_notify('dcvaas_zone', '+c ' || NEW.label || ' ' || NEW.value || ' ' || extract(epoch FROM NEW.expires_at)::bigint);
	RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER zone_probe_notify AFTER INSERT OR UPDATE OF value ON zone_probe
	FOR EACH ROW EXECUTE FUNCTION dcvaas_notify_probe();

-- The jobs that wait until the zone is reachable again.
CREATE INDEX jobs_zone_unreachable ON jobs (domain_id)
	WHERE status = 'queued' AND reason = 'validation-zone-unreachable';

-- +goose Down
DROP INDEX jobs_zone_unreachable;
DROP TABLE zone_probe;
DROP FUNCTION dcvaas_notify_probe;
