-- +goose Up
ALTER TABLE domains
    ADD COLUMN warn_at              timestamptz, -- next check whether the certificate expires soon; null: at once
    ADD COLUMN expiring_certificate text NOT NULL DEFAULT '', -- the last one that was inside the alarm line
    ADD COLUMN rehearse_every       interval NOT NULL DEFAULT '1 day';
CREATE INDEX domains_warn ON domains (coalesce(warn_at, '-infinity')) WHERE status = 'active';
-- Usually empty: a new certificate removes the domain automatically.
CREATE INDEX domains_alarm ON domains (certificate_id) WHERE expiring_certificate = certificate_id AND expiring_certificate <> '';

-- +goose Down
DROP INDEX domains_alarm;
DROP INDEX domains_warn;
ALTER TABLE domains DROP COLUMN rehearse_every, DROP COLUMN expiring_certificate, DROP COLUMN warn_at;
