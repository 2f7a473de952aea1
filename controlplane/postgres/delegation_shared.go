package postgres

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	// isReady says that the last check of a delegation found nothing at all.
	isReady = `g.state = 'delegated' AND g.ready_at = g.last_checked_at`

	// mayWake bounds how often causes of one delegation are passed on: its zone can change them
	// with each query.
	mayWake = `(g.woken_at IS NULL OR g.woken_at < @now::timestamptz - interval '1 hour')`

	// sharedChecks are the checks of a domain's delegations on behalf of others, by name, if the
	// job is a rehearsal. Older ones than nine tenths of the domain's interval are left out.
	sharedChecks = `CASE WHEN j.type = 'dns_check' AND j.queue = 'bulk' THEN (
		SELECT jsonb_object_agg(g.name, g.ready || jsonb_build_object('diagnosis', g.diagnosis)) FROM delegations g
		WHERE g.org_id = d.org_id AND g.name = ANY(ARRAY(SELECT jsonb_object_keys(d.targets)) || d.name) AND ` + isReady + `
			AND g.ready->>'by' <> d.id AND g.ready_at > @now::timestamptz - 0.9 * d.rehearse_every) END`

	// wakeUsers makes the rehearsals of other active domains due that use a delegation in checked:
	// of all if a cause was found there, and of those that are not DNSReady if it was fixed. A
	// domain that is locked is skipped: its next rehearsal examines the delegation. If nothing
	// changed, which is known first, no domain is read.
	wakeUsers = `woken AS (
			UPDATE domains d SET rehearse_at = @now FROM (
				SELECT d.id FROM domains d
				WHERE (SELECT count(*) FROM checked c WHERE c.broke OR c.fixed) > 0
					AND d.org_id = @org_id AND d.id <> @domain_id AND d.status = 'active' AND d.rehearse_at > @now
					AND (d.id = ANY(` + usersOf + `broke)))) OR d.id = ANY(` + usersOf + `fixed))))
						AND NOT d.conditions @> '[{"type": "DNSReady", "status": "true"}]')
				FOR NO KEY UPDATE SKIP LOCKED
			) w WHERE d.id = w.id
		)`

	usersOf = `ARRAY(SELECT u.domain_id FROM domain_delegations u
						WHERE u.delegation_id = ANY(ARRAY(SELECT c.id FROM checked c WHERE c.`
)

var wakeUsersOf = `WITH checked AS (
		UPDATE delegations g SET woken_at = CASE WHEN @broke THEN @now ELSE g.woken_at END
		WHERE g.org_id = @org_id AND g.id = @id AND (NOT @broke::boolean OR ` + mayWake + `)
		RETURNING g.id, @broke::boolean AS broke, NOT @broke::boolean AS fixed
	), ` + wakeUsers + ` SELECT 1`

// WakeUsers makes the rehearsals of the domains that use a delegation due at now, as the conclusion
// of a domain's check does for others. The transaction has locked the delegation, which broke or,
// if not, was fixed.
func (t *Tx) WakeUsers(
	ctx context.Context, g *controlplane.Delegation, broke bool, now time.Time,
) error {
	_, err := t.db.Exec(ctx, wakeUsersOf, named{"org_id": g.OrgID, "id": g.ID, "domain_id": "",
		"broke": broke, "now": now})
	return translate(err, "delegation", g.ID)
}
