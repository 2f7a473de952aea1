-- +goose Up
-- Counts of an organization with many domains, stored at the first view and then by the workers.
-- A view reads this row instead of all domains and certificates.
CREATE TABLE organization_counts (
    org_id       text PRIMARY KEY REFERENCES organizations (id) ON DELETE CASCADE,
    weeks        jsonb NOT NULL, -- of the calendar of expiries
    certificates bigint NOT NULL, -- issued recently
    counted_at   timestamptz NOT NULL
);

-- +goose Down
DROP TABLE organization_counts;
