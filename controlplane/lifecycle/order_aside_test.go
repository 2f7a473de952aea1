package lifecycle_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// stuck makes the CA leave its orders at the step, with the verdict.
func (i *issuer) stuck(ca string, step controlplane.OrderStep, v verdict) {
	i.answer(func(ctx context.Context, o *controlplane.Order, j controlplane.Journal) error {
		if o.CA != ca {
			return nil
		}
		v := v
		v.CA = ca
		i.clock.add(time.Second)
		if o.Step == controlplane.StepCreated {
			o.OrderURL, o.Values = "https://ca.example/order/"+o.ID, txtAt(o, "value-of-"+o.ID)
			o.Step = step
			if err := errors.Join(j.Save(ctx, o), j.Publish(ctx, o)); err != nil {
				return err
			}
		}
		return v
	})
}

// slow returns the verdict of a CA that has not finished, with its Retry-After.
func (w *world) slow(wait time.Duration) verdict {
	v := verdictOf(controlplane.VerdictSlow)
	v.Code, v.RetryAt = "ca-slow", w.clock.Now().Add(wait)
	return v
}

// steps returns the steps of the domain's orders, oldest first.
func (w *world) steps(d *controlplane.Domain) []string {
	w.t.Helper()
	return value[[]string](w, `SELECT coalesce(array_agg(ca || ' ' || step ORDER BY created_at, id), '{}')
		FROM acme_orders WHERE domain_id = $1`, d.ID)
}

// A CA that asks to be polled in a day is polled every minute. After 2 minutes of a person's wait,
// or 15 minutes otherwise, another CA is used.
func TestSlowOrderIsSetAside(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		step  controlplane.OrderStep
		renew func(w *world, d *controlplane.Domain) // nil: the first certificate
		after time.Duration
	}{
		"first authorization pending": {controlplane.StepAccepted, nil, 2 * time.Minute},
		"processing":                  {controlplane.StepFinalized, nil, 2 * time.Minute},
		"renewal": {controlplane.StepFinalized, func(w *world, d *controlplane.Domain) {
			w.clock.set(*d.RenewAt)
		}, 15 * time.Minute},
		"renewal, expires in 2 h": {controlplane.StepFinalized,
			func(w *world, d *controlplane.Domain) {
				w.clock.set(d.ExpiresAt.Add(-2 * time.Hour))
			}, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			kind := controlplane.JobStartIssuance
			d := w.issuing("example.com")
			if tt.renew != nil {
				w.run(d, kind)
				kind, d = controlplane.JobRenewal, w.domain(d)
				tt.renew(w, d)
				if n, err := w.Sweep(t.Context()); n != 1 || err != nil {
					t.Fatalf("Sweep = %d, %v, want 1", n, err)
				}
			}
			began, placed := w.clock.Now(), len(w.ca.runs())
			w.ca.stuck("primary", tt.step, w.slow(day))
			for w.clock.Now().Sub(began) < tt.after {
				j := w.runDue(d, kind)
				if j.Status == controlplane.JobSucceeded {
					break
				}
				wantJob(t, j, controlplane.JobQueued, "ca-slow", 0)
				if wait := j.RunAt.Sub(w.clock.Now()); wait > time.Minute {
					t.Fatalf("next poll in %s, want at most a minute", wait)
				}
			}
			if got := w.clock.Now().Sub(began); got < tt.after-time.Minute ||
				w.clock.Now().Before(began.Add(tt.after)) &&
					w.domain(d).Status != controlplane.DomainActive {
				t.Errorf("the order was polled for %s, want %s", got, tt.after)
			}
			wantJob(t, w.runDueUnlessOver(d, kind), controlplane.JobSucceeded, "", 0)
			if got, want := w.steps(d), []string{"primary set-aside", "backup stored"}; !slices.Equal(
				got[len(got)-2:], want) {
				t.Errorf("orders = %q, want %q", got, want)
			}
			if cas := w.ca.runs()[placed:]; cas[len(cas)-1] != "backup" {
				t.Errorf("runs at %q, want the last at backup", cas)
			}
		})
	}
}

// runDueUnlessOver is runDue, unless the job is over.
func (w *world) runDueUnlessOver(
	d *controlplane.Domain, kind controlplane.JobType,
) *controlplane.Job {
	w.t.Helper()
	if j := w.job(d, kind); j.Status.Over() {
		return j
	}
	return w.runDue(d, kind)
}

// A person who requests a renewal does not wait for the order that is in progress at a slow CA.
func TestRequestLeavesASlowOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	w.clock.set(*d.RenewAt)
	if n, err := w.Sweep(t.Context()); n != 1 || err != nil {
		t.Fatalf("Sweep = %d, %v, want 1", n, err)
	}
	w.ca.stuck("primary", controlplane.StepFinalized, w.slow(6*time.Hour))
	w.run(d, controlplane.JobRenewal)
	for range 4 {
		w.runDue(d, controlplane.JobRenewal)
	}
	wantJob(t, w.job(d, controlplane.JobRenewal), controlplane.JobQueued, "ca-slow", 0)
	_, _, err := w.RequestRenew(t.Context(), alice, w.org, d.ID)
	must(t, err)
	wantJob(t, w.run(d, controlplane.JobRenewal), controlplane.JobSucceeded, "", 0)
}

// With a single CA, or while the other one is not available, the order is polled on, for hours.
func TestSlowOrderOfTheOnlyCA(t *testing.T) {
	t.Parallel()
	for name, say := range map[string]verdict{"only CA": {},
		"other unreachable": verdictOf(controlplane.VerdictUnreachable),
		"other refuses":     refuses(controlplane.VerdictAccount)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if name == "only CA" {
				w.ca.names = w.ca.names[:1]
			}
			d := w.issuing("example.com")
			finished := false
			w.ca.answer(func(ctx context.Context, o *controlplane.Order,
				j controlplane.Journal) error {
				if o.CA == "backup" {
					v := say
					v.CA = o.CA
					return v
				}
				if finished {
					return nil
				}
				o.OrderURL, o.Step = "https://ca.example/order/"+o.ID, controlplane.StepFinalized
				return errors.Join(j.Save(ctx, o), w.slow(day))
			})
			began := w.clock.Now()
			for w.clock.Now().Sub(began) < 3*time.Hour {
				j := w.runDue(d, controlplane.JobStartIssuance)
				if wait := j.RunAt.Sub(w.clock.Now()); j.Status != controlplane.JobQueued ||
					j.Attempts != 0 || wait > time.Minute {
					t.Fatalf("job = %s, next run in %s, want it polled every minute", toJSON(j),
						wait)
				}
			}
			finished = true
			wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "",
				0)
			if got := value[int](w,
				`SELECT count(*) FROM acme_orders WHERE ca = 'primary'`); got != 1 {
				t.Errorf("%d orders at primary, want 1", got)
			}
		})
	}
}

// A finalized order is never closed while its certificate can still arrive, for any error of the
// CA. The next CA is used meanwhile.
func TestFinalizedOrderIsNotAbandoned(t *testing.T) {
	t.Parallel()
	for _, step := range []controlplane.OrderStep{controlplane.StepReady,
		controlplane.StepFinalized, controlplane.StepIssued} {
		for _, class := range []controlplane.VerdictClass{controlplane.VerdictUnreachable,
			controlplane.VerdictRateLimited, controlplane.VerdictAccount,
			controlplane.VerdictPolicy, controlplane.VerdictRequest, controlplane.VerdictPaused} {
			t.Run(string(step)+" "+string(class), func(t *testing.T) {
				t.Parallel()
				w, g := newGoverned(t)
				d := w.issuing("example.com")
				w.ca.stuck("primary", step, verdictOf(class))
				wantJob(t, w.run(d, controlplane.JobStartIssuance), controlplane.JobSucceeded,
					"", 0)
				if got, want := w.steps(d), []string{"primary set-aside",
					"backup stored"}; !slices.Equal(got, want) {
					t.Errorf("orders = %q, want %q", got, want)
				}
				for _, call := range g.calls {
					if call == "refund primary true" || call == "refund primary false" {
						t.Errorf("calls of the governor = %q, want no refund at primary", g.calls)
					}
				}
			})
		}
	}
}

// With a single CA, an order whose CSR was sent is resumed after an outage.
func TestFinalizedOrderIsResumedAfterAnOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ca.names = w.ca.names[:1]
	d := w.issuing("example.com")
	w.ca.stuck("primary", controlplane.StepReady, verdictOf(controlplane.VerdictUnreachable))
	for range 5 {
		wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobQueued,
			"ca-unreachable", 0)
	}
	w.ca.answer(nil)
	wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
	if got, want := w.steps(d), []string{"primary stored"}; !slices.Equal(got, want) {
		t.Errorf("orders = %q, want %q", got, want)
	}
}

// An order that is resumed after an outage costs nothing of the organization's budget. One that its
// CA never got does.
func TestResumedOrderNeedsNoBudget(t *testing.T) {
	t.Parallel()
	for name, placed := range map[string]bool{"placed": true, "not placed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, g := newGoverned(t)
			w.ca.names = w.ca.names[:1]
			d := w.issuing("example.com")
			away := verdictOf(controlplane.VerdictUnreachable)
			if w.ca.rejectAll(away); placed {
				w.ca.stuck("primary", controlplane.StepAccepted, away)
			}
			w.run(d, controlplane.JobStartIssuance)
			w.spend(1000, start.Add(day))
			spent := w.spent()
			w.ca.answer(nil)
			j := w.runDue(d, controlplane.JobStartIssuance)
			if placed {
				wantJob(t, j, controlplane.JobSucceeded, "", 0)
			} else {
				wantJob(t, j, controlplane.JobQueued, "order-budget", 0)
				if want := []string{"refund primary false"}; !slices.Equal(g.calls, want) {
					t.Errorf("calls of the governor = %q, want %q", g.calls, want)
				}
			}
			if got := w.spent(); got != spent {
				t.Errorf("%d orders count, want %d", got, spent)
			}
		})
	}
}

// An outage before the CA has the order costs one stored order, however long it takes.
func TestOutageReusesTheOrder(t *testing.T) {
	t.Parallel()
	w, g := newGoverned(t)
	d := w.issuing("example.com")
	w.ca.rejectAll(verdictOf(controlplane.VerdictUnreachable))
	for range 20 {
		w.runDue(d, controlplane.JobStartIssuance)
	}
	w.ca.answer(nil)
	wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
	if got, want := w.steps(d), []string{"primary stored", "backup set-aside"}; !slices.Equal(got,
		want) {
		t.Errorf("orders = %q, want %q", got, want)
	}
	ids := map[string]bool{}
	for _, q := range g.requests {
		ids[q.OrderID] = true
	}
	if len(ids) != 2 {
		t.Errorf("%d orders were reserved, want 2", len(ids))
	}
	// The order that was never placed is closed when it is due for a poll.
	w.clock.add(time.Hour)
	if n, err := w.CollectOrders(t.Context()); n != 1 || err != nil {
		t.Errorf("CollectOrders = %d, %v, want 1", n, err)
	}
	if got, want := w.steps(d), []string{"primary stored", "backup failed"}; !slices.Equal(got,
		want) || w.ca.polls() != 0 {
		t.Errorf("orders = %q after %d polls, want %q without one", got, w.ca.polls(), want)
	}
}

// aside issues a certificate at the backup while an order at the primary CA is set aside.
func (w *world) aside(name string) *controlplane.Domain {
	w.t.Helper()
	d := w.issuing(name)
	w.ca.stuck("primary", controlplane.StepFinalized,
		verdictOf(controlplane.VerdictUnreachable))
	wantJob(w.t, w.run(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
	w.ca.answer(nil)
	return w.domain(d)
}

// collect moves the clock to the next poll of an order that was set aside, and polls.
func (w *world) collect(want int) {
	w.t.Helper()
	w.clock.set(value[time.Time](w,
		`SELECT min(poll_at) FROM acme_orders WHERE step = 'set-aside'`))
	if n, err := w.CollectOrders(w.t.Context()); n != want || err != nil {
		w.t.Errorf("CollectOrders = %d, %v, want %d", n, err, want)
	}
}
