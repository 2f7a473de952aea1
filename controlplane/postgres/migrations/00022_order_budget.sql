-- +goose Up
-- The number of orders of each organization, by the time at which they no longer count. It is kept
-- when domains or organizations are deleted, so that deleting them does not reset the budget.
CREATE TABLE order_budget (
    org_id     text NOT NULL,
    until      timestamptz NOT NULL,
    orders     integer NOT NULL,
    founder_id text NOT NULL DEFAULT '', -- the user whose next organization inherits them
    PRIMARY KEY (org_id, until)
);
CREATE INDEX order_budget_until ON order_budget (until);
CREATE INDEX order_budget_founder ON order_budget (founder_id) WHERE founder_id <> '';

-- The user whose sign-in created the organization; empty if an operator created it.
ALTER TABLE organizations ADD COLUMN founder_id text NOT NULL DEFAULT '';
UPDATE organizations o SET founder_id = coalesce(
    (SELECT user_id FROM organization_members m WHERE m.org_id = o.id AND m.role = 'owner' ORDER BY m.created_at, m.user_id LIMIT 1), '');

-- The jobs of an organization that wait for its budget, in their order.
CREATE INDEX jobs_budget ON jobs (org_id, created_at, id) WHERE status = 'queued' AND reason = 'order-budget';

-- +goose Down
DROP INDEX jobs_budget;
ALTER TABLE organizations DROP COLUMN founder_id;
DROP TABLE order_budget;
