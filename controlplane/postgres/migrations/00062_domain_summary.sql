-- +goose Up
-- The state of a domain's summary (Domain.Summary), as of when the domain was saved last. Empty:
-- not saved yet. Sweeps save the domains whose state changes by time alone.
ALTER TABLE domains ADD COLUMN IF NOT EXISTS summary_state text NOT NULL DEFAULT '';

-- The next check of a domain stores its exact state. Until then, these are found by the filter.
UPDATE domains SET summary_state = 'blocked' WHERE status = 'error' AND certificate_id = '';
UPDATE domains SET summary_state = 'expired' WHERE status = 'error' AND certificate_id <> '';
UPDATE domains SET summary_state = 'at_risk' WHERE status = 'active' AND conditions @> '[{"status": "false"}]'
    AND NOT conditions @> '[{"reason": "auto-renew-off"}]';

-- +goose Down
ALTER TABLE domains DROP COLUMN summary_state;
