package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const auditColumns = `id, seq, org_id, actor_type, actor_id, ip, action, entity_type, entity_id, before, after, details, request_id, created_at`

func scanAudit(row pgx.CollectableRow) (controlplane.AuditEntry, error) {
	var a controlplane.AuditEntry
	err := row.Scan(&a.ID, &a.Seq, &a.OrgID, &a.Actor.Type, &a.Actor.ID, &a.Actor.IP, &a.Action, &a.EntityType, &a.EntityID,
		&a.Before, &a.After, &a.Details, &a.Actor.RequestID, &a.CreatedAt)
	return a, err
}

// Audit appends an entry to the log. Nothing that is there can be changed: the database
// refuses it.
func (q queries) Audit(ctx context.Context, a controlplane.AuditEntry) error {
	_, err := q.db.Exec(ctx, `
		INSERT INTO audit_logs (id, org_id, actor_type, actor_id, ip, action, entity_type, entity_id, before, after, details, request_id, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		a.ID, a.OrgID, a.Actor.Type, a.Actor.ID, a.Actor.IP, a.Action, a.EntityType, a.EntityID, a.Before, a.After, a.Details, a.Actor.RequestID, a.CreatedAt)
	return translate(err, "", "")
}

// AuditOfEntity returns what the log says of one object, newest first.
func (q queries) AuditOfEntity(ctx context.Context, orgID, entityID string, limit int) ([]controlplane.AuditEntry, error) {
	rows, err := q.db.Query(ctx, `SELECT `+auditColumns+` FROM audit_logs WHERE org_id = $1 AND entity_id = $2 ORDER BY seq DESC LIMIT $3`, orgID, entityID, limit)
	if err != nil {
		return nil, translate(err, "", "")
	}
	entries, err := pgx.CollectRows(rows, scanAudit)
	return entries, translate(err, "", "")
}
