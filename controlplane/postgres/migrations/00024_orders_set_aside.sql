-- +goose Up
ALTER TABLE acme_orders
    ADD COLUMN resume_step text NOT NULL DEFAULT '', -- of an order that is set aside: the step that it had reached
    ADD COLUMN poll_at     timestamptz,              -- of an order that is set aside: its next poll
    ADD COLUMN polls       integer NOT NULL DEFAULT 0;
-- An order that is set aside does not count as the one in progress.
CREATE UNIQUE INDEX acme_orders_in_progress ON acme_orders (domain_id) WHERE step NOT IN ('stored', 'failed', 'set-aside');
DROP INDEX acme_orders_open;
CREATE INDEX acme_orders_aside ON acme_orders (poll_at) WHERE step = 'set-aside';

-- +goose Down
DROP INDEX acme_orders_aside;
UPDATE acme_orders SET step = 'failed' WHERE step = 'set-aside';
CREATE UNIQUE INDEX acme_orders_open ON acme_orders (domain_id) WHERE step NOT IN ('stored', 'failed');
DROP INDEX acme_orders_in_progress;
ALTER TABLE acme_orders DROP COLUMN polls, DROP COLUMN poll_at, DROP COLUMN resume_step;
