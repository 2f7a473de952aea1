package postgres

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// RemoveOldLog removes up to limit entries of the log that are past the retention period of their
// organization's tier, both at now and by the database's clock, and returns how many. The database
// rejects the removal of every younger entry (00014_rotation_and_retention.sql).
func (s *Store) RemoveOldLog(ctx context.Context, now time.Time, limit int) (int, error) {
	n := 0
	err := s.InTx(ctx, func(t *Tx) error {
		if _, err := t.db.Exec(ctx,
			`SELECT set_config('dcvaas.retention', 'on', true)`); err != nil {
			return err
		}
		tag, err := t.db.Exec(ctx, `
			WITH of_gone AS MATERIALIZED (
				SELECT id FROM audit_logs WHERE created_at < least(now(), $5::timestamptz) - $2::interval LIMIT $1
			), of_tiers AS MATERIALIZED (
				SELECT a.id FROM organizations o CROSS JOIN LATERAL (
					SELECT id FROM audit_logs WHERE org_id = o.id
						AND created_at < least(now(), $5::timestamptz) - CASE o.subscription_tier WHEN 'free' THEN $3::interval WHEN 'pro' THEN $4::interval ELSE $2::interval END
					LIMIT $1) a
				LIMIT $1
			)
			DELETE FROM audit_logs WHERE id IN (SELECT id FROM of_gone UNION (SELECT id FROM of_tiers) LIMIT $1)`,
			limit, controlplane.TierAgency.LogKept(), controlplane.TierFree.LogKept(),
			controlplane.TierPro.LogKept(), now)
		n = int(tag.RowsAffected())
		return err
	})
	return n, err
}
