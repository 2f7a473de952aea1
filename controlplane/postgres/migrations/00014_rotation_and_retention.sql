-- +goose Up
-- The previous secret remains valid for a grace period after a rotation.
ALTER TABLE api_tokens
    ADD COLUMN rotated_at     timestamptz,
    ADD COLUMN previous_hash  bytea UNIQUE CHECK (length(previous_hash) = 32),
    ADD COLUMN previous_until timestamptz;

-- The log is kept for the retention period of the organization's tier, or 3 years if the
-- organization was deleted. Younger entries cannot be deleted, and none can outside a transaction
-- that has declared itself to be the retention.

-- +goose StatementBegin
CREATE FUNCTION audit_logs_kept(tier text) RETURNS interval LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE tier WHEN 'free' THEN interval '90 days' WHEN 'pro' THEN interval '365 days' ELSE interval '1095 days' END
$$;

CREATE FUNCTION audit_logs_retain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('dcvaas.retention', true) = 'on'
        AND OLD.created_at < now() - audit_logs_kept((SELECT subscription_tier FROM organizations WHERE id = OLD.org_id)) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'audit_logs is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
-- +goose StatementEnd
DROP TRIGGER audit_logs_append_only ON audit_logs;
CREATE TRIGGER audit_logs_append_only BEFORE UPDATE ON audit_logs FOR EACH ROW EXECUTE FUNCTION audit_logs_refuse();
CREATE TRIGGER audit_logs_retention BEFORE DELETE ON audit_logs FOR EACH ROW EXECUTE FUNCTION audit_logs_retain();
-- The log is stored in the order of time, so this small index finds the oldest entries.
CREATE INDEX audit_logs_age ON audit_logs USING brin (created_at);

-- +goose Down
DROP INDEX audit_logs_age;
DROP TRIGGER audit_logs_retention ON audit_logs;
DROP TRIGGER audit_logs_append_only ON audit_logs;
CREATE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION audit_logs_refuse();
DROP FUNCTION audit_logs_retain;
DROP FUNCTION audit_logs_kept;
ALTER TABLE api_tokens DROP COLUMN previous_until, DROP COLUMN previous_hash, DROP COLUMN rotated_at;
