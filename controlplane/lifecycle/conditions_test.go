package lifecycle_test

import (
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// wantSummary checks the state of the domain's summary, its reason, and the time until the next
// event, negative for none.
func (w *world) wantSummary(
	d *controlplane.Domain, state controlplane.SummaryState, reason controlplane.Reason,
	next time.Duration,
) {
	w.t.Helper()
	s := w.domain(d).Summary(w.clock.Now())
	got := time.Duration(-1)
	if s.Next != nil {
		got = s.Next.At.Sub(w.clock.Now())
	}
	if s.State != state || s.Reason != reason || got != next {
		w.t.Errorf("Summary = %s (%s), next event in %s, want %s (%s), %s", s.State, s.Reason, got,
			state, reason, next)
	}
}

// noProfile is the verdict of a CA that does not offer the domain's profile.
var noProfile = verdict{Class: controlplane.VerdictPolicy, Code: "ca-profile",
	Message: "No such profile.", Fix: "Choose another profile."}

// A requested renewal is shown from the request on, until it succeeds or shows its failure.
func TestRequestedRenewalIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	w.clock.add(time.Hour)
	_, _, err := w.RequestRenew(t.Context(), alice, w.org, d.ID)
	must(t, err)
	w.wantSummary(d, controlplane.SummaryRenewing, "renewing", -1)
	w.run(d, controlplane.JobRenewal)
	w.wantSummary(d, controlplane.SummaryActive, "scheduled", 60*day)

	w.clock.add(2 * time.Hour)
	w.ca.reject(map[string]verdict{"primary": noProfile, "backup": noProfile})
	_, _, err = w.RequestRenew(t.Context(), alice, w.org, d.ID)
	must(t, err)
	retry := w.run(d, controlplane.JobRenewal).RunAt.Sub(w.clock.Now())
	w.wantSummary(d, controlplane.SummaryAtRisk, "ca-profile", retry)
	_, _, err = w.RequestRenew(t.Context(), alice, w.org, d.ID)
	must(t, err)
	w.wantSummary(d, controlplane.SummaryAtRisk, "ca-profile", 0)
}

// A retry of a dead-lettered job is shown as due at once.
func TestRestartIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	w.run(d, controlplane.JobDNSCheck)
	w.ca.reject(map[string]verdict{"primary": noProfile, "backup": noProfile})
	for range controlplane.MaxAttempts {
		w.runDue(d, controlplane.JobStartIssuance)
	}
	w.wantSummary(d, controlplane.SummaryBlocked, "ca-profile", -1)
	_, _, err := w.RestartJob(t.Context(), alice, w.org,
		w.job(d, controlplane.JobStartIssuance).ID)
	must(t, err)
	w.wantSummary(d, controlplane.SummaryBlocked, "ca-profile", 0)
	w.ca.answer(nil)
	w.run(d, controlplane.JobStartIssuance)
	w.wantSummary(d, controlplane.SummaryActive, "scheduled", 60*day)
}

// A domain without automatic issuance shows that its certificate was requested.
func TestRequestedIssuanceIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com", func(o *controlplane.Options) { o.AutoIssue = false })
	w.run(d, controlplane.JobDNSCheck)
	w.wantSummary(d, controlplane.SummaryWaiting, "awaiting-issue", -1)
	_, _, err := w.RequestIssue(t.Context(), alice, w.org, d.ID)
	must(t, err)
	w.wantSummary(d, controlplane.SummaryInProgress, "issuing", -1)
}

// The replacement of a revoked certificate is shown.
func TestReplacementIsShown(t *testing.T) {
	t.Parallel()
	w, _ := newRevoking(t)
	d := w.active("example.com")
	_, _, err := w.RevokeCertificate(t.Context(), alice, w.org, d.CertificateID, "superseded", true)
	must(t, err)
	w.wantSummary(d, controlplane.SummaryRenewing, "renewing", -1)
	w.run(d, controlplane.JobRevocation)
	w.wantSummary(d, controlplane.SummaryRevoked, "renewing", -1)
	w.run(d, controlplane.JobStartIssuance)
	w.wantSummary(d, controlplane.SummaryActive, "scheduled", 60*day)

	w.clock.add(2 * time.Hour)
	_, _, err = w.RevokeCertificate(t.Context(), alice, w.org, w.domain(d).CertificateID,
		"superseded", false)
	must(t, err)
	w.run(d, controlplane.JobRevocation)
	w.wantSummary(d, controlplane.SummaryRevoked, "revoked", 60*day-2*time.Hour)
}
