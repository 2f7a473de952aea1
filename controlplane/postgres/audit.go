package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const auditColumns = `id, seq, org_id, actor_type, actor_id, ip, action, entity_type, entity_id, before, after, details, request_id, created_at`

func scanAudit(row pgx.CollectableRow) (controlplane.AuditEntry, error) {
	var a controlplane.AuditEntry
	err := row.Scan(&a.ID, &a.Seq, &a.OrgID, &a.Actor.Type, &a.Actor.ID, &a.Actor.IP, &a.Action,
		&a.EntityType, &a.EntityID,
		&a.Before, &a.After, &a.Details, &a.Actor.RequestID, &a.CreatedAt)
	return a, err
}

// Audit appends entries to the log. The database rejects every change of an entry that is stored.
func (q queries) Audit(ctx context.Context, entries ...controlplane.AuditEntry) error {
	for i := range entries {
		if _, err := q.db.Exec(ctx, insertEntry, entryArgs(&entries[i])); err != nil {
			return translate(err, "", "")
		}
	}
	return nil
}

// insertEntry appends one entry, with entryArgs. A FROM clause may follow it.
const insertEntry = `INSERT INTO audit_logs (id, org_id, actor_type, actor_id, ip, action, entity_type, entity_id,
		before, after, details, request_id, created_at)
	SELECT @entry_id, @entry_org_id, @actor_type, @actor_id, @actor_ip, @action, @entity_type, @entity_id,
		@before, @after, @details, @entry_request_id, @entry_created_at`

func entryArgs(a *controlplane.AuditEntry) named {
	return named{"entry_id": a.ID, "entry_org_id": a.OrgID, "actor_type": a.Actor.Type,
		"actor_id": a.Actor.ID,
		"actor_ip": a.Actor.IP, "action": a.Action, "entity_type": a.EntityType,
		"entity_id": a.EntityID,
		"before":    a.Before, "after": a.After, "details": a.Details,
		"entry_request_id": a.Actor.RequestID, "entry_created_at": a.CreatedAt}
}
