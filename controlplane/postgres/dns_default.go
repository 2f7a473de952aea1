package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// connectionOf is the ID of the connection through which the record of a delegation is created: its
// own, or that of the oldest domain that uses it and has one. It is empty without any.
const connectionOf = `coalesce(nullif(g.connection_id, ''), (
		SELECT d.connection_id FROM domain_delegations u JOIN domains d ON d.id = u.domain_id
		WHERE u.delegation_id = g.id AND d.connection_id <> '' ORDER BY u.domain_id LIMIT 1
	), '')`

// DefaultRecords returns the delegations of the names that have a connection, in the order of their
// names, with their records.
func (q queries) DefaultRecords(
	ctx context.Context, orgID string, names []string,
) ([]controlplane.DefaultRecord, error) {
	return all(ctx, q, pgx.RowToStructByPos[controlplane.DefaultRecord], `
		SELECT g.name, g.target, c.id, c.name, c.status, c.status_detail, EXISTS (SELECT FROM jobs j
				WHERE j.connection_id = c.id AND j.status IN ('queued', 'running') AND j.reason = $3), coalesce(r.state, ''), coalesce(r.connection_id, ''),
			coalesce(r.reason, ''), coalesce(r.detail, ''), coalesce(r.updated_at, to_timestamp(0)), r.remove_at IS NOT NULL
		FROM delegations g JOIN dns_connections c ON c.org_id = g.org_id AND c.id = `+connectionOf+`
			LEFT JOIN dns_records r ON r.org_id = g.org_id AND r.name = '_acme-challenge.' || g.name
		WHERE g.org_id = $1 AND g.name = ANY($2) ORDER BY g.name`, orgID, names,
		controlplane.CodeHostUnreachable)
}

// ChooseZone stores the zone of a record that was requested without one. It returns false if the
// request has changed.
func (s *Store) ChooseZone(
	ctx context.Context, r *controlplane.HostedRecord, zone string,
) (bool, error) {
	tag, err := s.db.Exec(ctx, `UPDATE dns_records SET zone = @chosen WHERE `+sameRequest,
		merge(requestArgs(r), named{"chosen": zone}))
	return tag.RowsAffected() > 0, translate(err, "DNS record", r.Name)
}

// RetryRecords requests again the automatic records that could not be created through a connection
// because of its zones or permissions, and returns how many. The transaction has locked the
// connection.
func (t *Tx) RetryRecords(ctx context.Context, c *controlplane.Connection) (int64, error) {
	tag, err := t.db.Exec(ctx, `UPDATE dns_records SET state = 'pending', zone = '', reason = '', detail = ''
		WHERE org_id = @org_id AND connection_id = @id AND state = 'failed' AND automatic AND remove_at IS NULL AND reason <> @conflict`,
		named{"org_id": c.OrgID, "id": c.ID, "conflict": controlplane.CodeDNSConflict})
	return tag.RowsAffected(), translate(err, "DNS connection", c.ID)
}
