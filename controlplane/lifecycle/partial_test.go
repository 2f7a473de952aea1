package lifecycle_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// partial adds a domain with issue_partial for example.com, www.example.com, and example.net.
func (w *world) partial(missing ...string) *controlplane.Domain {
	w.t.Helper()
	for _, name := range missing {
		w.doctor.findsAt(name, controlplane.CauseCNAMEMissing)
	}
	return w.add("example.com", func(o *controlplane.Options) {
		o.IssuePartial = true
		o.AdditionalNames = []string{"www.example.com", "*.example.net"}
	})
}

// wantOrdered checks the names of the n-th order.
func (w *world) wantOrdered(n int, want ...string) {
	w.t.Helper()
	if w.orders() <= n {
		w.t.Fatalf("%d orders, want more than %d", w.orders(), n)
	}
	if got := w.ca.order(n).Names; !slices.Equal(got, want) {
		w.t.Errorf("names of order %d = %q, want %q", n, got, want)
	}
}

// With issue_partial, the certificate is ordered with the names that are ready. Condition and event
// state the others, which are added when no name became ready for 10 minutes.
func TestPartialCertificates(t *testing.T) {
	t.Parallel()
	const www, net = "www.example.com", "example.net"
	w := newWorld(t)
	d := w.partial("example.com", www, net)
	j := w.run(d, controlplane.JobDNSCheck)
	wantJob(t, j, controlplane.JobQueued, controlplane.CauseCNAMEMissing, 0)
	if w.jobs(d, controlplane.JobStartIssuance) != 0 {
		t.Fatal("a certificate without any name was ordered")
	}
	w.doctor.findsAt("example.com", controlplane.CauseOK)
	j = w.runDue(d, controlplane.JobDNSCheck)
	wantJob(t, j, controlplane.JobQueued, controlplane.CauseCNAMEMissing, 0)
	wantStatus(t, w.domain(d), controlplane.DomainIssuing, "")
	w.run(d, controlplane.JobStartIssuance)
	w.wantOrdered(0, "example.com")
	d = w.domain(d)
	wantStatus(t, d, controlplane.DomainActive, "")
	wantNames(t, "after the order", wantCondition(t, d, controlplane.DNSReady, "false",
		controlplane.CauseCNAMEMissing), net, www)
	c := wantCondition(t, d, controlplane.CertificateReady, "true",
		controlplane.ReasonIssuedPartial)
	wantNames(t, "after the order", c, net, www)
	if !strings.Contains(c.Message, www) || !strings.Contains(c.Message, net) {
		t.Errorf("message = %q, want the missing names", c.Message)
	}
	wantCondition(t, d, controlplane.RenewalOnTrack, "true", controlplane.ReasonScheduled)
	if e := w.last(d.ID); e.Action != controlplane.ActionCertificateIssued ||
		len(e.Details["missing_names"].([]any)) != 2 {
		t.Errorf("last entry = %s %v, want the missing names", e.Action, e.Details)
	}

	w.doctor.findsAt(net, controlplane.CauseOK)
	w.runDue(d, controlplane.JobDNSCheck)
	first := w.job(d, controlplane.JobStartIssuance)
	if wait := first.RunAt.Sub(w.clock.Now()); wait != 10*time.Minute || first.Reason !=
		controlplane.ReasonNamesReady {
		t.Errorf("the order is due after %s (%s), want 10m (%s)", wait, first.Reason,
			controlplane.ReasonNamesReady)
	}
	w.doctor.findsAt(www, controlplane.CauseOK)
	j = w.runDue(d, controlplane.JobDNSCheck)
	wantJob(t, j, controlplane.JobSucceeded, "", 0)
	second := w.job(d, controlplane.JobStartIssuance)
	if wait := second.RunAt.Sub(w.clock.Now()); second.ID != first.ID || wait != 10*time.Minute {
		t.Errorf("the order is due after %s, want 10m after the last name became ready", wait)
	}
	w.runDue(d, controlplane.JobStartIssuance)
	w.wantOrdered(1, "example.com", "*.example.net", www)
	d = w.domain(d)
	for _, c := range d.Conditions {
		if c.Status != controlplane.ConditionTrue || len(c.Names) > 0 {
			t.Errorf("%s = %+v, want true without names", c.Type, c)
		}
	}
	if n := w.count(d.ID, controlplane.ActionDelegationBroken); n != 0 {
		t.Errorf("%d events of broken delegations, want 0", n)
	}
	if d.IsOutdated() || d.ReissueAt != nil {
		t.Errorf("revisions = %d of %d, reissue at %v, want a current certificate",
			d.CertificateRevision, d.OptionsRevision, d.ReissueAt)
	}
}

// A partial certificate has the domain's revision, so nothing is ordered because of it.
func TestPartialCertificatesAreNotOutdated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.partial("www.example.com")
	w.run(d, controlplane.JobDNSCheck)
	w.run(d, controlplane.JobStartIssuance)
	for range 5 {
		w.clock.add(2 * time.Hour)
		w.runDue(d, controlplane.JobDNSCheck)
		if n, err := w.Reissue(t.Context()); n != 0 || err != nil {
			t.Errorf("Reissue = %d, %v, want 0", n, err)
		}
	}
	if w.orders() != 1 {
		t.Errorf("%d orders, want 1", w.orders())
	}
}

// A name is added at most 3 times a day, including the first certificate.
func TestNamesAreAddedAtMostThreeTimesADay(t *testing.T) {
	t.Parallel()
	names := []string{"a.test", "b.test", "c.test", "d.test"}
	w := newWorld(t)
	for _, n := range names[1:] {
		w.doctor.findsAt(n, controlplane.CauseCNAMEMissing)
	}
	d := w.add(names[0], func(o *controlplane.Options) {
		o.IssuePartial, o.AdditionalNames = true, names[1:]
	})
	w.run(d, controlplane.JobDNSCheck)
	w.run(d, controlplane.JobStartIssuance)
	begin := w.clock.Now()
	for i, n := range names[1:] {
		w.doctor.findsAt(n, controlplane.CauseOK)
		w.runDue(d, controlplane.JobDNSCheck)
		at := w.job(d, controlplane.JobStartIssuance).RunAt
		if i == 2 && at.Before(begin.Add(day)) || i < 2 && at.After(begin.Add(12*time.Hour)) {
			t.Errorf("the order that adds name %d is due after %s", i+1, at.Sub(begin))
		}
		w.runDue(d, controlplane.JobStartIssuance)
		w.wantOrdered(i+1, names[:i+2]...)
	}
}

// A renewal keeps a name that broke until half of the time between its due time and the expiry has
// passed. Then the rest is renewed, and the name is added again when it is ready.
func TestPartialRenewal(t *testing.T) {
	t.Parallel()
	const www = "www.example.com"
	w := newWorld(t)
	d := w.partial()
	w.run(d, controlplane.JobDNSCheck)
	w.run(d, controlplane.JobStartIssuance)
	w.wantOrdered(0, "example.com", "*.example.net", www)
	d = w.domain(d)
	expires := *d.ExpiresAt
	w.doctor.findsAt(www, controlplane.CauseCNAMEMissing)
	w.rehearsal(d)
	w.run(d, controlplane.JobDNSCheck)
	w.wantBroken(d, controlplane.CauseCNAMEMissing, www)
	wantNames(t, "after the rehearsal", wantCondition(t, w.domain(d),
		controlplane.RenewalOnTrack, "false", controlplane.CauseCNAMEMissing), www)

	w.clock.set(*d.RenewAt)
	if n, err := w.Sweep(t.Context()); n != 1 || err != nil {
		t.Fatalf("Sweep = %d, %v, want 1", n, err)
	}
	j := w.runDue(d, controlplane.JobRenewal)
	wantJob(t, j, controlplane.JobQueued, controlplane.CauseCNAMEMissing, 0)
	if w.orders() != 1 {
		t.Fatal("the renewal left out a name as soon as it was due")
	}
	w.clock.set(expires.Add(-15 * day))
	j = w.runDue(d, controlplane.JobRenewal)
	wantJob(t, j, controlplane.JobSucceeded, "", 0)
	w.wantOrdered(1, "example.com", "*.example.net")
	d = w.domain(d)
	wantNames(t, "after the renewal", wantCondition(t, d, controlplane.CertificateReady, "true",
		controlplane.ReasonIssuedPartial), www)
	if e := w.last(d.ID); e.Action != controlplane.ActionRenewed ||
		len(e.Details["missing_names"].([]any)) != 1 {
		t.Errorf("last entry = %s %v, want the missing name", e.Action, e.Details)
	}
	w.doctor.findsAt(www, controlplane.CauseOK)
	w.runDue(d, controlplane.JobDNSCheck)
	w.runDue(d, controlplane.JobStartIssuance)
	w.wantOrdered(2, "example.com", "*.example.net", www)
}

// A name that no CA may issue for is left out like one that is not delegated.
func TestPartialCertificateWithoutAForbiddenName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.doctor.caaOf = map[string][]controlplane.CAAFinding{"example.com": allows("primary"),
		"example.net": allows("primary"), "www.example.com": allows()}
	d := w.partial()
	w.run(d, controlplane.JobDNSCheck)
	w.run(d, controlplane.JobStartIssuance)
	w.wantOrdered(0, "example.com", "*.example.net")
	wantNames(t, "after the order", wantCondition(t, w.domain(d), controlplane.CertificateReady,
		"true", controlplane.ReasonIssuedPartial), "www.example.com")
}

// An order without a missing name fails because of a name that it has: that is in its record.
func TestPartialOrderLosesOneOfItsNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.partial("example.net") // more important in a list than www
	w.run(d, controlplane.JobDNSCheck)
	w.ca.answer(func(ctx context.Context, o *controlplane.Order, j controlplane.Journal) error {
		w.doctor.findsAt("www.example.com", controlplane.CauseCNAMEMismatch)
		return j.Ready(ctx, o)
	})
	w.run(d, controlplane.JobStartIssuance)
	for _, e := range w.entries(w.org, d.ID) {
		if e.Action == controlplane.ActionOrderFailed {
			if code := e.Details["code"]; code != controlplane.CauseCNAMEMismatch {
				t.Errorf("code of the failed order = %v, want %s of www.example.com", code,
					controlplane.CauseCNAMEMismatch)
			}
			return
		}
	}
	t.Error("no order failed")
}
