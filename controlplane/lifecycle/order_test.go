package lifecycle_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// governor allows all orders unless the test sets how long they wait for the limits of a CA.
type governor struct {
	clock *clock

	mu       sync.Mutex
	waits    map[string]time.Duration // by CA
	limit    string                   // default LimitNewOrders
	bypassed bool
	err      error
	requests []controlplane.QuotaRequest
	calls    []string // "refund primary", …
	failed   []string // names with failed authorizations
}

func (g *governor) set(fn func(*governor)) { g.mu.Lock(); defer g.mu.Unlock(); fn(g) }

// Reserve implements lifecycle.Governor. It makes no reservation beyond the patience.
func (g *governor) Reserve(
	_ context.Context, q controlplane.QuotaRequest,
) (controlplane.QuotaDecision, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.requests = append(g.requests, q)
	if wait, ok := g.waits[q.CA]; ok && !g.bypassed {
		return controlplane.QuotaDecision{WaitUntil: g.clock.Now().Add(wait),
			Limit: cmp.Or(g.limit, controlplane.LimitNewOrders), Message: q.CA + " takes no more."}, g.err
	}
	account := q.Account
	if account == "" && len(q.Accounts) > 0 {
		account = q.Accounts[0]
	}
	return controlplane.QuotaDecision{OK: true, Account: account, Bypassed: g.bypassed}, g.err
}

// Refund implements lifecycle.Governor.
func (g *governor) Refund(_ context.Context, q controlplane.QuotaRequest, reachedCA bool) error {
	g.set(func(g *governor) {
		g.calls = append(g.calls,
			fmt.Sprintf("refund %s %v", q.CA, reachedCA))
	})
	return nil
}

// AuthorizationFailed implements lifecycle.Governor.
func (g *governor) AuthorizationFailed(_ context.Context, q controlplane.QuotaRequest) error {
	g.set(func(g *governor) {
		g.calls = append(g.calls, "failed "+q.CA)
		g.failed = append(g.failed, q.Names...)
	})
	return nil
}

// Count implements lifecycle.Governor.
func (g *governor) Count(_ context.Context, q controlplane.QuotaRequest) error {
	g.set(func(g *governor) { g.calls = append(g.calls, "count "+q.CA) })
	return nil
}

// Learn implements lifecycle.Governor: later orders wait as long as the verdict says.
func (g *governor) Learn(
	_ context.Context, q controlplane.QuotaRequest, v controlplane.Verdict,
) error {
	g.set(func(g *governor) {
		g.calls = append(g.calls, "learn "+q.CA)
		g.waits[q.CA] = max(v.RetryAt.Sub(g.clock.Now()), 2*time.Minute)
	})
	return nil
}

func newGoverned(t *testing.T) (*world, *governor) {
	t.Helper()
	g := &governor{waits: map[string]time.Duration{}}
	w := newWorld(t, func(c *lifecycle.Config) { c.Governor = g })
	g.clock = w.clock
	return w, g
}

// The limits of the CAs decide which CA gets the order, or until when it waits.
func TestChooseByTheLimits(t *testing.T) {
	t.Parallel()
	const never = 0
	for name, tt := range map[string]struct {
		waits    map[string]time.Duration
		prefer   string
		requests []string
		ran      string        // CA of the certificate; "" if the job is deferred
		wait     time.Duration // of the job
	}{
		"no limits":    {nil, "", []string{"primary"}, "primary", never},
		"preferred CA": {nil, "backup", []string{"backup"}, "backup", never},
		"first limited for long": {map[string]time.Duration{"primary": time.Hour},
			"", []string{"primary", "backup"}, "backup", never},
		"preferred CA limited for long": {map[string]time.Duration{"backup": time.Hour},
			"backup", []string{"backup", "primary"}, "primary", never},
		"first limited briefly": {map[string]time.Duration{
			"primary": 20 * time.Second}, "", []string{"primary"}, "", 20 * time.Second},
		"both for long, the second is sooner": {map[string]time.Duration{"primary": 3 * time.Hour,
			"backup": time.Hour}, "", []string{"primary", "backup"}, "", time.Hour},
		"both for long, the first is sooner": {map[string]time.Duration{"primary": time.Hour,
			"backup": 7 * day}, "", []string{"primary", "backup"}, "", time.Hour},
		"second limited briefly": {map[string]time.Duration{"primary": time.Hour,
			"backup": 5 * time.Second}, "", []string{"primary", "backup"}, "", 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, g := newGoverned(t)
			d := w.issuing("example.com", func(o *controlplane.Options) { o.CA = tt.prefer })
			if tt.waits != nil {
				g.set(func(g *governor) { g.waits = tt.waits })
			}
			j := w.run(d, controlplane.JobStartIssuance)
			var requests []string
			for i, q := range g.requests {
				requests = append(requests, q.CA)
				patient := i+1 == len(w.ca.names) // no CA follows the last one
				if q.Waiter != j.ID || !slices.Equal(q.Names, []string{"example.com"}) ||
					q.Renewal || q.Replaces || (q.Patience == 0) != patient || q.OrderID == "" {
					t.Errorf("quota request %+v, want one of job %s for a new certificate", q, j.ID)
				}
			}
			if !slices.Equal(requests, tt.requests) {
				t.Errorf("quota requests for %q, want %q", requests, tt.requests)
			}
			if tt.ran != "" {
				wantJob(t, j, controlplane.JobSucceeded, "", 0)
				o := w.ca.order(0)
				if o.CA != tt.ran || o.ID != g.requests[len(g.requests)-1].OrderID {
					t.Errorf("order %s at %s, reserved as %s", o.ID, o.CA,
						g.requests[len(g.requests)-1].OrderID)
				}
				return
			}
			wantJob(t, j, controlplane.JobQueued, "ca-quota", 0)
			if wait := j.RunAt.Sub(w.clock.Now()); wait != tt.wait || len(w.ca.runs()) != 0 {
				t.Errorf("job is deferred for %s, want %s; orders at %q, want none", wait, tt.wait,
					w.ca.runs())
			}
			c := wantCondition(t, w.domain(d), controlplane.CertificateReady, "false", "ca-quota")
			if c.NextCheckAt == nil || !c.NextCheckAt.Equal(j.RunAt) ||
				!strings.Contains(c.Fix, controlplane.LimitNewOrders) ||
				!strings.Contains(c.Message, "takes no more") {
				t.Errorf("condition = %+v, want the limit %s and the next check at %s", c,
					controlplane.LimitNewOrders, j.RunAt)
			}
			g.set(func(g *governor) { g.waits = nil })
			wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
		})
	}
}

// The quota request of a due renewal says that it is one. It says that it replaces a certificate
// only at the CA of that certificate, within the CA's renewal window. While the renewal is
// deferred, the domain is active and shows until when.
func TestChooseForARenewal(t *testing.T) {
	t.Parallel()
	w, g := newGoverned(t)
	d := w.active("example.com")
	w.clock.set(*d.RenewAt)
	w.exec(`UPDATE domains SET ari_start = $1, ari_end = $2`, *d.RenewAt, d.RenewAt.Add(day))
	_, _, err := w.RequestRenew(t.Context(), alice, w.org, d.ID)
	must(t, err)
	g.set(func(g *governor) {
		g.waits, g.requests = map[string]time.Duration{"primary": time.Hour,
			"backup": 2 * time.Hour}, nil
	})
	j := w.run(d, controlplane.JobRenewal)
	wantJob(t, j, controlplane.JobQueued, "ca-quota", 0)
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
	wantCondition(t, w.domain(d), controlplane.RenewalOnTrack, "false", "ca-quota")
	if len(g.requests) != 2 || !g.requests[0].Renewal || !g.requests[0].Replaces ||
		!g.requests[1].Renewal || g.requests[1].Replaces {
		t.Errorf("quota requests = %+v, want two renewals, of which the first replaces a certificate", g.requests)
	}
	g.set(func(g *governor) { g.waits = nil })
	w.runDue(d, controlplane.JobRenewal)
	if o := w.ca.order(1); o.Replaces != "ari-of-"+w.ca.order(0).ID {
		t.Errorf("order = %+v, want one that replaces the first certificate", o)
	}
	wantCondition(t, w.domain(d), controlplane.RenewalOnTrack, "true", "scheduled")
}

// If the limits are not tracked because Redis is unavailable, only the CA enforces them.
func TestChooseWithoutTrackedLimits(t *testing.T) {
	t.Parallel()
	w, g := newGoverned(t)
	g.set(func(g *governor) { g.bypassed = true })
	d := w.issuing("example.com")
	limited := verdictOf(controlplane.VerdictRateLimited)
	limited.RetryAt = start.Add(time.Hour)
	w.ca.reject(map[string]verdict{"primary": limited})
	wantJob(t, w.run(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
	if got := w.ca.runs(); !slices.Equal(got, []string{"primary", "backup"}) {
		t.Errorf("orders at %q", got)
	}

	other := w.issuing("other.example.com")
	w.ca.rejectAll(limited)
	j := w.run(other, controlplane.JobStartIssuance)
	wantJob(t, j, controlplane.JobQueued, "ca-rate-limited", 0)
	if !j.RunAt.Equal(limited.RetryAt) {
		t.Errorf("job is deferred until %s", j.RunAt)
	}
}

// The governor learns limits from verdicts, refunds failed orders, and counts failed
// authorizations.
func TestGovernorTracksFailedOrders(t *testing.T) {
	t.Parallel()
	over := func(code string) verdict {
		v := verdictOf(controlplane.VerdictRequest)
		v.Code, v.Over = code, true
		v.FailedValidation = code == "ca-unauthorized" || code == "ca-caa"
		return v
	}
	for name, tt := range map[string]struct {
		say   verdict
		calls []string
		runs  []string
	}{
		"rejected for a limit": {verdictOf(controlplane.VerdictRateLimited),
			[]string{"refund primary false", "learn primary"}, []string{"primary", "backup"}},
		"unreachable, set aside": {verdictOf(controlplane.VerdictUnreachable), nil,
			[]string{"primary", "backup"}},
		"forbidden by CAA": {verdictOf(controlplane.VerdictCAAForbids),
			[]string{"refund primary false"}, []string{"primary", "backup"}},
		"not validated": {over("ca-unauthorized"),
			[]string{"failed primary", "refund primary false"}, []string{"primary", "backup"}},
		"bad CSR": {over("ca-bad-csr"), []string{"refund primary false"},
			[]string{"primary", "backup"}},
		"rejected, order open": {verdictOf(controlplane.VerdictRequest),
			[]string{"refund primary false"}, []string{"primary", "backup"}},
		"interrupted": {verdictOf(controlplane.VerdictInterrupted), nil,
			[]string{"primary"}},
		"missing, placed again": {verdictOf(controlplane.VerdictOrderGone),
			[]string{"refund primary false", "refund primary false"},
			[]string{"primary", "primary", "backup"}},
		"forbidden by CAA later": {over("ca-caa"),
			[]string{"failed primary", "refund primary false"}, []string{"primary", "backup"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, g := newGoverned(t)
			d := w.issuing("example.com")
			w.ca.reject(map[string]verdict{"primary": tt.say})
			w.run(d, controlplane.JobStartIssuance)
			if !slices.Equal(g.calls, tt.calls) || !slices.Equal(w.ca.runs(), tt.runs) {
				t.Errorf("governor calls = %q, want %q; orders at %q, want %q", g.calls, tt.calls,
					w.ca.runs(), tt.runs)
			}
		})
	}
}

// A failed order whose certificate may have been issued is not refunded: the CA counted it.
func TestGovernorCountsOrdersThatMayBeIssued(t *testing.T) {
	t.Parallel()
	mismatch := verdictOf(controlplane.VerdictRequest)
	mismatch.Code, mismatch.Over = "certificate-mismatch", true
	invalid := mismatch
	invalid.Code = "ca-bad-csr"
	back := []string{"refund primary true"}
	for name, tt := range map[string]struct {
		step  controlplane.OrderStep
		say   verdict
		calls []string
	}{
		"unreachable before the CSR": {controlplane.StepAccepted,
			verdictOf(controlplane.VerdictUnreachable), nil},
		"unreachable after the CSR": {controlplane.StepReady,
			verdictOf(controlplane.VerdictUnreachable), nil},
		"unreachable at the download": {controlplane.StepIssued,
			verdictOf(controlplane.VerdictUnreachable), nil},
		"CSR rejected":          {controlplane.StepReady, invalid, back},
		"invalid after the CSR": {controlplane.StepFinalized, invalid, back},
		"certificate mismatch":  {controlplane.StepIssued, mismatch, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, g := newGoverned(t)
			d := w.issuing("example.com")
			w.ca.answer(func(ctx context.Context, o *controlplane.Order,
				j controlplane.Journal) error {
				if o.CA != "primary" {
					return nil
				}
				o.Step, o.OrderURL = tt.step, "https://ca.example/order/"+o.ID
				if err := j.Save(ctx, o); err != nil {
					return err
				}
				return tt.say
			})
			w.run(d, controlplane.JobStartIssuance)
			if !slices.Equal(g.calls, tt.calls) {
				t.Errorf("governor calls = %q, want %q", g.calls, tt.calls)
			}
		})
	}
}

// An error of the governor is an internal failure: no order is placed without its decision.
func TestChooseFailsWithItsGovernor(t *testing.T) {
	t.Parallel()
	w, g := newGoverned(t)
	d := w.issuing("example.com")
	g.set(func(g *governor) { g.err = errors.New("not configured") })
	j := w.run(d, controlplane.JobStartIssuance)
	wantJob(t, j, controlplane.JobQueued, "retry", 1)
	if j.LastErrorCode != "internal" || len(w.ca.runs()) != 0 ||
		value[int](w, `SELECT count(*) FROM acme_orders`) != 0 {
		t.Errorf("job = %+v, want an internal error and no order", j)
	}
}

// A renewal of the sweep waits for the CA of its certificate while there is time. Shortly before
// the certificate expires it uses another CA.
func TestRenewalHasPatience(t *testing.T) {
	t.Parallel()
	w, g := newGoverned(t)
	d := w.active("example.com")
	g.set(func(g *governor) {
		g.waits, g.requests = map[string]time.Duration{"primary": 50 * time.Minute}, nil
	})
	w.clock.set(d.RenewAt.Add(time.Minute))
	if n, err := w.Sweep(t.Context()); n != 1 || err != nil {
		t.Fatalf("Sweep = %d, %v, want 1", n, err)
	}
	wantJob(t, w.runDue(d, controlplane.JobRenewal), controlplane.JobQueued, "ca-quota", 0)
	if len(g.requests) != 1 || g.requests[0].Patience != time.Hour {
		t.Errorf("quota requests = %+v, want one with a patience of 1 h", g.requests)
	}
	w.clock.set(d.ExpiresAt.Add(-12 * time.Hour))
	g.set(func(g *governor) { g.requests = nil })
	wantJob(t, w.runDue(d, controlplane.JobRenewal), controlplane.JobSucceeded, "", 0)
	if len(g.requests) != 2 || g.requests[0].Patience != 30*time.Minute ||
		w.ca.order(1).CA != "backup" {
		t.Errorf("quota requests %+v, order at %s, want it at the other CA", g.requests,
			w.ca.order(1).CA)
	}
}

// A renewal that is requested before it is due does not use the quota that is reserved for due
// ones, and it counts towards the CA's limits before the renewal window. The replacement of a
// revoked certificate is treated as due.
func TestChooseForARenewalThatIsNotDue(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change   func(w *world, d *controlplane.Domain)
		renewal  bool
		replaces bool
	}{
		"nothing suggested": {func(*world, *controlplane.Domain) {}, false, false},
		"before the window": {func(w *world, d *controlplane.Domain) {
			w.exec(`UPDATE domains SET ari_start = $1, ari_end = $2`, start.Add(day),
				start.Add(2*day))
		}, false, false},
		"in the window": {func(w *world, d *controlplane.Domain) {
			w.exec(`UPDATE domains SET ari_start = $1, ari_end = $2`, start, start.Add(2*day))
		}, false, true},
		"to be revoked": {func(w *world, d *controlplane.Domain) {
			w.exec(`UPDATE certificates SET revocation_requested = 'superseded'`)
		}, true, false},
		"revoked": {func(w *world,
			d *controlplane.Domain) {
			w.exec(`UPDATE certificates SET revoked_at = $1`, start)
		}, true, false},
		"due by the CA's window": {func(w *world, d *controlplane.Domain) {
			w.exec(`UPDATE domains SET renew_at = $1, ari_start = $1, ari_end = $2`, start,
				start.Add(day))
		}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, g := newGoverned(t)
			d := w.active("example.com")
			tt.change(w, d)
			_, _, err := w.RequestRenew(t.Context(), alice, w.org, d.ID)
			must(t, err)
			g.set(func(g *governor) { g.requests = nil })
			wantJob(t, w.run(d, controlplane.JobRenewal), controlplane.JobSucceeded, "", 0)
			if len(g.requests) != 1 || g.requests[0].Renewal != tt.renewal ||
				g.requests[0].Replaces != tt.replaces || g.requests[0].Org != w.org {
				t.Errorf("Reserve was called with %+v, want Renewal %v, Replaces %v", g.requests,
					tt.renewal, tt.replaces)
			}
			if o := w.ca.order(1); o.Replaces == "" {
				t.Errorf("order = %+v, want one that replaces the previous certificate", o)
			}
		})
	}
}
