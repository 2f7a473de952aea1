package lifecycle_test

import (
	"context"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// Domains whose jobs wait because the validation zone does not answer are counted for the operator,
// until the zone answers: those of first checks, of checks of active domains, of preflights, and of
// orders whose challenge is not served. Other waits are not counted.
func TestUnservedDomains(t *testing.T) {
	t.Parallel()
	var noneServe bool
	w := newWorld(t, func(c *lifecycle.Config) { c.Visible = noneVisible(&noneServe) })
	count := func(when string, want int) {
		t.Helper()
		if got, err := w.Store.CountUnserved(t.Context()); err != nil || got != want {
			t.Errorf("CountUnserved %s = %d, %v, want %d", when, got, err, want)
		}
	}
	active, ordering := w.active("active.example.com"), w.issuing("ordering.example.com")
	publishing, pending := w.issuing("publishing.example.com"), w.add("pending.example.com")
	count("before", 0)

	noneServe = true
	w.ca.answer(func(ctx context.Context, o *controlplane.Order, j controlplane.Journal) error {
		return j.Publish(ctx, o)
	})
	wantJob(t, w.run(publishing, controlplane.JobStartIssuance), controlplane.JobQueued,
		"zone-not-answering", 0)
	count("with one challenge", 1)

	w.doctor.finds(controlplane.CauseTargetNotServed)
	w.exec(`UPDATE domains SET rehearse_at = $1 WHERE id = $2`, w.clock.Now(), active.ID)
	_, err := w.Rehearse(t.Context())
	must(t, err)
	w.clock.add(2 * time.Minute) // a fresh check is not repeated
	for _, one := range []struct {
		d    *controlplane.Domain
		kind controlplane.JobType
	}{{pending, controlplane.JobDNSCheck}, {active, controlplane.JobDNSCheck},
		{ordering, controlplane.JobStartIssuance}} {
		wantJob(t, w.runDue(one.d, one.kind), controlplane.JobQueued,
			controlplane.CauseTargetNotServed, 0)
	}
	count("with all kinds of checks", 4)

	w.doctor.finds(controlplane.CauseResolverUnreachable)
	w.runDue(pending, controlplane.JobDNSCheck)
	count("with one of them waiting for the resolvers", 3)

	noneServe = false
	w.doctor.finds("")
	w.ca.answer(nil)
	w.clock.set(w.job(active, controlplane.JobDNSCheck).RunAt)
	w.passes(active)
	for _, d := range []*controlplane.Domain{ordering, publishing} {
		w.runDue(d, controlplane.JobStartIssuance)
	}
	count("after", 0)
}
