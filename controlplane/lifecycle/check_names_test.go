package lifecycle_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// orders returns the number of orders that were stored.
func (w *world) orders() int {
	w.t.Helper()
	return value[int](w, `SELECT count(*) FROM acme_orders`)
}

// No order is placed while a name of the domain has a problem. The order has all names.
func TestOrdersWaitForEveryName(t *testing.T) {
	t.Parallel()
	names := []string{"example.com", "www.example.com", "example.net"}
	for _, broken := range names {
		t.Run(broken, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.doctor.findsAt(broken, controlplane.CauseCNAMEMissing)
			d := w.named(names[0], names[1], "*.example.net")
			j := w.run(d, controlplane.JobDNSCheck)
			wantJob(t, j, controlplane.JobQueued, controlplane.CauseCNAMEMissing, 0)
			wantStatus(t, w.domain(d), controlplane.DomainPendingCNAME,
				controlplane.CauseCNAMEMissing)
			c := wantCondition(t, w.domain(d), controlplane.DNSReady, "false",
				controlplane.CauseCNAMEMissing)
			if want := "Found cname-missing at " + broken + "."; c.Message != want {
				t.Errorf("message = %q, want %q", c.Message, want)
			}
			for _, name := range names {
				state := controlplane.DelegationVerified
				if name == broken {
					state = controlplane.DelegationBroken
				}
				if g := w.delegationNamed(name); g.State != state || g.NextCheckAt == nil ||
					!g.NextCheckAt.Equal(j.RunAt) {
					t.Errorf("delegation of %s = %s, next check %v, want %s, %s", name, g.State,
						g.NextCheckAt, state, j.RunAt)
				}
			}
			if w.orders() != 0 || w.jobs(d, controlplane.JobStartIssuance) != 0 {
				t.Fatal("the certificate was ordered before every name was delegated")
			}
			w.doctor.findsAt(broken, controlplane.CauseOK)
			w.runDue(d, controlplane.JobDNSCheck)
			wantCondition(t, w.domain(d), controlplane.DNSReady, "true", "delegated")
			w.run(d, controlplane.JobStartIssuance)
			wantStatus(t, w.domain(d), controlplane.DomainActive, "")
			if got := w.ca.order(0).Names; len(got) != 3 {
				t.Errorf("names of the order = %q, want 3", got)
			}
		})
	}
}

// The preflight of an order checks every name again, also before a resumed order is finalized.
func TestPreflightChecksEveryName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.named("example.com", "www.example.com")
	w.run(d, controlplane.JobDNSCheck)
	w.doctor.findsAt("www.example.com", controlplane.CauseCNAMEMismatch)
	w.clock.add(2 * time.Minute)
	j := w.run(d, controlplane.JobStartIssuance)
	wantJob(t, j, controlplane.JobQueued, controlplane.CauseCNAMEMismatch, 0)
	if w.orders() != 0 {
		t.Error("the certificate was ordered before every name was delegated")
	}
	w.doctor.findsAt("www.example.com", controlplane.CauseOK)
	w.ca.answer(func(ctx context.Context, o *controlplane.Order, j controlplane.Journal) error {
		w.doctor.findsAt("www.example.com", controlplane.CauseCNAMEMissing)
		w.clock.add(2 * time.Minute)
		return j.Ready(ctx, o)
	})
	j = w.runDue(d, controlplane.JobStartIssuance)
	wantJob(t, j, controlplane.JobQueued, controlplane.CauseCNAMEMissing, 0)
	if open, err := w.Store.OpenOrder(t.Context(), w.org, d.ID); open != nil || err != nil {
		t.Errorf("OpenOrder = %+v, %v, want none: www.example.com is no longer delegated", open,
			err)
	}
}

// A name that is added during the preflight is checked before the order, too.
func TestNameAddedDuringThePreflight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	w.clock.add(2 * time.Minute) // the check is no longer fresh
	w.doctor.findsAt("www.example.com", controlplane.CauseCNAMEMissing)
	w.doctor.during = func() {
		_, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
			lifecycle.DomainPatch{AdditionalNames: &[]string{"www.example.com"}})
		must(t, err)
	}
	j := w.run(d, controlplane.JobStartIssuance)
	wantJob(t, j, controlplane.JobQueued, controlplane.CauseCNAMEMissing, 0)
	if n := w.orders(); n != 0 {
		t.Errorf("orders = %d, want 0: www.example.com is not delegated", n)
	}
}

// allows returns the CAA findings of a name that allows only some of the CAs.
func allows(cas ...string) []controlplane.CAAFinding {
	var out []controlplane.CAAFinding
	for _, ca := range []string{"primary", "backup"} {
		f := controlplane.CAAFinding{CA: ca, Code: controlplane.CauseCAAForbids,
			Summary: "The CAA records do not authorize " + ca + "."}
		for _, allowed := range cas {
			if allowed == ca {
				f.Allowed, f.Code = true, controlplane.CauseOK
			}
		}
		out = append(out, f)
	}
	return out
}

// A CA that is forbidden for one of the names gets no order. Without a common CA, no order is
// placed.
func TestCAsMayIssueForEveryName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.doctor.caaOf = map[string][]controlplane.CAAFinding{
		"example.com": allows("primary", "backup"), "www.example.com": allows("backup")}
	d := w.named("example.com", "www.example.com")
	w.run(d, controlplane.JobDNSCheck)
	w.run(d, controlplane.JobStartIssuance)
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
	if got := w.ca.runs(); len(got) != 1 || got[0] != "backup" {
		t.Errorf("orders at %q, want one at backup", got)
	}

	w = newWorld(t)
	w.doctor.caaOf = map[string][]controlplane.CAAFinding{
		"example.com": allows("primary"), "www.example.com": allows("backup")}
	d = w.named("example.com", "www.example.com")
	j := w.run(d, controlplane.JobDNSCheck)
	wantJob(t, j, controlplane.JobQueued, controlplane.CauseCAAForbids, 0)
	wantCondition(t, w.domain(d), controlplane.DNSReady, "true", "delegated")
	wantCondition(t, w.domain(d), controlplane.CertificateReady, "false",
		controlplane.CauseCAAForbids)
	if w.orders() != 0 {
		t.Error("the certificate was ordered without a CA that may issue for every name")
	}
}

// A delegation that two domains use is checked with each of them, and shows the last result.
func TestDomainsShareADelegation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.doctor.findsAt("shared.example.com", controlplane.CauseCNAMEMissing)
	a := w.named("a.example.com", "shared.example.com")
	b := w.named("b.example.com", "*.shared.example.com")
	w.run(a, controlplane.JobDNSCheck)
	wantDelegation(t, "after the first domain's check", w.delegationNamed("shared.example.com"),
		controlplane.DelegationBroken, controlplane.CauseCNAMEMissing)
	w.doctor.findsAt("shared.example.com", controlplane.CauseOK)
	w.run(b, controlplane.JobDNSCheck)
	wantDelegation(t, "after the second domain's check", w.delegationNamed("shared.example.com"),
		controlplane.DelegationVerified, controlplane.CauseOK)
	wantCondition(t, w.domain(a), controlplane.DNSReady, "false", controlplane.CauseCNAMEMissing)
	w.run(b, controlplane.JobStartIssuance)
	wantStatus(t, w.domain(b), controlplane.DomainActive, "")
}

// wantNames checks which names a condition lists.
func wantNames(t *testing.T, when string, c controlplane.Condition, want ...string) {
	t.Helper()
	var got []string
	for _, n := range c.Names {
		got = append(got, n.Name)
		if n.Reason == "" || n.Message == "" {
			t.Errorf("%s: %s lists %+v, want a reason and a message", when, c.Type, n)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: names of %s (-want +got):\n%s", when, c.Type, diff)
	}
}

// wantBroken checks that the newest entry of the domain is about the names that broke.
func (w *world) wantBroken(d *controlplane.Domain, code string, want ...string) {
	w.t.Helper()
	e := w.last(d.ID)
	var got []string
	list, _ := e.Details["names"].([]any)
	for _, n := range list {
		got = append(got, n.(map[string]any)["name"].(string))
	}
	if e.Action != controlplane.ActionDelegationBroken || e.Details["code"] != code ||
		e.Details["fix"] != "Fix it." || !slices.Equal(got, want) {
		w.t.Errorf("last entry = %s %v, want %s with %s for %q", e.Action, e.Details,
			controlplane.ActionDelegationBroken, code, want)
	}
}

// A name that breaks before the renewal is the only one in conditions and events. The certificate
// stays, and is renewed when the name is fixed.
func TestOneBrokenNameBeforeTheRenewal(t *testing.T) {
	t.Parallel()
	const www, net = "www.example.com", "example.net"
	w := newWorld(t)
	d := w.active("example.com", func(o *controlplane.Options) {
		o.AdditionalNames = []string{www, "*." + net}
	})
	first := d.CertificateID
	w.doctor.findsAt(www, controlplane.CauseCNAMEMissing)
	w.rehearsal(d)
	w.run(d, controlplane.JobDNSCheck)
	d = w.domain(d)
	wantStatus(t, d, controlplane.DomainActive, "")
	w.wantBroken(d, controlplane.CauseCNAMEMissing, www)
	for _, typ := range []controlplane.ConditionType{controlplane.DNSReady,
		controlplane.RenewalOnTrack} {
		c := wantCondition(t, d, typ, "false", controlplane.CauseCNAMEMissing)
		wantNames(t, "after the first name broke", c, www)
		if !strings.Contains(c.Message, www) || strings.Contains(c.Message, net) ||
			strings.Contains(c.Message, "other") || !strings.Contains(c.Expected, www) {
			t.Errorf("%s = %+v, want a message about %s only", typ, c, www)
		}
	}

	w.doctor.findsAt(net, controlplane.CauseCNAMEMismatch)
	w.rehearsal(d)
	w.run(d, controlplane.JobDNSCheck)
	w.wantBroken(d, controlplane.CauseCNAMEMismatch, net)
	c := w.domain(d).Condition(controlplane.DNSReady)
	wantNames(t, "after the second name broke", c, net, www)
	if !strings.HasSuffix(c.Message, " Another name is not ready.") {
		t.Errorf("message = %q, want the number of other names", c.Message)
	}

	w.clock.set(*d.RenewAt)
	if n, err := w.Sweep(t.Context()); n != 1 || err != nil {
		t.Fatalf("Sweep = %d, %v, want 1", n, err)
	}
	j := w.runDue(d, controlplane.JobRenewal)
	wantJob(t, j, controlplane.JobQueued, controlplane.CauseCNAMEMismatch, 0)
	w.doctor.findsAt(net, controlplane.CauseOK)
	w.runDue(d, controlplane.JobRenewal)
	if d = w.domain(d); d.CertificateID != first || w.orders() != 1 {
		t.Errorf("certificate = %s after %d orders, want %s after 1", d.CertificateID, w.orders(),
			first)
	}
	wantNames(t, "after the second name was fixed", d.Condition(controlplane.RenewalOnTrack), www)
	if n := w.count(d.ID, controlplane.ActionDelegationBroken); n != 2 {
		t.Errorf("%d events of broken delegations, want 2", n)
	}
	w.doctor.findsAt(www, controlplane.CauseOK)
	w.runDue(d, controlplane.JobRenewal)
	d = w.domain(d)
	if d.CertificateID == first {
		t.Error("the certificate was not renewed after the fix")
	}
	for _, c := range d.Conditions {
		if c.Status != controlplane.ConditionTrue || len(c.Names) > 0 {
			t.Errorf("%s = %+v, want true without names", c.Type, c)
		}
	}
	for _, e := range w.entries(w.org, d.ID) {
		if e.Action == controlplane.ActionDNSVerified && len(e.Details["names"].([]any)) == 1 {
			return
		}
	}
	t.Error("no event names the one name that was verified again")
}

// A name that is added to a domain with a certificate did not break. It is listed until it is
// delegated.
func TestAddedNamesDidNotBreak(t *testing.T) {
	t.Parallel()
	const www = "www.example.com"
	w := newWorld(t)
	d := w.active("example.com")
	w.doctor.findsAt(www, controlplane.CauseCNAMEMissing)
	d, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
		lifecycle.DomainPatch{AdditionalNames: &[]string{www}})
	must(t, err)
	wantNames(t, "before the check", wantCondition(t, w.domain(d), controlplane.DNSReady,
		"unknown", controlplane.ReasonCNAMEUnchecked), www)
	w.run(d, controlplane.JobDNSCheck)
	wantNames(t, "after the check", wantCondition(t, w.domain(d), controlplane.DNSReady, "false",
		controlplane.CauseCNAMEMissing), www)
	if n := w.count(d.ID, controlplane.ActionDelegationBroken); n != 0 {
		t.Errorf("%d events of broken delegations, want 0: %s was never verified", n, www)
	}
	w.doctor.findsAt(www, controlplane.CauseOK)
	w.runDue(d, controlplane.JobStartIssuance)
	if got := w.ca.order(1).Names; !slices.Equal(got, []string{"example.com", www}) {
		t.Errorf("names of the new order = %q, want both", got)
	}
}

// The names that no CA may issue for are listed in the certificate's condition.
func TestForbiddenNamesAreListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.doctor.caaOf = map[string][]controlplane.CAAFinding{"www.example.com": allows()}
	d := w.named("example.com", "www.example.com")
	w.run(d, controlplane.JobDNSCheck)
	d = w.domain(d)
	wantNames(t, "CAA", d.Condition(controlplane.DNSReady))
	wantNames(t, "CAA", wantCondition(t, d, controlplane.CertificateReady, "false",
		controlplane.CauseCAAForbids), "www.example.com")
}
