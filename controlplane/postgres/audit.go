package postgres

import (
	"context"
	"fmt"
	"strings"

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

// Audit appends entries to the log. Nothing that is there can be changed: the database
// refuses it.
func (q queries) Audit(ctx context.Context, entries ...controlplane.AuditEntry) error {
	for i := range entries {
		if _, err := q.db.Exec(ctx, audit, auditArgs(&entries[i])...); err != nil {
			return translate(err, "", "")
		}
	}
	return nil
}

const insertAudit = `INSERT INTO audit_logs (id, org_id, actor_type, actor_id, ip, action, entity_type, entity_id, before, after, details, request_id, created_at)`

var audit = insertAudit + ` VALUES (` + auditPlaces(1) + `)`

// entryArgs is how many arguments auditArgs gives.
const entryArgs = 13

// auditPlaces are the places of auditArgs, from the given one on.
func auditPlaces(first int) string { return places(first, entryArgs) }

// places are n places of arguments, from the given one on.
func places(first, n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("$%d", first+i)
	}
	return strings.Join(all, ", ")
}

func auditArgs(a *controlplane.AuditEntry) []any {
	return []any{a.ID, a.OrgID, a.Actor.Type, a.Actor.ID, a.Actor.IP, a.Action, a.EntityType, a.EntityID, a.Before, a.After, a.Details, a.Actor.RequestID, a.CreatedAt}
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
