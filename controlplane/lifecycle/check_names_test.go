package lifecycle_test

import (
	"context"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
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
