package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// several adds a domain with www and a wildcard under another registered domain, to be issued.
func (w *world) several() *controlplane.Domain {
	w.t.Helper()
	return w.issuing("example.com", func(o *controlplane.Options) {
		o.AdditionalNames = []string{"www.example.com", "*.example.org", "example.org"}
	})
}

// valuesAt returns one value for each name of an order, at its target.
func valuesAt(o *controlplane.Order) []controlplane.TXT {
	values := make([]controlplane.TXT, len(o.Names))
	for i, name := range o.Names {
		values[i] = controlplane.TXT{Target: o.TargetOf(name), Value: fmt.Sprint(o.ID, "-", i)}
	}
	return values
}

// publish has an order at the step authorized with one value for each name.
func publish(ctx context.Context, o *controlplane.Order, j controlplane.Journal) error {
	o.Step, o.OrderURL, o.Values = controlplane.StepAuthorized, "https://ca.example/order/"+o.ID,
		valuesAt(o)
	return j.Publish(ctx, o)
}

// wantValues checks the number of values that the validation zone serves for each of a domain's
// delegations.
func (w *world) wantValues(when string, d *controlplane.Domain, want ...int) {
	w.t.Helper()
	var got []int
	for _, base := range d.Bases() {
		_, values, err := w.Store.LookupTarget(w.t.Context(), d.TargetOf(base), w.clock.Now())
		if err != nil {
			w.t.Fatal(err)
		}
		got = append(got, len(values))
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("%s: numbers of values at the targets of %q = %d, want %d", when, d.Bases(), got,
			want)
	}
}

// The values of an order that failed are removed from all targets before the next order. Only the
// names that failed count as failed.
func TestFailedOrderOfSeveralNames(t *testing.T) {
	t.Parallel()
	w, g := newGoverned(t)
	d := w.several()
	failed := verdictOf(controlplane.VerdictDNS)
	failed.Code, failed.Over, failed.FailedValidation = "ca-unauthorized", true, true
	failed.Identifiers = []string{"www.example.com"}
	failed.Message = "The CA did not find the record. This concerns www.example.com."
	w.ca.answer(func(ctx context.Context, o *controlplane.Order, j controlplane.Journal) error {
		w.wantValues("before the order at "+o.CA, d, 0, 0, 0)
		err := publish(ctx, o, j)
		w.wantValues("during the order at "+o.CA, d, 1, 2, 1)
		failed.CA = o.CA
		return errors.Join(err, failed)
	})
	j := w.run(d, controlplane.JobStartIssuance)
	wantJob(t, j, controlplane.JobQueued, "retry", 1)
	if j.LastError != failed.Message || j.LastErrorCode != failed.Code {
		t.Errorf("last error of the job = %q, want %q", j.LastError, failed.Message)
	}
	w.wantValues("after the orders", d, 0, 0, 0)
	if want := []string{"www.example.com", "www.example.com"}; !slices.Equal(g.failed, want) {
		t.Errorf("failed authorizations = %q, want %q", g.failed, want)
	}
	if runs := w.ca.runs(); len(runs) != 2 {
		t.Errorf("orders at %q, want one at each CA", runs)
	}
}

// The values of a resumed order stay published for longer at all targets, and are removed from all
// of them with the certificate.
func TestResumedOrderOfSeveralNamesKeepsItsValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ca.names = w.ca.names[:1] // otherwise a slow order is set aside
	d := w.several()
	slow := verdictOf(controlplane.VerdictSlow)
	w.ca.answer(func(ctx context.Context, o *controlplane.Order, j controlplane.Journal) error {
		if o.Step == controlplane.StepCreated {
			if err := publish(ctx, o, j); err != nil {
				return err
			}
		}
		slow.RetryAt = w.clock.Now().Add(w.ChallengeTTL - 1)
		return slow
	})
	w.run(d, controlplane.JobStartIssuance)
	for i := range 3 {
		w.runDue(d, controlplane.JobStartIssuance)
		w.wantValues(fmt.Sprint("after run ", i+2), d, 1, 2, 1)
	}
	w.ca.answer(nil)
	w.runDue(d, controlplane.JobStartIssuance)
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
	w.wantValues("with the certificate", d, 0, 0, 0)
	if first, last := w.ca.order(0), w.ca.order(4); first.ID != last.ID {
		t.Errorf("runs of the orders %s and %s, want those of one order", first.ID, last.ID)
	}
}

// A value that the orders of two domains share, because the CA returned one pending authorization
// for both, stays for the order in progress if the other one fails.
func TestFailedOrderLeavesASharedValue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ca.names = w.ca.names[:1]
	first, second := w.issuing("www.example.com"), w.several()
	slow, refused := verdictOf(controlplane.VerdictSlow), verdictOf(controlplane.VerdictDNS)
	refused.Over = true
	answers := map[string]error{first.ID: slow, second.ID: refused}
	w.ca.answer(func(ctx context.Context, o *controlplane.Order, j controlplane.Journal) error {
		o.Step, o.OrderURL = controlplane.StepAuthorized, "https://ca.example/order/"+o.ID
		o.Values = []controlplane.TXT{{Target: first.Target, Value: "shared"}}
		return errors.Join(j.Publish(ctx, o), answers[o.DomainID])
	})
	w.run(first, controlplane.JobStartIssuance)
	w.run(second, controlplane.JobStartIssuance)
	w.wantValues("after the other order failed", first, 1)
	w.ca.answer(nil)
	w.runDue(first, controlplane.JobStartIssuance)
	wantStatus(t, w.domain(first), controlplane.DomainActive, "")
	w.wantValues("with the certificate", first, 0)
}

// The pauses between orders grow if each of them ends with a wait, although it proceeded over
// several runs.
func TestPausesGrowBetweenOrdersThatProceed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ca.names = w.ca.names[:1]
	d := w.several()
	slow, limited := verdictOf(controlplane.VerdictSlow), verdictOf(controlplane.VerdictRateLimited)
	limited.Over = true
	w.ca.answer(func(ctx context.Context, o *controlplane.Order, j controlplane.Journal) error {
		if o.Step == controlplane.StepCreated {
			return errors.Join(publish(ctx, o, j), slow)
		}
		o.Step = controlplane.StepFinalized
		return errors.Join(j.Save(ctx, o), limited)
	})
	w.run(d, controlplane.JobStartIssuance)
	const runs = 20
	start := w.clock.Now()
	for range runs {
		w.runDue(d, controlplane.JobStartIssuance)
	}
	if took := w.clock.Now().Sub(start); took < time.Hour {
		t.Errorf("%d runs for %d orders took %s, want growing pauses", runs, w.count(d.ID,
			controlplane.ActionOrderCreated), took)
	}
}

// A due renewal of several names is counted for all of them, and replaces the certificate. Another
// set of names is another order, which replaces it, too.
func TestRenewalOfSeveralNames(t *testing.T) {
	t.Parallel()
	w, g := newGoverned(t)
	d := w.active("example.com", func(o *controlplane.Options) {
		o.AdditionalNames = []string{"www.example.com", "*.example.org", "example.org"}
		o.KeyType = controlplane.KeyEC384
	})
	want := []string{"example.com", "*.example.org", "example.org", "www.example.com"}
	w.clock.set(*d.RenewAt)
	w.exec(`UPDATE domains SET ari_start = $1, ari_end = $2`, *d.RenewAt, d.RenewAt.Add(day))
	g.set(func(g *governor) { g.requests = nil })
	_, _, err := w.RequestRenew(t.Context(), alice, w.org, d.ID)
	must(t, err)
	w.run(d, controlplane.JobRenewal)
	if len(g.requests) != 1 || !g.requests[0].Renewal || !g.requests[0].Replaces ||
		!slices.Equal(g.requests[0].Names, want) {
		t.Errorf("quota requests = %+v, want one renewal of %q that replaces", g.requests, want)
	}
	first, second := w.ca.order(0), w.ca.order(1)
	if second.Replaces != "ari-of-"+first.ID || !slices.Equal(second.Names, want) ||
		second.KeyType != controlplane.KeyEC384 || len(second.Targets) != 2 {
		t.Errorf("order of the renewal = %+v, want one for %q that replaces the first", second, want)
	}
	d = w.change(d, lifecycle.DomainPatch{AdditionalNames: &[]string{"www.example.com"}})
	w.runDue(d, controlplane.JobStartIssuance)
	third := w.ca.order(2)
	if want := []string{"example.com", "www.example.com"}; !slices.Equal(third.Names, want) ||
		third.Replaces != "ari-of-"+second.ID || len(third.Targets) != 1 {
		t.Errorf("order after the change = %+v, want one for %q that replaces the second", third,
			want)
	}
	if d = w.domain(d); d.IsOutdated() || d.CertificateRevision != d.OptionsRevision {
		t.Errorf("domain = %+v, want the certificate of its current options", d)
	}
}
