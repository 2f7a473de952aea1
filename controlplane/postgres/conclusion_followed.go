package postgres

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// concludeFollowed writes nothing if the domain's slot is taken by another job. Inserting the job
// shows whether it is, so the job that ends is locked before and changed after.
var concludeFollowed = `
	WITH held AS MATERIALIZED (
		SELECT d.id FROM domains d JOIN jobs j ON j.domain_id = d.id
		WHERE d.org_id = @org_id AND d.id = @domain_id AND d.version = @version AND d.claimed_by = @job
			AND j.id = @job AND CASE j.status WHEN 'running' THEN j.claimed_by = @worker END
		FOR NO KEY UPDATE OF d, j SKIP LOCKED
	), next AS (` + insertJob + ` FROM held
		ON CONFLICT (domain_id, slot) WHERE status IN ('queued', 'running') DO NOTHING
		RETURNING id
	), ` + endJob(completed.set, "next") + `
	, dom AS (` + concludeDomain + `), ` + concludeDelegation + `
	, entry AS (` + insertEntry + ` FROM job)
	SELECT id FROM job`

// ConcludeFollowed is Conclude for a job that is completed, with one entry, and that another job of
// its domain follows. It also writes nothing, and returns false, if the domain has an open job in
// that slot.
func (s *Store) ConcludeFollowed(
	ctx context.Context, c *Claim, k Conclusion, next *controlplane.Job, now time.Time,
) (bool, error) {
	if len(k.Entries) != 1 || k.Outcome.how != &completed {
		return false, nil
	}
	args, err := concludeArgs(c, k.Domain, now, k.Outcome.args, k.checksArgs(),
		entryArgs(&k.Entries[0]), jobArgs(next))
	if err != nil {
		return false, err
	}
	return s.conclude(ctx, c, concludeFollowed, args)
}
