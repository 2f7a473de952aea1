-- +goose Up
-- A domain whose certificate has expired is no longer active, and its renewal continues.
DROP INDEX domains_renew;
CREATE INDEX domains_renew ON domains (renew_at)
    WHERE status IN ('active', 'error') AND auto_renew AND NOT renewal_queued;
CREATE INDEX domains_expiring ON domains (expires_at) WHERE status = 'active';

-- +goose Down
DROP INDEX domains_expiring;
DROP INDEX domains_renew;
CREATE INDEX domains_renew ON domains (renew_at)
    WHERE status = 'active' AND auto_renew AND NOT renewal_queued;
