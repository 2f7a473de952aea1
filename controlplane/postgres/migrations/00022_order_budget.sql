-- +goose Up
-- How many orders each organization has placed, by when they no longer count. It outlives the
-- domains and the organization that they were for: to delete either resets nothing.
CREATE TABLE order_budget (
    org_id     text NOT NULL,
    until      timestamptz NOT NULL,
    orders     integer NOT NULL,
    founder_id text NOT NULL DEFAULT '', -- whose next organization inherits them
    PRIMARY KEY (org_id, until)
);
CREATE INDEX order_budget_until ON order_budget (until);
CREATE INDEX order_budget_founder ON order_budget (founder_id) WHERE founder_id <> '';

-- The user whose sign-in created the organization; empty where an operator did.
ALTER TABLE organizations ADD COLUMN founder_id text NOT NULL DEFAULT '';
UPDATE organizations o SET founder_id = coalesce(
    (SELECT user_id FROM organization_members m WHERE m.org_id = o.id AND m.role = 'owner' ORDER BY m.created_at, m.user_id LIMIT 1), '');

-- The jobs of an organization that wait for its budget, in the order in which they get it.
CREATE INDEX jobs_budget ON jobs (org_id, created_at, id) WHERE status = 'queued' AND reason = 'order-budget';

-- +goose Down
DROP INDEX jobs_budget;
ALTER TABLE organizations DROP COLUMN founder_id;
DROP TABLE order_budget;
