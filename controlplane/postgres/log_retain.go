package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// retainOrganizations is how many organizations one call of RemoveOldLog visits.
const retainOrganizations = 500

// RemoveOldLog removes up to limit entries of the log that are past the retention period of their
// organization's tier, both at now and by the database's clock. It returns how many, and whether
// more may remain. The database rejects the removal of every younger entry
// (00014_rotation_and_retention.sql).
//
// Its cost grows with what it removes: it visits the organizations whose oldest entry was due, and
// notes when the next one is (organizations.log_due_at).
func (s *Store) RemoveOldLog(
	ctx context.Context, now time.Time, limit int,
) (n int, more bool, err error) {
	err = s.InTx(ctx, func(t *Tx) error {
		n, more = 0, false
		due, err := all(ctx, t.queries, pgx.RowTo[string], dueLogs,
			named{"now": now, "limit": retainOrganizations})
		if err != nil {
			return err
		}
		args := named{"now": now, "limit": limit, "due": due, "free": controlplane.TierFree.LogKept(),
			"pro": controlplane.TierPro.LogKept(), "agency": controlplane.TierAgency.LogKept()}
		if _, err := t.db.Exec(ctx,
			`SELECT set_config('dcvaas.retention', 'on', true)`); err != nil {
			return err
		}
		tag, err := t.db.Exec(ctx, removeOldLog, args)
		if err != nil {
			return err
		}
		n = int(tag.RowsAffected())
		if more = n == limit; more || len(due) == 0 {
			return nil
		}
		delete(args, "limit")
		tag, err = t.db.Exec(ctx, postponeLogs, args)
		more = len(due) == retainOrganizations && tag.RowsAffected() > 0
		return err
	})
	return n, more, translate(err, "", "")
}

// logKept is the retention period of an organization o.
const logKept = `CASE o.subscription_tier WHEN 'free' THEN @free::interval WHEN 'pro' THEN @pro::interval ELSE @agency::interval END`

const (
	dueLogs = `SELECT id FROM organizations WHERE log_due_at <= least(now(), @now::timestamptz)
		ORDER BY log_due_at LIMIT @limit`

	// The entries of deleted organizations are found by their age alone.
	removeOldLog = `
		WITH of_gone AS MATERIALIZED (
			SELECT id FROM audit_logs WHERE created_at < least(now(), @now::timestamptz) - @agency::interval LIMIT @limit
		), of_due AS MATERIALIZED (
			SELECT a.id FROM organizations o CROSS JOIN LATERAL (
				SELECT id FROM audit_logs WHERE org_id = o.id AND created_at < least(now(), @now::timestamptz) - ` + logKept + `
				LIMIT @limit) a
			WHERE o.id = ANY(@due) LIMIT @limit
		)
		DELETE FROM audit_logs WHERE id IN (SELECT id FROM of_gone UNION (SELECT id FROM of_due) LIMIT @limit)`

	// An entry that is written later is not older than now. An organization that is locked remains
	// due.
	postponeLogs = `
		WITH due AS MATERIALIZED (
			SELECT o.id, ` + logKept + ` AS kept FROM organizations o WHERE o.id = ANY(@due) FOR NO KEY UPDATE SKIP LOCKED
		)
		UPDATE organizations o SET log_due_at = due.kept + coalesce(
			(SELECT min(created_at) FROM audit_logs WHERE org_id = o.id), least(now(), @now::timestamptz))
		FROM due WHERE o.id = due.id`
)
