package lifecycle_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

const reissueDelay = 10 * time.Second

// change changes options of the domain.
func (w *world) change(d *controlplane.Domain, p lifecycle.DomainPatch) *controlplane.Domain {
	w.t.Helper()
	got, err := w.UpdateDomain(w.t.Context(), alice, d.OrgID, d.ID, 0, p)
	must(w.t, err)
	return got
}

// wantRevisions checks the revisions of the domain's options and of its certificate.
func wantRevisions(t testing.TB, d *controlplane.Domain, options, certificate int64) {
	t.Helper()
	if d.OptionsRevision != options || d.CertificateRevision != certificate {
		t.Errorf("revisions of %s = %d and %d, want %d and %d", d.Name, d.OptionsRevision,
			d.CertificateRevision, options, certificate)
	}
}

// wantNoOrder checks that the domain has no open job for a certificate, and that none is due.
func (w *world) wantNoOrder(d *controlplane.Domain) {
	w.t.Helper()
	slot := controlplane.JobStartIssuance.Slot()
	if j, err := w.Store.OpenJob(w.t.Context(), d.OrgID, d.ID, slot); err == nil {
		w.t.Errorf("%s has an open job: %s", d.Name, toJSON(j))
	}
	if d = w.domain(d); d.ReissueAt != nil {
		w.t.Errorf("the order of %s is due at %s, want none", d.Name, d.ReissueAt)
	}
	w.reissue(0)
}

// reissue checks how many jobs the sweep adds for outdated certificates.
func (w *world) reissue(want int) {
	w.t.Helper()
	if n, err := w.Reissue(w.t.Context()); n != want || err != nil {
		w.t.Errorf("Reissue = %d, %v, want %d", n, err, want)
	}
}

// Each option that the certificate depends on raises the revision, and a certificate with it is
// ordered. The others do neither.
func TestChangedOptionsAreOrdered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	on, off, profile, chain, ca := true, false, "shortlived", "Other Root", "backup"
	kt, request := controlplane.KeyEC384, csr(t, "csr.example.com")
	rewrapped := strings.ReplaceAll(request, "\n", "\r\n")
	for name, tt := range map[string]struct {
		patch  lifecycle.DomainPatch
		orders bool
	}{
		"wildcard.example.com": {lifecycle.DomainPatch{Wildcard: &on}, true},
		"key.example.com":      {lifecycle.DomainPatch{KeyType: &kt}, true},
		"csr.example.com":      {lifecycle.DomainPatch{CSRPEM: &request}, true},
		"profile.example.com":  {lifecycle.DomainPatch{Profile: &profile}, true},
		"chain.example.com":    {lifecycle.DomainPatch{PreferredChain: &chain}, true},
		"ca.example.com":       {lifecycle.DomainPatch{CA: &ca}, true},
		"renew.example.com":    {lifecycle.DomainPatch{AutoRenew: &off}, false},
		"issue.example.com":    {lifecycle.DomainPatch{AutoIssue: &off}, false},
		"labels.example.com":   {lifecycle.DomainPatch{Labels: &map[string]string{"a": "b"}}, false},
	} {
		d := w.active(name)
		wantRevisions(t, d, 1, 1)
		old, runs := w.certificate(d.CertificateID), len(w.ca.runs())
		d = w.change(d, tt.patch)
		if !tt.orders {
			wantRevisions(t, d, 1, 1)
			w.wantNoOrder(d)
			continue
		}
		wantRevisions(t, d, 2, 1)
		wantStatus(t, d, controlplane.DomainActive, "")
		w.wantSummary(d, controlplane.SummaryRenewing, "options-changed", -1)
		j := w.job(d, controlplane.JobStartIssuance)
		wantJob(t, j, controlplane.JobQueued, "options-changed", 0)
		if !j.RunAt.Equal(w.clock.Now().Add(reissueDelay)) {
			t.Errorf("%s: the order is due at %s, want %s later", name, j.RunAt, reissueDelay)
		}
		if e := w.last(d.ID); e.Action != controlplane.ActionDomainUpdated ||
			e.Details["job_id"] != j.ID || e.After["options_revision"] != 2.0 {
			t.Errorf("%s: last entry = %s, want domain.updated with the job", name, toJSON(e))
		}
		wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
		o := w.ca.order(len(w.ca.runs()) - 1)
		if len(w.ca.runs()) != runs+1 || o.OptionsRevision != 2 ||
			o.CA == "primary" && o.Replaces != old.ARIID {
			t.Errorf("%s: order = %s, want one for revision 2 that replaces %s", name, toJSON(o),
				old.ARIID)
		}
		d = w.domain(d)
		cert := w.certificate(d.CertificateID)
		wantRevisions(t, d, 2, 2)
		w.wantSummary(d, controlplane.SummaryActive, "scheduled", 60*day)
		if cert.OptionsRevision != 2 || old.OptionsRevision != 1 ||
			w.certificate(old.ID).ReplacedBy != cert.ID {
			t.Errorf("%s: certificate = %s, want one of revision 2 that replaced %s", name,
				toJSON(cert), old.ID)
		}
		if d.Wildcard && !slices.Contains(cert.Names, "*."+name) {
			t.Errorf("%s: names = %q, want the wildcard", name, cert.Names)
		}
		w.wantNoOrder(d)
	}
	d := w.change(w.domain(&controlplane.Domain{OrgID: w.org, ID: "csr.example.com"}),
		lifecycle.DomainPatch{CSRPEM: &rewrapped})
	wantRevisions(t, d, 2, 2)
	w.wantNoOrder(d)
}

// The log says why an order was placed.
func TestOrderForChangedOptionsIsLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	on := true
	w.change(d, lifecycle.DomainPatch{Wildcard: &on})
	w.runDue(d, controlplane.JobStartIssuance)
	var reasons []any
	for _, e := range w.entries(w.org, d.ID) {
		if e.Action == controlplane.ActionOrderCreated {
			reasons = append(reasons, e.Details["reason"], e.Details["options_revision"])
		}
	}
	if want := []any{nil, 1.0, "options-changed", 2.0}; !slices.Equal(reasons, want) {
		t.Errorf("reasons and revisions of the orders = %v, want %v", reasons, want)
	}
	if e := w.last(d.ID); e.Action != controlplane.ActionRenewed ||
		e.Details["options_revision"] != 2.0 {
		t.Errorf("last entry = %s, want domain.renewed with revision 2", toJSON(e))
	}
}

// Changes within ten seconds share one order. A later one gets another order, also if it sets an
// option to its previous value.
func TestChangesShareAnOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	on, off, kt := true, false, controlplane.KeyEC384
	w.change(d, lifecycle.DomainPatch{Wildcard: &on})
	first := w.job(d, controlplane.JobStartIssuance)
	w.clock.add(9 * time.Second)
	w.change(d, lifecycle.DomainPatch{KeyType: &kt})
	w.change(d, lifecycle.DomainPatch{Wildcard: &off})
	if j := w.job(d, controlplane.JobStartIssuance); j.ID != first.ID ||
		!j.RunAt.Equal(first.RunAt) {
		t.Errorf("job = %s, want the first one unchanged: %s", toJSON(j), toJSON(first))
	}
	w.runDue(d, controlplane.JobStartIssuance)
	d = w.domain(d)
	wantRevisions(t, d, 4, 4)
	if cert := w.certificate(d.CertificateID); cert.KeyType != kt || len(cert.Names) != 1 {
		t.Errorf("certificate = %s, want the last options", toJSON(cert))
	}
	for range 2 {
		w.clock.add(time.Second)
		w.change(d, lifecycle.DomainPatch{Wildcard: &on})
		w.runDue(d, controlplane.JobStartIssuance)
		w.change(d, lifecycle.DomainPatch{Wildcard: &off})
		w.runDue(d, controlplane.JobStartIssuance)
	}
	wantRevisions(t, w.domain(d), 8, 8)
	if n := len(w.ca.runs()); n != 6 {
		t.Errorf("%d orders, want 6", n)
	}
	w.wantNoOrder(d)
}

// With auto_issue off, the certificate is shown as outdated, and a new one is ordered by request.
func TestOutdatedCertificateWithoutAutoIssue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	on, off := true, false
	d = w.change(d, lifecycle.DomainPatch{AutoIssue: &off, Wildcard: &on})
	wantRevisions(t, d, 2, 1)
	w.wantNoOrder(d)
	c := wantCondition(t, d, controlplane.CertificateReady, "false", "certificate-outdated")
	if !strings.Contains(c.Fix, "/issue") {
		t.Errorf("fix = %q, want the request", c.Fix)
	}
	s := d.Summary(w.clock.Now())
	if s.State != controlplane.SummaryAtRisk || s.Actor != controlplane.PartyCustomer ||
		s.Request != controlplane.JobRenewal || s.Headline != "Certificate outdated" {
		t.Errorf("Summary = %+v, want a request by the customer", s)
	}
	_, _, err := w.RequestRenew(t.Context(), alice, w.org, d.ID)
	must(t, err)
	w.wantSummary(d, controlplane.SummaryRenewing, "options-changed", -1)
	w.run(d, controlplane.JobRenewal)
	d = w.domain(d)
	wantRevisions(t, d, 2, 2)
	w.wantSummary(d, controlplane.SummaryActive, "scheduled", 60*day)

	// Another change is ordered as soon as auto_issue is on.
	w.change(d, lifecycle.DomainPatch{Wildcard: &off})
	w.wantSummary(d, controlplane.SummaryAtRisk, "certificate-outdated", 60*day)
	d = w.change(d, lifecycle.DomainPatch{AutoIssue: &on})
	wantCondition(t, d, controlplane.CertificateReady, "true", "issued")
	w.wantSummary(d, controlplane.SummaryRenewing, "options-changed", -1)
	w.runDue(d, controlplane.JobStartIssuance)
	wantRevisions(t, w.domain(d), 3, 3)

	// An order that has not started is canceled.
	w.change(d, lifecycle.DomainPatch{Wildcard: &on})
	d = w.change(d, lifecycle.DomainPatch{AutoIssue: &off})
	w.wantNoOrder(d)
	w.wantSummary(d, controlplane.SummaryAtRisk, "certificate-outdated", 60*day)

	// The due renewal needs no request.
	w.clock.set(*d.RenewAt)
	if n, err := w.Sweep(t.Context()); n != 1 || err != nil {
		t.Fatalf("Sweep = %d, %v, want 1", n, err)
	}
	w.run(d, controlplane.JobRenewal)
	d = w.domain(d)
	wantRevisions(t, d, 4, 4)
	wantCondition(t, d, controlplane.CertificateReady, "true", "issued")
}

// If the options change while an order runs, its certificate is stored, and the next order follows.
func TestOptionsChangeDuringTheOrder(t *testing.T) {
	t.Parallel()
	on, off := true, false
	for name, auto := range map[string]bool{"automatic": true, "by request": false} {
		for _, first := range []bool{true, false} {
			w := newWorld(t)
			d, want := w.issuing("example.com"), int64(2)
			if !first {
				w.run(d, controlplane.JobStartIssuance)
				w.change(d, lifecycle.DomainPatch{Profile: new("shortlived")})
				w.clock.add(reissueDelay)
				want = 3
			}
			w.ca.answer(func(context.Context, *controlplane.Order, controlplane.Journal) error {
				w.ca.answer(nil)
				w.clock.add(time.Second)
				p := lifecycle.DomainPatch{Wildcard: &on}
				if !auto {
					p.AutoIssue = &off
				}
				w.change(d, p)
				w.clock.add(time.Second)
				return nil
			})
			wantJob(t, w.run(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
			d = w.domain(d)
			wantRevisions(t, d, want, want-1)
			if names := w.certificate(d.CertificateID).Names; len(names) != 1 {
				t.Errorf("%s: names = %q, want those of the order", name, names)
			}
			if !auto {
				w.wantSummary(d, controlplane.SummaryAtRisk, "certificate-outdated", 60*day)
				w.wantNoOrder(d)
				continue
			}
			w.wantSummary(d, controlplane.SummaryRenewing, "options-changed", -1)
			next := w.job(d, controlplane.JobStartIssuance)
			if wait := next.RunAt.Sub(w.clock.Now()); wait > reissueDelay || wait < 0 {
				t.Errorf("%s: the next order is due in %s, want at most %s", name, wait,
					reissueDelay)
			}
			w.runDue(d, controlplane.JobStartIssuance)
			d = w.domain(d)
			wantRevisions(t, d, want, want)
			if names := w.certificate(d.CertificateID).Names; len(names) != 2 {
				t.Errorf("%s: names = %q, want the wildcard, too", name, names)
			}
			w.wantNoOrder(d)
		}
	}
}

// An order that the options have outrun is not resumed, and its late certificate is not current.
func TestOutdatedOrderIsNotUsed(t *testing.T) {
	t.Parallel()
	for _, step := range []controlplane.OrderStep{controlplane.StepAuthorized,
		controlplane.StepFinalized} {
		w := newWorld(t)
		d := w.active("example.com")
		on, off := true, false
		w.ca.stuck("primary", step, verdictOf(controlplane.VerdictSlow))
		w.change(d, lifecycle.DomainPatch{Wildcard: &on})
		wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobQueued, "ca-slow", 0)
		w.ca.answer(nil)
		// The same options as those of the certificate, but not the same revision.
		w.change(d, lifecycle.DomainPatch{Wildcard: &off})
		wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
		d = w.domain(d)
		wantRevisions(t, d, 3, 3)
		current := d.CertificateID
		if runs := w.ca.runs(); len(runs) != 3 || len(w.certificate(current).Names) != 1 {
			t.Errorf("%s: orders = %q, want a third one with one name", step, runs)
		}
		if step == controlplane.StepFinalized {
			w.ca.collect(func(o *controlplane.Order) (*controlplane.Certificate, error) {
				return w.ca.issue(o, 90*day), nil
			})
			w.collect(1)
		}
		d = w.domain(d)
		wantRevisions(t, d, 3, 3)
		if d.CertificateID != current {
			t.Errorf("%s: current certificate = %s, want %s", step, d.CertificateID, current)
		}
		w.wantNoOrder(d)
	}
}

// A CA that lacks the profile or the chain is not asked again: the revision is reached.
func TestRevisionIsReachedAtABackupCA(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	profile, chain := "shortlived", "Other Root"
	w.ca.answer(func(_ context.Context, o *controlplane.Order, _ controlplane.Journal) error {
		o.Profile = ""
		if o.CA == "primary" {
			return verdictOf(controlplane.VerdictUnreachable)
		}
		return nil
	})
	w.ca.lacks(&controlplane.ChainNotOffered{Wanted: chain, Offered: []string{"Root"}})
	w.change(d, lifecycle.DomainPatch{Profile: &profile, PreferredChain: &chain})
	w.runDue(d, controlplane.JobStartIssuance)
	d = w.domain(d)
	wantRevisions(t, d, 2, 2)
	if cert := w.certificate(d.CertificateID); cert.CA != "backup" || cert.Profile == profile {
		t.Fatalf("certificate = %s, want one of the backup CA without the profile", toJSON(cert))
	}
	w.clock.add(2 * time.Hour)
	w.wantNoOrder(d)
}

// The domain's row records that an order is due, so a lost job is replaced.
func TestLostReissueIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, other := w.active("example.com"), w.active("other.example.com")
	on := true
	w.change(d, lifecycle.DomainPatch{Wildcard: &on})
	w.clock.add(reissueDelay)
	w.reissue(0) // its job is open
	w.exec(`DELETE FROM jobs WHERE domain_id = $1`, d.ID)
	w.clock.add(time.Hour - time.Second)
	w.reissue(0)
	w.clock.add(time.Second)
	w.reissue(1)
	w.reissue(0)
	wantJob(t, w.job(d, controlplane.JobStartIssuance), controlplane.JobQueued, "options-changed", 0)
	w.run(d, controlplane.JobStartIssuance)
	wantRevisions(t, w.domain(d), 2, 2)
	w.wantNoOrder(d)

	// A row that an older version of the program left behind is not ordered again.
	w.exec(`UPDATE domains SET reissue_at = $2 WHERE id = $1`, other.ID, w.clock.Now())
	w.reissue(0)
	w.wantNoOrder(other)
}

// Concurrent sweeps add one job per domain.
func TestReissueInBatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.many(1100)
	w.exec(`UPDATE domains SET options_revision = 2, reissue_at = $1`, start)
	total := make(chan int, 4)
	for range cap(total) {
		go func() {
			n, err := w.Reissue(t.Context())
			if err != nil {
				t.Error(err)
			}
			total <- n
		}()
	}
	sum := 0
	for range cap(total) {
		sum += soon(t, "Reissue", total)
	}
	if n := value[int](w, `SELECT count(DISTINCT domain_id) FROM jobs`); n != 1100 || sum != 1100 {
		t.Errorf("%d domains have a job, and %d were counted, want 1100", n, sum)
	}
	w.reissue(0)
}

// A dead-lettered order follows again, also without auto_renew, unless only the customer can fix
// its cause. A change of options does.
func TestReissueAfterADeadLetter(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		verdict verdict
		renews  bool
		follows bool
	}{
		"by the service":              {verdictOf(controlplane.VerdictInternal), false, true},
		"by the customer":             {refuses(controlplane.VerdictRequest), false, false},
		"by the customer, or renewal": {refuses(controlplane.VerdictRequest), true, true},
	} {
		w := newWorld(t)
		d := w.active("example.com", func(o *controlplane.Options) { o.AutoRenew = tt.renews })
		on, off := true, false
		w.ca.rejectAll(tt.verdict)
		w.change(d, lifecycle.DomainPatch{Wildcard: &on})
		for range controlplane.MaxAttempts {
			w.runDue(d, controlplane.JobStartIssuance)
		}
		wantJob(t, w.job(d, controlplane.JobStartIssuance), controlplane.JobFailed,
			"dead-lettered", 4)
		c := w.domain(d).Condition(controlplane.RenewalOnTrack)
		if (c.NextCheckAt != nil) != tt.follows {
			t.Errorf("%s: next attempt at %v, want one: %t", name, c.NextCheckAt, tt.follows)
		}
		w.reissue(0)
		w.clock.add(day)
		w.ca.answer(nil)
		renewals, err := w.Sweep(t.Context())
		must(t, err)
		added, err := w.Reissue(t.Context())
		must(t, err)
		if follows := renewals+added > 0; follows != tt.follows {
			t.Errorf("%s: %d renewals and %d orders a day later, want any: %t", name, renewals,
				added, tt.follows)
		}
		if !tt.follows {
			w.change(d, lifecycle.DomainPatch{Wildcard: &off})
		}
		j, err := w.Store.OpenJob(t.Context(), w.org, d.ID, "certificate")
		must(t, err)
		wantJob(t, w.runDue(d, j.Type), controlplane.JobSucceeded, "", 0)
		d = w.domain(d)
		wantRevisions(t, d, d.OptionsRevision, d.OptionsRevision)
		w.wantNoOrder(d)
	}
}

// An order that waits for its DNS, or for its next attempt, uses changed options at once.
func TestChangeAdvancesAWaitingOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	on, kt := true, controlplane.KeyEC384
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	w.clock.add(time.Second)
	w.change(d, lifecycle.DomainPatch{Wildcard: &on})
	for range 20 {
		w.runDue(d, controlplane.JobStartIssuance)
	}
	if j := w.job(d, controlplane.JobStartIssuance); j.RunAt.Sub(w.clock.Now()) < time.Hour {
		t.Fatalf("job = %s, want a longer wait", toJSON(j))
	}
	if s := w.domain(d).Summary(w.clock.Now()); s.Reason != controlplane.CauseCNAMEMissing ||
		s.Next == nil {
		t.Errorf("Summary = %+v, want the missing CNAME and the next attempt", s)
	}
	w.doctor.finds("")
	checks := w.doctor.checks()
	w.change(d, lifecycle.DomainPatch{KeyType: &kt})
	if j := w.job(d, controlplane.JobStartIssuance); j.RunAt.Sub(w.clock.Now()) != reissueDelay {
		t.Errorf("job = %s, want it due in %s", toJSON(j), reissueDelay)
	}
	w.runDue(d, controlplane.JobStartIssuance)
	d = w.domain(d)
	wantRevisions(t, d, 3, 3)
	if w.doctor.checks() == checks {
		t.Error("the DNS was not checked before the order")
	}
	w.wantSummary(d, controlplane.SummaryActive, "scheduled", 60*day)
}

// While orders are suspended, changed options wait for a CSR with another key.
func TestChangedOptionsWhileSuspended(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com", func(o *controlplane.Options) {
		o.CSRPEM, o.AutoRenew = csr(t, "example.com"), false
	})
	cert := w.certificate(d.CertificateID)
	d.SetCondition(controlplane.Condition{Type: controlplane.RenewalOnTrack,
		Status: controlplane.ConditionFalse, Reason: controlplane.ReasonCSRKeyCompromised})
	must(t, w.Store.SaveDomain(t.Context(), d, w.clock.Now()))
	profile, next := "shortlived", csr(t, "example.com")
	d = w.change(d, lifecycle.DomainPatch{Profile: &profile})
	wantRevisions(t, d, 2, 1)
	wantCondition(t, d, controlplane.RenewalOnTrack, "false", "csr-key-compromised")
	w.wantNoOrder(d)
	w.change(d, lifecycle.DomainPatch{CSRPEM: &next})
	w.runDue(d, controlplane.JobStartIssuance)
	d = w.domain(d)
	wantRevisions(t, d, 3, 3)
	if d.CertificateID == cert.ID {
		t.Error("the certificate was not replaced")
	}
	wantCondition(t, d, controlplane.RenewalOnTrack, "false", "auto-renew-off")
}

// Before the first certificate, changed options only raise the revision, and the first certificate
// has it.
func TestChangedOptionsBeforeTheFirstCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	on, kt := true, controlplane.KeyEC384
	d = w.change(d, lifecycle.DomainPatch{Wildcard: &on})
	wantRevisions(t, d, 2, 1)
	wantStatus(t, d, controlplane.DomainPendingCNAME, "cname-unchecked")
	w.wantNoOrder(d)
	w.run(d, controlplane.JobDNSCheck)
	w.change(d, lifecycle.DomainPatch{KeyType: &kt})
	w.run(d, controlplane.JobStartIssuance)
	d = w.domain(d)
	wantRevisions(t, d, 3, 3)
	if n := len(w.ca.runs()); n != 1 || w.certificate(d.CertificateID).OptionsRevision != 3 {
		t.Errorf("%d orders, want one for revision 3", n)
	}
	w.wantNoOrder(d)
}

// An expired certificate is outdated, too.
func TestChangedOptionsOfAnExpiredCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com", func(o *controlplane.Options) { o.AutoRenew = false })
	w.clock.add(91 * day)
	if n, err := w.Expire(t.Context()); n != 1 || err != nil {
		t.Fatalf("Expire = %d, %v, want 1", n, err)
	}
	on, off := true, false
	d = w.change(d, lifecycle.DomainPatch{Wildcard: &on, AutoIssue: &off})
	wantCondition(t, d, controlplane.CertificateReady, "false", "certificate-expired")
	w.wantNoOrder(d)
	w.change(d, lifecycle.DomainPatch{AutoIssue: &on})
	w.runDue(d, controlplane.JobStartIssuance)
	d = w.domain(d)
	wantRevisions(t, d, 2, 2)
	wantStatus(t, d, controlplane.DomainActive, "")
}

// A domain that is deleted before its order leaves nothing.
func TestDeletionBeforeTheReissue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	on := true
	w.change(d, lifecycle.DomainPatch{Wildcard: &on})
	j := w.job(d, controlplane.JobStartIssuance)
	must(t, w.DeleteDomain(t.Context(), alice, w.org, d.ID, 0))
	w.clock.add(time.Hour)
	w.reissue(0)
	must(t, w.RunJob(t.Context(), j.ID, j.Generation))
	if n := len(w.ca.runs()); n != 1 {
		t.Errorf("%d orders, want the first alone", n)
	}
}

// Orders of an older version of the program, which has no revisions, are compared with the options.
func TestOrderWithoutARevision(t *testing.T) {
	t.Parallel()
	on := true
	for name, changes := range map[string]bool{"same options": false, "other options": true} {
		w := newWorld(t)
		d := w.issuing("example.com")
		w.ca.reject(map[string]verdict{"primary": verdictOf(controlplane.VerdictInterrupted)})
		w.run(d, controlplane.JobStartIssuance)
		w.ca.answer(nil)
		w.exec(`UPDATE acme_orders SET options_revision = 0`)
		if changes {
			w.exec(`UPDATE domains SET wildcard = $1`, on)
		}
		wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
		d = w.domain(d)
		wantRevisions(t, d, 1, 1)
		resumed := w.ca.order(0).ID == w.ca.order(1).ID
		if resumed == changes {
			t.Errorf("%s: order resumed = %t", name, resumed)
		}
		w.wantNoOrder(d)
	}
}
