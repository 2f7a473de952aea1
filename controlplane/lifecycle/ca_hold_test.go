package lifecycle_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

var operator = controlplane.Actor{Type: controlplane.ActorSystem, ID: "admin:ops"}

// A CA on hold gets no orders: the next CA is used, and without one the job waits until the hold
// ends, which makes it due.
func TestHeldCA(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	until := start.Add(30 * time.Minute)
	must(t, w.HoldCA(t.Context(), operator, "primary", "They lose orders.", nil))
	wantJob(t, w.run(w.issuing("a.example.com"), controlplane.JobStartIssuance),
		controlplane.JobSucceeded, "", 0)
	if got := w.ca.runs(); !slices.Equal(got, []string{"backup"}) {
		t.Errorf("orders at %q, want only the backup", got)
	}

	must(t, w.HoldCA(t.Context(), operator, "backup", "", &until))
	d := w.issuing("b.example.com")
	j := w.run(d, controlplane.JobStartIssuance)
	wantJob(t, j, controlplane.JobQueued, controlplane.ReasonCAHeld, 0)
	c := w.domain(d).Condition(controlplane.CertificateReady)
	if c.Reason != controlplane.ReasonCAHeld ||
		c.Message != "The operator has put primary on hold: They lose orders." || c.Fix == "" ||
		j.RunAt.After(until) {
		t.Errorf("condition = %+v, job %+v; want the hold of the preferred CA, until %s", c, j, until)
	}
	if held, err := w.ReleaseCA(t.Context(), operator, "primary"); !held || err != nil {
		t.Errorf("ReleaseCA = %v, %v, want true", held, err)
	}
	if j := w.job(d, controlplane.JobStartIssuance); j.RunAt.After(w.clock.Now()) {
		t.Errorf("job is due at %s, want now: the CA was released", j.RunAt)
	}
	wantJob(t, w.run(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
	if got := w.ca.runs(); !slices.Equal(got, []string{"backup", "primary"}) {
		t.Errorf("orders at %q, want the released CA", got)
	}
	if held, err := w.ReleaseCA(t.Context(), operator, "primary"); held || err != nil {
		t.Errorf("ReleaseCA again = %v, %v, want false", held, err)
	}
	w.clock.set(until)
	if held, err := w.ReleaseCA(t.Context(), operator, "backup"); held || err != nil {
		t.Errorf("ReleaseCA after the end = %v, %v, want false", held, err)
	}
	err := w.HoldCA(t.Context(), operator, "primary", "", &start)
	if !controlplane.IsKind(err, controlplane.KindInvalid) {
		t.Errorf("HoldCA until a time that has passed = %v, want KindInvalid", err)
	}
}

// An order that was placed before the hold is finished.
func TestHoldKeepsOpenOrders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	slow := verdictOf(controlplane.VerdictSlow)
	slow.RetryAt = start.Add(30 * time.Second)
	w.ca.rejectAll(slow)
	wantJob(t, w.run(d, controlplane.JobStartIssuance), controlplane.JobQueued, "ca-slow", 0)
	must(t, w.HoldCA(t.Context(), operator, "primary", "", nil))
	w.ca.answer(nil)
	wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
	if w.ca.order(0).ID != w.ca.order(1).ID {
		t.Error("another order was placed, want the open one to be finished")
	}
}

// A name that a CA has paused gets no more orders there, in its organization, until a person
// requests its certificate or retries the job.
func TestPausedName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	paused := refuses(controlplane.VerdictPaused)
	paused.Code, paused.Fix = controlplane.ReasonCAPaused, "Unpause it at https://ca.example/unpause?jwt=x (the link expires)."
	paused.Message = "primary has paused orders for these names: Your account is temporarily prevented from requesting certificates for a.example.com and possibly others."
	w.ca.reject(map[string]verdict{"primary": paused})
	d := w.issuing("a.example.com")
	wantJob(t, w.run(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
	if got := w.ca.runs(); !slices.Equal(got, []string{"primary", "backup"}) {
		t.Fatalf("orders at %q, want the failover", got)
	}

	w.exec(`UPDATE domains SET renew_at = $1`, start)
	_, err := w.Sweep(t.Context())
	must(t, err)
	wantJob(t, w.runDue(d, controlplane.JobRenewal), controlplane.JobSucceeded, "", 0)
	if got := w.ca.runs()[2:]; !slices.Equal(got, []string{"backup"}) {
		t.Errorf("orders of the renewal at %q, want none at the CA that paused the name", got)
	}
	other := w.issuing("b.example.com")
	w.ca.answer(nil)
	w.run(other, controlplane.JobStartIssuance)
	if got := w.ca.runs()[3:]; !slices.Equal(got, []string{"primary"}) {
		t.Errorf("orders for another name at %q, want the CA", got)
	}

	w.clock.add(2 * time.Hour)
	_, _, err = w.RequestRenew(t.Context(), alice, w.org, d.ID)
	must(t, err)
	wantJob(t, w.run(d, controlplane.JobRenewal), controlplane.JobSucceeded, "", 0)
	if got := w.ca.runs()[4:]; !slices.Equal(got, []string{"primary"}) {
		t.Errorf("orders after the request at %q, want the CA again", got)
	}
}

// If every CA has paused the name, the job places no more orders and shows the link, and its retry
// clears the state.
func TestNamePausedEverywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	paused := refuses(controlplane.VerdictPaused)
	paused.Code, paused.Fix = controlplane.ReasonCAPaused, "Unpause it at https://ca.example/unpause?jwt=x (the link expires)."
	w.ca.rejectAll(paused)
	d := w.issuing("a.example.com")
	w.run(d, controlplane.JobStartIssuance)
	j := w.runDue(d, controlplane.JobStartIssuance)
	for range 3 {
		j = w.runDue(d, controlplane.JobStartIssuance)
	}
	wantJob(t, j, controlplane.JobQueued, controlplane.ReasonCAPaused, 1)
	if got := w.ca.runs(); len(got) != 2 {
		t.Errorf("orders at %q, want one at each CA", got)
	}
	c := w.domain(d).Condition(controlplane.CertificateReady)
	if c.Reason != controlplane.ReasonCAPaused || !strings.Contains(c.Fix, "unpause?jwt=x") {
		t.Errorf("condition = %+v, want the link to unpause", c)
	}
	w.ca.answer(nil)
	_, started, err := w.RestartJob(t.Context(), alice, w.org, j.ID)
	if !started || err != nil {
		t.Fatalf("RestartJob = %v, %v", started, err)
	}
	if _, started, err = w.RestartJob(t.Context(), alice, w.org, j.ID); started || err != nil {
		t.Errorf("RestartJob again = %v, %v, want false", started, err)
	}
	if n := w.count(j.ID, controlplane.ActionJobRetried); n != 1 {
		t.Errorf("retries in the log = %d, want 1", n)
	}
	w.run(d, controlplane.JobStartIssuance)
	if got := w.ca.runs()[2:]; !slices.Equal(got, []string{"primary"}) {
		t.Errorf("orders after the retry at %q, want the preferred CA", got)
	}
}

// An account that the CA rejects is probed with growing pauses, and the other CA is used meanwhile.
// The first order that the CA accepts ends this.
func TestUnusableAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rejected := refuses(controlplane.VerdictAccount)
	rejected.Code, rejected.AccountUnusable = controlplane.ReasonCAAccount, true
	rejected.Message = "primary rejected the ACME account: New terms."
	w.ca.reject(map[string]verdict{"primary": rejected})
	n := 0
	order := func() []string {
		t.Helper()
		n++
		before := len(w.ca.runs())
		d := w.issuing(strings.Repeat("a", n) + ".example.com")
		wantJob(t, w.run(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
		return w.ca.runs()[before:]
	}
	both, backup := []string{"primary", "backup"}, []string{"backup"}
	if got := order(); !slices.Equal(got, both) {
		t.Fatalf("orders at %q, want a failover", got)
	}
	accounts, err := w.Store.CAAccounts(t.Context())
	must(t, err)
	if len(accounts) != 1 || !accounts[0].Unusable || accounts[0].CA != "primary" ||
		!accounts[0].Since.Equal(start) || accounts[0].Message != rejected.Message {
		t.Fatalf("CAAccounts = %+v, want the unusable account", accounts)
	}
	for _, pause := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
		if got := order(); !slices.Equal(got, backup) {
			t.Errorf("orders before the probe at %q, want the backup", got)
		}
		w.clock.add(pause - time.Second)
		if got := order(); !slices.Equal(got, backup) {
			t.Errorf("orders a second before the probe at %q, want the backup", got)
		}
		w.clock.add(time.Second)
		if got := order(); !slices.Equal(got, both) {
			t.Errorf("orders after %s at %q, want a probe", pause, got)
		}
	}
	w.ca.answer(nil)
	w.clock.add(8 * time.Minute)
	for range 2 {
		if got := order(); !slices.Equal(got, []string{"primary"}) {
			t.Errorf("orders after the repair at %q, want the preferred CA", got)
		}
	}
	if accounts, err := w.Store.CAAccounts(t.Context()); len(accounts) != 0 || err != nil {
		t.Errorf("CAAccounts = %+v, %v, want none", accounts, err)
	}
}

// Rejections that may concern only what an order requests make the account unusable after orders of
// several unrelated domains.
func TestAccountIsUnusableByEvidence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rejected := refuses(controlplane.VerdictAccount)
	rejected.Code = controlplane.ReasonCAAccount
	bad := map[string]bool{"a.example.com": true, "b.example.com": true, "example.net": true,
		"example.org": true}
	w.ca.answer(func(_ context.Context, o *controlplane.Order, _ controlplane.Journal) error {
		if o.CA == "primary" && bad[o.Names[0]] {
			return rejected
		}
		return nil
	})
	order := func(name string) int {
		t.Helper()
		before := len(w.ca.runs())
		wantJob(t, w.run(w.issuing(name), controlplane.JobStartIssuance), controlplane.JobSucceeded,
			"", 0)
		return len(w.ca.runs()) - before
	}
	for _, name := range []string{"a.example.com", "b.example.com", "example.net"} {
		if n := order(name); n != 2 {
			t.Errorf("%d orders for %s, want a failover", n, name)
		}
	}
	if n := order("fine.example.com"); n != 1 || w.ca.runs()[6] != "primary" {
		t.Errorf("%d orders at %q, want the CA: two domains are not enough", n, w.ca.runs())
	}
	// The accepted order disproved it: it takes three unrelated domains again.
	for _, name := range []string{"www.example.net", "example.org"} {
		bad[name] = true
		order(name)
	}
	if accounts, err := w.Store.CAAccounts(t.Context()); err != nil || len(accounts) != 1 ||
		accounts[0].Unusable {
		t.Errorf("CAAccounts = %+v, %v, want no unusable one", accounts, err)
	}
	bad["example.edu"] = true
	order("example.edu")
	if n := order("good.example.com"); n != 1 || w.ca.runs()[len(w.ca.runs())-1] != "backup" {
		t.Errorf("orders at %q, want the last at the backup", w.ca.runs())
	}
}

// withoutReplacement is a CA that rejects the replacement and accepts the order without it.
func withoutReplacement(_ context.Context, o *controlplane.Order, _ controlplane.Journal) error {
	o.Replaces = ""
	return nil
}

// A replacement that the CA rejects is counted against the limits that it was exempt from. Only
// orders within the CA's window are exempt.
func TestExemptionsOfReplacements(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		start, end time.Duration // of the window, from the order
		exempt     bool
	}{
		"in the window":        {-time.Hour, time.Hour, true},
		"at its start":         {0, time.Hour, true},
		"before it":            {time.Second, time.Hour, false},
		"at its end":           {-time.Hour, 0, false},
		"after it, as revoked": {-time.Hour, -30 * time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, g := newGoverned(t)
			d := w.active("example.com")
			w.clock.add(2 * time.Hour)
			now := w.clock.Now()
			w.exec(`UPDATE domains SET ari_start = $1, ari_end = $2`, now.Add(tt.start),
				now.Add(tt.end))
			_, _, err := w.RequestRenew(t.Context(), alice, w.org, d.ID)
			must(t, err)
			g.set(func(g *governor) { g.requests, g.calls = nil, nil })
			w.ca.answer(withoutReplacement)
			w.run(d, controlplane.JobRenewal)
			if len(g.requests) != 1 || g.requests[0].Replaces != tt.exempt {
				t.Errorf("Reserve was called with %+v, want Replaces %v", g.requests, tt.exempt)
			}
			if !slices.Contains(g.calls, "count primary") {
				t.Errorf("calls of the governor = %q, want the order counted", g.calls)
			}
		})
	}
}
