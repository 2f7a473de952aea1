package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// in creates an organization with the domain limit and makes it the world's.
func (w *world) in(limit int) *world {
	w.org = w.organization(limit)
	return w
}

// spend counts n orders against the organization's budget until the given time.
func (w *world) spend(n int, until time.Time) {
	w.t.Helper()
	w.exec(`INSERT INTO order_budget (org_id, until, orders) VALUES ($1, $2, $3)`, w.org, until, n)
}

func (w *world) spent() int {
	w.t.Helper()
	return value[int](w, `SELECT coalesce(sum(orders), 0) FROM order_budget WHERE org_id = $1`,
		w.org)
}

// Adding, issuing, and deleting domains gives no more certificates than the budget, which does not
// depend on the domains or on Redis. Further jobs are deferred one after the other.
func TestBudgetSurvivesDomains(t *testing.T) {
	t.Parallel()
	w := newWorld(t).in(3)
	var waiting []*controlplane.Domain
	issued := 0
	for n := 0; n < 25 && len(waiting) < 3; n++ {
		w.clock.add(10 * time.Minute)
		d := w.issuing(fmt.Sprintf("d%d.example.com", n))
		if w.run(d, controlplane.JobStartIssuance).Status != controlplane.JobSucceeded {
			waiting = append(waiting, d)
			continue
		}
		issued++
		must(t, w.DeleteDomain(t.Context(), alice, w.org, d.ID, 0))
	}
	if issued != 12 || len(w.ca.runs()) != 12 {
		t.Fatalf("%d certificates from %d orders, want 12 of each", issued, len(w.ca.runs()))
	}
	for i, d := range waiting {
		j := w.job(d, controlplane.JobStartIssuance)
		wantJob(t, j, controlplane.JobQueued, controlplane.ReasonOrderBudget, 0)
		placed := start.Add(time.Duration(i+1) * 10 * time.Minute)
		if over := j.RunAt.Sub(placed.Add(day)); over < 0 || over > 5*time.Minute {
			t.Errorf("job %d is deferred until %s, want within 5 minutes after %s", i, j.RunAt,
				placed.Add(day))
		}
		c := wantCondition(t, w.domain(d), controlplane.CertificateReady,
			"false", controlplane.ReasonOrderBudget)
		if c.NextCheckAt == nil || !c.NextCheckAt.Equal(j.RunAt) ||
			!strings.Contains(c.Message, "12 orders") {
			t.Errorf("condition = %+v, want the next check at %s", c, j.RunAt)
		}
		if e := w.last(j.ID); e.Action != controlplane.ActionJobWaiting ||
			e.Details["code"] != controlplane.ReasonOrderBudget {
			t.Errorf("last entry = %+v, want job.waiting for the budget", e)
		}
	}

	// Another request keeps the job's time.
	first, last := w.job(waiting[0], controlplane.JobStartIssuance).RunAt,
		w.job(waiting[2], controlplane.JobStartIssuance).RunAt
	_, _, err := w.RequestIssue(t.Context(), alice, w.org, waiting[2].ID)
	must(t, err)
	if j := w.run(waiting[2], controlplane.JobStartIssuance); !j.RunAt.Equal(last) ||
		j.Reason != controlplane.ReasonOrderBudget {
		t.Errorf("after another request: job due at %s (%s), want %s", j.RunAt, j.Reason, last)
	}
	w.clock.set(first)
	_, _, err = w.RequestIssue(t.Context(), alice, w.org, waiting[2].ID)
	must(t, err)
	if j := w.run(waiting[2], controlplane.JobStartIssuance); !j.RunAt.Equal(last) {
		t.Errorf("last job is due at %s, want %s, after the first one", j.RunAt, last)
	}
	for _, d := range waiting {
		wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
	}
}

// Deleting the organization and signing in again does not reset the budget.
func TestBudgetSurvivesTheOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sign := func() {
		t.Helper()
		session, _, err := w.SignIn(t.Context(), controlplane.Actor{},
			"test", controlplane.GitHubAccount{ID: 7, Login: "mallory"})
		must(t, err)
		w.org = session.OrgID
	}
	for round := range 3 {
		sign()
		for n := range 4 {
			d := w.issuing(fmt.Sprintf("d%d.example.com", n%3))
			w.run(d, controlplane.JobStartIssuance)
			must(t, w.DeleteDomain(t.Context(), alice, w.org, d.ID, 0))
		}
		if got := w.spent(); got != 4*(round+1) {
			t.Errorf("round %d: %d orders count, want %d", round, got, 4*(round+1))
		}
		must(t, w.DeleteOrganization(t.Context(), alice, w.org, "mallory"))
	}
	sign()
	d := w.issuing("last.example.com")
	wantJob(t, w.run(d, controlplane.JobStartIssuance), controlplane.JobQueued,
		controlplane.ReasonOrderBudget, 0)
	if n := len(w.ca.runs()); n != 12 {
		t.Errorf("%d orders, want 12", n)
	}
	w.clock.add(day + 5*time.Minute)
	must(t, w.Tidy(t.Context()))
	if n := value[int](w, `SELECT count(*) FROM order_budget`); n != 0 {
		t.Errorf("%d expired budget rows are left, want 0", n)
	}
	wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
}

// A due renewal needs no budget and does not count. A revoked certificate can be replaced beyond
// the budget, up to a limit, because customers decide when they revoke.
func TestBudgetOfDueRenewals(t *testing.T) {
	t.Parallel()
	w := newWorld(t).in(1)
	d := w.active("example.com")
	if got := w.spent(); got != 1 {
		t.Errorf("%d orders count after the first certificate, want 1", got)
	}
	w.clock.set(*d.RenewAt)
	w.spend(10, w.clock.Now().Add(day))
	before := w.spent()
	if n, err := w.Sweep(t.Context()); n != 1 || err != nil {
		t.Fatalf("Sweep = %d, %v, want 1", n, err)
	}
	wantJob(t, w.runDue(d, controlplane.JobRenewal), controlplane.JobSucceeded, "", 0)
	if got := w.spent(); got != before {
		t.Errorf("%d orders count after a due renewal, want %d", got, before)
	}

	// A renewal that is not due is deferred until it is due at the latest.
	w.clock.add(2 * time.Hour)
	soon := w.clock.Now().Add(time.Hour)
	w.exec(`UPDATE domains SET renew_at = $1`, soon)
	_, _, err := w.RequestRenew(t.Context(), alice, w.org, d.ID)
	must(t, err)
	if j := w.run(d, controlplane.JobRenewal); j.Reason != controlplane.ReasonOrderBudget ||
		!j.RunAt.Equal(soon) {
		t.Errorf("renewal is deferred until %s (%s), want %s", j.RunAt, j.Reason, soon)
	}
	wantCondition(t, w.domain(d), controlplane.RenewalOnTrack, "true", "order-budget")
	wantJob(t, w.runDue(d, controlplane.JobRenewal), controlplane.JobSucceeded, "", 0)

	replaced := 0
	for ; replaced < 30; replaced++ {
		w.exec(`UPDATE certificates SET revoked_at = $1 WHERE replaced_by = ''`, w.clock.Now())
		if _, _, err := w.RequestRenew(t.Context(), alice, w.org, d.ID); err != nil {
			t.Fatalf("RequestRenew of a revoked certificate: %v", err)
		}
		if w.run(d, controlplane.JobRenewal).Status != controlplane.JobSucceeded {
			break
		}
	}
	if replaced != 10 {
		t.Errorf("%d certificates were revoked and replaced, want 10", replaced)
	}
	if j := w.job(d, controlplane.JobRenewal); j.Reason != controlplane.ReasonOrderBudget ||
		!j.RunAt.After(w.clock.Now()) {
		t.Errorf("last replacement is due at %s (%s), want it deferred for the budget", j.RunAt,
			j.Reason)
	}
}

// The orders of a job count once, at any CA, and only if a CA created one.
func TestBudgetCountsCreatedOrders(t *testing.T) {
	t.Parallel()
	made := func(v verdict) func(context.Context, *controlplane.Order, controlplane.Journal) error {
		return func(ctx context.Context, o *controlplane.Order, j controlplane.Journal) error {
			if o.CA == "backup" {
				return nil
			}
			o.Step, o.OrderURL = controlplane.StepOrdered, "https://ca.example/order/"+o.ID
			if err := j.Save(ctx, o); err != nil {
				return err
			}
			v.CA = o.CA
			return v
		}
	}
	away := verdictOf(controlplane.VerdictUnreachable)
	for name, tt := range map[string]struct {
		answer func(context.Context, *controlplane.Order, controlplane.Journal) error
		refuse map[string]verdict
		wait   bool // the CAs' limits are reached
		status controlplane.JobStatus
		want   int
	}{
		"no problem": {nil, nil, false, controlplane.JobSucceeded, 1},
		"first unreachable": {nil, map[string]verdict{"primary": away}, false,
			controlplane.JobSucceeded, 1},
		"both unreachable": {nil, map[string]verdict{"primary": away, "backup": away},
			false, controlplane.JobQueued, 0},
		"the first fails with an order": {made(away), nil, false, controlplane.JobSucceeded, 1},
		"rejected with an order": {made(refuses(controlplane.VerdictRequest)), nil, false,
			controlplane.JobSucceeded, 1},
		"the CAs' limits are reached": {nil, nil, true, controlplane.JobQueued, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, g := newGoverned(t)
			d := w.issuing("example.com")
			if w.ca.answer(tt.answer); tt.refuse != nil {
				w.ca.reject(tt.refuse)
			}
			if tt.wait {
				g.set(func(g *governor) {
					g.waits = map[string]time.Duration{"primary": time.Hour,
						"backup": time.Hour}
				})
			}
			if j := w.run(d, controlplane.JobStartIssuance); j.Status != tt.status {
				t.Errorf("job status = %s (%s), want %s", j.Status, j.Reason, tt.status)
			}
			if got := w.spent(); got != tt.want {
				t.Errorf("%d orders count, want %d", got, tt.want)
			}
		})
	}
}

// A certificate that is not due can be renewed once an hour, with any request.
func TestRenewedOnceAnHour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	renew := func() error {
		_, _, err := w.RequestRenew(t.Context(), alice, w.org,
			d.ID)
		return err
	}
	issue := func() error {
		_, _, err := w.RequestIssue(t.Context(), alice, w.org,
			d.ID)
		return err
	}
	run := func() {
		t.Helper()
		j, err := w.Store.OpenJob(t.Context(), w.org, d.ID, controlplane.JobRenewal.Slot())
		must(t, err)
		wantJob(t, w.run(d, j.Type), controlplane.JobSucceeded, "", 0)
	}
	must(t, renew())
	must(t, renew()) // it is in progress
	run()
	renewed := w.clock.Now()
	for n := range 11 {
		w.clock.add(2 * time.Second)
		for name, err := range map[string]error{"renew": renew(), "issue": issue()} {
			e := wantError(t, fmt.Sprintf("%s %d", name, n), err, controlplane.KindRateLimited,
				"renewed-recently")
			if !e.RetryAt.Equal(renewed.Add(time.Hour)) {
				t.Errorf("%s: retry at %s, want %s", name, e.RetryAt, renewed.Add(time.Hour))
			}
		}
	}
	if n := len(w.ca.runs()); n != 2 {
		t.Errorf("%d orders, want 2", n)
	}

	// Changed options, a revoked certificate, and a due renewal are exceptions.
	kt := controlplane.KeyEC384
	_, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
		lifecycle.DomainPatch{KeyType: &kt})
	must(t, err)
	must(t, renew())
	run()
	wantError(t, "with these options", renew(), controlplane.KindRateLimited, "renewed-recently")
	w.exec(`UPDATE certificates SET revoked_at = $1 WHERE replaced_by = ''`, w.clock.Now())
	must(t, issue())
	run()
	wantError(t, "after the replacement", issue(), controlplane.KindRateLimited, "renewed-recently")
	w.exec(`UPDATE domains SET renew_at = $1`, w.clock.Now())
	must(t, renew())
	run()
	wantError(t, "after it was due", renew(), controlplane.KindRateLimited, "renewed-recently")
	w.clock.add(time.Hour)
	must(t, renew())
	run()
}

// Restarting a dead-lettered job does not bypass the limit.
func TestRestartWithinTheHour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	over := verdictOf(controlplane.VerdictRequest)
	over.Over = true
	w.ca.rejectAll(over)
	_, _, err := w.RequestRenew(t.Context(), alice, w.org, d.ID)
	must(t, err)
	for range controlplane.MaxAttempts {
		w.runDue(d, controlplane.JobRenewal)
	}
	dead := w.job(d, controlplane.JobRenewal)
	wantJob(t, dead, controlplane.JobFailed, "dead-lettered", 4)
	w.ca.answer(nil)
	w.clock.add(time.Second)
	_, _, err = w.RequestRenew(t.Context(), alice, w.org, d.ID)
	must(t, err)
	wantJob(t, w.run(d, controlplane.JobRenewal), controlplane.JobSucceeded, "", 0)
	_, _, err = w.RestartJob(t.Context(), alice, w.org, dead.ID)
	wantError(t, "restart of the dead-lettered job", err, controlplane.KindRateLimited,
		"renewed-recently")
}

// A renewal is no longer due after its job was dead-lettered: further requests count, even if the
// certificate expired and is renewed only on request.
func TestBudgetCountsRequestsAfterADeadLetter(t *testing.T) {
	t.Parallel()
	w := newWorld(t).in(1)
	d := w.active("example.com", func(o *controlplane.Options) { o.AutoRenew = false })
	w.clock.set(d.ExpiresAt.Add(day))
	w.ca.answer(func(ctx context.Context, o *controlplane.Order, j controlplane.Journal) error {
		o.Step, o.OrderURL = controlplane.StepOrdered, "https://ca.example/order/"+o.ID
		over := verdictOf(controlplane.VerdictRequest)
		over.CA, over.Over = o.CA, true
		return errors.Join(j.Save(ctx, o), over)
	})
	orders := 0
	for orders < 100 {
		_, _, err := w.RequestRenew(t.Context(), alice, w.org, d.ID)
		must(t, err)
		j := w.run(d, controlplane.JobRenewal)
		if j.Reason == controlplane.ReasonOrderBudget {
			break
		}
		orders++
	}
	if orders != 4+10 {
		t.Errorf("%d orders were placed, want the 4 of the renewal that was due and the 10 of the budget", orders)
	}
}
