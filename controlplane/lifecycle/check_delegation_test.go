package lifecycle_test

import (
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// delegationNamed returns the delegation of a name.
func (w *world) delegationNamed(name string) *controlplane.Delegation {
	w.t.Helper()
	g, err := w.Store.Delegation(w.t.Context(), w.org, name, nil)
	must(w.t, err)
	return g
}

// wantDelegation checks the state of a delegation, and the cause that it shows.
func wantDelegation(
	t *testing.T, when string, g *controlplane.Delegation, state controlplane.DelegationState,
	code string,
) {
	t.Helper()
	if g.State != state || g.Diagnosis == nil || g.Diagnosis.Code != code ||
		len(g.Diagnosis.Evidence) > 0 || g.LastCheckedAt == nil {
		t.Errorf("%s: %+v with %+v, want %s with %s and no evidence", when, g, g.Diagnosis, state,
			code)
	}
}

// Each check of a domain shows in the delegation of its name: one that waits for DNS, one that
// starts the issuance, and rehearsals. A check without a result keeps the state.
func TestChecksOfADomainShowInItsDelegation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	d := w.add("example.com")
	if g := w.delegationNamed(d.Name); g.State != controlplane.DelegationUnchecked {
		t.Errorf("before the first check: %s, want unchecked", g.State)
	}
	j := w.run(d, controlplane.JobDNSCheck)
	g := w.delegationNamed(d.Name)
	wantDelegation(t, "without the CNAME", g, controlplane.DelegationBroken,
		controlplane.CauseCNAMEMissing)
	if g.NextCheckAt == nil || !g.NextCheckAt.Equal(j.RunAt) {
		t.Errorf("the next check is at %v, want %s", g.NextCheckAt, j.RunAt)
	}
	w.doctor.finds(controlplane.CauseOK)
	w.runDue(d, controlplane.JobDNSCheck)
	wantDelegation(t, "with the CNAME", w.delegationNamed(d.Name),
		controlplane.DelegationVerified, controlplane.CauseOK)
	if g := w.delegationNamed(d.Name); g.NextCheckAt != nil {
		t.Errorf("the next check is at %s, want none", g.NextCheckAt)
	}

	d = w.active("active.example.com")
	w.rehearsal(d)
	w.passes(d)
	wantDelegation(t, "after a rehearsal", w.delegationNamed(d.Name),
		controlplane.DelegationVerified, controlplane.CauseOK)
	w.doctor.finds(controlplane.CauseCNAMEMismatch)
	w.rehearsal(d)
	w.run(d, controlplane.JobDNSCheck)
	wantDelegation(t, "after a rehearsal that fails", w.delegationNamed(d.Name),
		controlplane.DelegationBroken, controlplane.CauseCNAMEMismatch)
	w.doctor.finds(controlplane.CauseResolverUnreachable)
	at := w.delegationNamed(d.Name).LastCheckedAt
	w.rehearsal(d)
	w.run(d, controlplane.JobDNSCheck)
	if got := w.delegationNamed(d.Name).LastCheckedAt; !got.Equal(*at) {
		t.Errorf("the last check was at %s, want %s: the check had no result", got, at)
	}
	wantDelegation(t, "after a rehearsal without a result", w.delegationNamed(d.Name),
		controlplane.DelegationBroken, controlplane.CauseCNAMEMismatch)
}

// The check of a domain updates a pinned delegation, too, which keeps the schedule of its checks.
func TestChecksOfADomainWithAPinnedDelegation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	g := w.pinned("example.com")
	_, err := w.runCheck(g)
	must(t, err)
	next := w.delegation(g).NextCheckAt
	d := w.add(g.Name)
	w.doctor.finds(controlplane.CauseOK)
	w.run(d, controlplane.JobDNSCheck)
	got := w.delegation(g)
	wantDelegation(t, "after the domain's check", got, controlplane.DelegationVerified,
		controlplane.CauseOK)
	if got.NextCheckAt == nil || !got.NextCheckAt.Equal(*next) {
		t.Errorf("the next check is at %v, want %s", got.NextCheckAt, next)
	}
}
