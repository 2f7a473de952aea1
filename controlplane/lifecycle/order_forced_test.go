package lifecycle_test

import (
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// held returns a governed world in which the limits of both CAs are used up for a week, and the
// certificates of n domains that are in the last quarter of their lifetimes and are due.
func held(t *testing.T, n int) (*world, *governor, []*controlplane.Domain) {
	t.Helper()
	w, g := newGoverned(t)
	var domains []*controlplane.Domain
	for _, name := range []string{"a.example.com", "b.example.com", "c.example.com"}[:n] {
		domains = append(domains, w.active(name))
	}
	w.clock.set(domains[0].ExpiresAt.Add(-20 * day))
	g.set(func(g *governor) {
		g.waits = map[string]time.Duration{"primary": 7 * day, "backup": 8 * day}
	})
	if got, err := w.Sweep(t.Context()); got != n || err != nil {
		t.Fatalf("Sweep = %d, %v, want %d", got, err, n)
	}
	return w, g, domains
}

// If the counted limits rule out all CAs for too long, one order is forced at each CA in 5 minutes.
func TestOrderIsForced(t *testing.T) {
	t.Parallel()
	w, g, domains := held(t, 3)
	placed := len(w.ca.runs())
	for i, want := range []controlplane.JobStatus{controlplane.JobSucceeded,
		controlplane.JobSucceeded, controlplane.JobQueued} {
		j := w.run(domains[i], controlplane.JobRenewal)
		if j.Status != want {
			t.Errorf("renewal %d = %s (%s), want %s", i, j.Status, j.Reason, want)
		}
	}
	if got := w.ca.runs()[placed:]; !slices.Equal(got, []string{"primary", "backup"}) {
		t.Errorf("orders at %q, want one at each CA", got)
	}
	if want := []string{"count primary", "count backup"}; !slices.Equal(g.calls, want) {
		t.Errorf("calls of the governor = %q, want %q", g.calls, want)
	}
	j := w.job(domains[2], controlplane.JobRenewal)
	wantJob(t, j, controlplane.JobQueued, "ca-quota", 0)
	if wait := j.RunAt.Sub(w.clock.Now()); wait != 5*day {
		t.Errorf("job is deferred for %s, want a quarter of 20 days", wait)
	}
	if got, err := w.Store.ForcedAttempts(t.Context()); err != nil || got["primary"] != 1 ||
		got["backup"] != 1 {
		t.Errorf("ForcedAttempts = %v, %v, want 1 at each CA", got, err)
	}
	wantJob(t, w.runDue(domains[2], controlplane.JobRenewal), controlplane.JobSucceeded, "", 0)
}

// A forced order does not bypass a wait within the bound.
func TestOrderIsNotForced(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*world, *governor, *controlplane.Domain){
		"a wait within the bound": func(_ *world, g *governor, _ *controlplane.Domain) {
			g.set(func(g *governor) { g.waits["backup"] = 4 * day })
		},
		"not in the last quarter": func(w *world, _ *governor, d *controlplane.Domain) {
			w.clock.set(d.ExpiresAt.Add(-25 * day))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, g, domains := held(t, 1)
			change(w, g, domains[0])
			placed := len(w.ca.runs())
			wantJob(t, w.run(domains[0], controlplane.JobRenewal), controlplane.JobQueued,
				"ca-quota", 0)
			if n := len(w.ca.runs()) - placed; n != 0 {
				t.Errorf("%d orders were placed, want 0", n)
			}
		})
	}
}

// A forced order does not bypass the hold of an operator, but a rejection over an unknown limit.
func TestHoldsAndForcedOrders(t *testing.T) {
	t.Parallel()
	w, _, domains := held(t, 1)
	for _, ca := range []string{"primary", "backup"} {
		must(t, w.HoldCA(t.Context(), alice, ca, "maintenance", nil))
	}
	placed := len(w.ca.runs())
	wantJob(t, w.run(domains[0], controlplane.JobRenewal), controlplane.JobQueued, "ca-held", 0)
	if n := len(w.ca.runs()) - placed; n != 0 {
		t.Errorf("%d orders were placed at held CAs, want 0", n)
	}

	w, g, domains := held(t, 1)
	g.set(func(g *governor) { g.limit = controlplane.LimitByCA })
	wantJob(t, w.run(domains[0], controlplane.JobRenewal), controlplane.JobSucceeded, "", 0)
}

// A CA that refuses does not keep an order from the other one until the certificate has expired: it
// is forced there, in the same run.
func TestOrderIsForcedAfterARefusal(t *testing.T) {
	t.Parallel()
	for class, want := range map[controlplane.VerdictClass]controlplane.JobStatus{
		controlplane.VerdictPolicy: controlplane.JobSucceeded,
		controlplane.VerdictDNS:    controlplane.JobSucceeded,
		// It may issue in a moment.
		controlplane.VerdictUnreachable: controlplane.JobQueued,
	} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			w, g, domains := held(t, 1)
			g.set(func(g *governor) { delete(g.waits, "primary") })
			w.ca.reject(map[string]verdict{"primary": refuses(class)})
			placed := len(w.ca.runs())
			j := w.run(domains[0], controlplane.JobRenewal)
			if j.Status != want {
				t.Errorf("renewal = %s (%s), want %s", j.Status, j.Reason, want)
			}
			orders := []string{"primary", "backup"}[:len(w.ca.runs())-placed]
			if got := w.ca.runs()[placed:]; !slices.Equal(got, orders) ||
				(len(got) == 2) != (want == controlplane.JobSucceeded) {
				t.Errorf("orders at %q, want the primary and, if it refused, the backup", got)
			}
		})
	}
}

// A CA's Retry-After of 30 days does not postpone the job by 30 days.
func TestRetryAfterIsBounded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		left time.Duration // of the certificate; 0: without one
		want time.Duration
	}{"first certificate": {0, time.Hour}, "2 h left": {2 * time.Hour, 30 * time.Minute},
		"20 days left": {20 * day, 5 * day}} {
		for _, class := range []controlplane.VerdictClass{controlplane.VerdictUnreachable,
			controlplane.VerdictRateLimited, controlplane.VerdictRequest} {
			t.Run(name+" "+string(class), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.ca.names = w.ca.names[:1]
				d, kind := w.issuing("example.com"), controlplane.JobStartIssuance
				if tt.left != 0 {
					w.run(d, kind)
					d, kind = w.domain(d), controlplane.JobRenewal
					w.clock.set(d.ExpiresAt.Add(-tt.left))
					if n, err := w.Sweep(t.Context()); n != 1 || err != nil {
						t.Fatalf("Sweep = %d, %v, want 1", n, err)
					}
				}
				v := verdictOf(class)
				v.RetryAt = w.clock.Now().Add(30 * day)
				w.ca.rejectAll(v)
				j := w.run(d, kind)
				if wait := j.RunAt.Sub(w.clock.Now()); j.Status != controlplane.JobQueued ||
					wait != tt.want {
					t.Errorf("job = %s (%s), due in %s, want %s", j.Status, j.Reason, wait, tt.want)
				}
				w.ca.answer(nil)
				if j := w.runDue(d, kind); j.Status != controlplane.JobSucceeded {
					t.Errorf("job = %s (%s), want success", j.Status, j.Reason)
				}
			})
		}
	}
}

// A CA that is over its limit is waited for briefly once. After that, the other one is used.
func TestLimitIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	limited := verdictOf(controlplane.VerdictRateLimited)
	limited.RetryAt = start.Add(30 * time.Second)
	w.ca.reject(map[string]verdict{"primary": limited})
	wantJob(t, w.run(d, controlplane.JobStartIssuance), controlplane.JobQueued, "ca-rate-limited",
		0)
	limited.RetryAt = start.Add(time.Minute)
	w.ca.reject(map[string]verdict{"primary": limited})
	wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
}

// The domain shows the verdict of the party that must act, of the most preferred CA.
func TestDecisiveVerdict(t *testing.T) {
	t.Parallel()
	away, dns := verdictOf(controlplane.VerdictUnreachable), refuses(controlplane.VerdictDNS)
	account, caa := refuses(controlplane.VerdictAccount), refuses(controlplane.VerdictCAAForbids)
	for name, tt := range map[string]struct {
		primary, backup verdict
		want            controlplane.Reason
		reason          controlplane.Reason // of the job
	}{
		"customer before the operator":    {account, dns, "ca-dns", "retry"},
		"the preferred CA's":              {dns, caa, "ca-dns", "retry"},
		"the preferred CA's, other order": {caa, dns, "ca-caa-forbids", "retry"},
		"operator before a CA":            {away, account, "ca-account", "ca-unreachable"},
		"customer before a CA":            {dns, away, "ca-dns", "ca-unreachable"},
		"a CA":                            {away, away, "ca-unreachable", "ca-unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			d := w.issuing("example.com")
			w.ca.reject(map[string]verdict{"primary": tt.primary, "backup": tt.backup})
			j := w.run(d, controlplane.JobStartIssuance)
			if j.Reason != tt.reason {
				t.Errorf("job reason = %s, want %s", j.Reason, tt.reason)
			}
			c := wantCondition(t, w.domain(d), controlplane.CertificateReady, "false", tt.want)
			if c.NextCheckAt == nil || !c.NextCheckAt.Equal(j.RunAt) {
				t.Errorf("condition = %+v, want the next check at %s", c, j.RunAt)
			}
		})
	}
}
