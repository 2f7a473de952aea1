package postgres_test

import (
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// Indexes that contain columns that change keep few dead entries: after many changes of the status
// of jobs and domains, and a vacuum, dispatch, claims, and the sweep access at most 1.5 times as
// many blocks as before.
func TestBlocksAfterManyChanges(t *testing.T) {
	t.Parallel()
	const rows, rounds = 500, 5 // four changes of each job, and three of each domain, in each round
	d := open(t)
	d.exec(`ALTER TABLE domains DISABLE TRIGGER USER`)
	d.exec(`ALTER TABLE jobs DISABLE TRIGGER USER`)
	d.fill(d.org, rows, "renew_at", `now() + n * interval '1 minute'`)
	d.exec(`INSERT INTO jobs (id, org_id, domain_id, type, slot, queue, run_at)
		SELECT 'job_' || md5(id), org_id, id, 'renewal', 'certificate', 'bulk', now() FROM domains`)
	now := time.Now().Add(30 * 24 * time.Hour)
	measure := func() map[string]int {
		t.Helper()
		d.exec(`VACUUM ANALYZE jobs`)
		d.exec(`VACUUM ANALYZE domains`)
		id := value[string](d, `SELECT min(id) FROM jobs`)
		out := map[string]int{}
		for name, explain := range map[string]func() (string, error){
			"claim": func() (string, error) {
				return d.ExplainClaim(t.Context(), id, value[int](d, `SELECT min(generation) FROM jobs`))
			},
			"dispatch": func() (string, error) {
				return d.PlanDispatch(t.Context(), t)(now, []postgres.Lane{
					{Queue: controlplane.QueueBulk, Room: 50}})
			},
			"sweep":              func() (string, error) { return d.ExplainRenewals(t.Context(), now, 50) },
			"sweep without work": func() (string, error) { return d.ExplainRenewals(t.Context(), start, 50) },
		} {
			plan, err := explain()
			d.must(err)
			if name == "dispatch" {
				out[name] = d.blocks(plan)
			} else {
				out[name] = blocks(plan)
			}
		}
		return out
	}
	fresh := measure()
	for range rounds {
		for _, sql := range []string{
			`UPDATE jobs SET dispatched_at = now()`,
			`UPDATE jobs SET status = 'running', claimed_by = 'w', claimed_until = now() + interval '1 minute', updated_at = now()`,
			`UPDATE domains SET renewal_queued = true, status = 'error'`,
			`UPDATE jobs SET status = 'failed', claimed_by = '', claimed_until = NULL, updated_at = now()`,
			`UPDATE domains SET status = 'active'`,
			`UPDATE jobs SET status = 'queued', dispatched_at = NULL, run_at = run_at + interval '1 minute'`,
			`UPDATE domains SET renewal_queued = false, renew_at = renew_at + interval '1 hour'`,
		} {
			d.exec(sql)
		}
	}
	for name, after := range measure() {
		t.Logf("%s: %d blocks fresh, %d after %d changes", name, fresh[name], after,
			rows*rounds*7)
		if after*2 > fresh[name]*3 {
			t.Errorf("%s accesses %d blocks after many changes, and %d before, want at most 1.5 times as many",
				name, after, fresh[name])
		}
	}
}
