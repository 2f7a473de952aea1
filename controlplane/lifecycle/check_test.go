package lifecycle_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

func TestCheckVerifiesTheCNAMEAndStartsTheIssuance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	j, err := w.try(d, controlplane.JobDNSCheck)
	must(t, err)
	wantJob(t, j, controlplane.JobSucceeded, "", 0)
	next := w.job(d, controlplane.JobStartIssuance)
	if next.Queue != controlplane.QueueCritical || j.Result["next_job_id"] != next.ID ||
		j.Result["delegated"] != true || next.RequestID != "req-1" {
		t.Errorf("check = %+v, then issuance %+v, want it critical, with the same request ID", j,
			next)
	}
	d = w.domain(d)
	wantStatus(t, d, controlplane.DomainIssuing, "")
	if c := wantCondition(t, d, controlplane.DNSReady, "true",
		"delegated"); c.LastCheckedAt == nil || !c.LastCheckedAt.Equal(start) ||
		c.NextCheckAt != nil {
		t.Errorf("DNSReady = %+v, want checked at %s, and no next check", c, start)
	}
	wantCondition(t, d, controlplane.CertificateReady, "false", "issuing")
	if diff := cmp.Diff([]string{controlplane.ActionDomainCreated, controlplane.ActionDNSVerified},
		w.events(d.ID)); diff != "" {
		t.Errorf("events of the domain (-want +got):\n%s", diff)
	}
	if e := w.last(d.ID); e.Actor.Type != controlplane.ActorSystem || e.Actor.RequestID != "req-1" {
		t.Errorf("actor = %+v, want the system with the request ID req-1", e.Actor)
	}
}

// A check without a delegation is deferred: the row and the domain show until when, and the delays
// follow the schedule for 30 days.
func TestCheckIsDeferredForThirtyDays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	d := w.add("example.com")
	plan := float64(5 * time.Second)
	turns := 0
	for {
		now := w.clock.Now()
		j, err := w.try(d, controlplane.JobDNSCheck)
		must(t, err)
		if turns++; j.Status == controlplane.JobFailed {
			wantJob(t, j, controlplane.JobFailed, "delegation-timeout", 0)
			if j.LastErrorCode != "delegation-timeout" || j.DeadLetteredAt != nil {
				t.Errorf("job = %+v, want delegation-timeout without a dead letter", j)
			}
			break
		}
		if turns > 300 {
			t.Fatal("the checks did not end after 300 runs")
		}
		wantJob(t, j, controlplane.JobQueued, controlplane.CauseCNAMEMissing, 0)
		if wait := float64(j.RunAt.Sub(now)); wait < plan*0.899 || wait > plan*1.101 {
			t.Errorf("check %d is deferred for %s, want about %s", turns, time.Duration(wait),
				time.Duration(plan))
		}
		plan = min(plan*1.5, float64(4*time.Hour))
		got := w.domain(d)
		wantStatus(t, got, controlplane.DomainPendingCNAME, controlplane.CauseCNAMEMissing)
		if c := wantCondition(t, got, controlplane.DNSReady,
			"false", controlplane.CauseCNAMEMissing); c.NextCheckAt == nil ||
			!c.NextCheckAt.Equal(j.RunAt) || c.Observed != "observed" || c.Fix != "Fix it." {
			t.Errorf("DNSReady = %+v, want the doctor's findings, and the next check at %s", c,
				j.RunAt)
		}
		if t.Failed() {
			t.FailNow()
		}
		w.clock.set(j.RunAt)
	}
	if age := w.clock.Now().Sub(start); age < 29*day+18*time.Hour || age > 30*day {
		t.Errorf("checks were abandoned after %s, want about 30 days", age)
	}
	got := w.domain(d)
	wantStatus(t, got, controlplane.DomainError, "delegation-timeout")
	if c := wantCondition(t, got, controlplane.DNSReady,
		"false", controlplane.CauseCNAMEMissing); c.NextCheckAt != nil {
		t.Errorf("DNSReady: next check = %s, want none", c.NextCheckAt)
	}
	if n := w.count(d.ID, controlplane.ActionDelegationTimeout); n != 1 {
		t.Errorf("%d events of the timeout, want 1", n)
	}

	w.clock.add(90 * day)
	j, started, err := w.RequestCheck(t.Context(), alice, w.org, d.ID)
	if err != nil || !started {
		t.Fatalf("RequestCheck = %+v, %v, %v, want a new job", j, started, err)
	}
	wantStatus(t, w.domain(d), controlplane.DomainPendingCNAME, "cname-unchecked")
	if j, err := w.try(d, controlplane.JobDNSCheck); err != nil ||
		j.Status != controlplane.JobQueued || j.RunAt.Sub(w.clock.Now()) > 6*time.Second {
		t.Errorf("check after the request = %+v, %v, want one that is deferred for about 5 s", j,
			err)
	}
	w.doctor.finds(controlplane.CauseOK)
	w.runDue(d, controlplane.JobDNSCheck)
	wantStatus(t, w.domain(d), controlplane.DomainIssuing, "")
}

// A check without a reachable resolver does not change the previous result.
func TestCheckWithoutAResultChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.doctor.finds(controlplane.CauseCNAMEMismatch)
	d := w.add("example.com")
	w.run(d, controlplane.JobDNSCheck)
	before := w.domain(d)
	w.doctor.finds(controlplane.CauseResolverUnreachable)
	j, err := w.tryDue(d, controlplane.JobDNSCheck)
	must(t, err)
	wantJob(t, j, controlplane.JobQueued, controlplane.CauseResolverUnreachable, 0)
	if wait := j.RunAt.Sub(w.clock.Now()); wait != 8*time.Second {
		t.Errorf("check is deferred for %s, want 8s", wait)
	}
	got := w.domain(d)
	wantStatus(t, got, controlplane.DomainPendingCNAME, controlplane.CauseCNAMEMismatch)
	c := wantCondition(t, got, controlplane.DNSReady, "false", controlplane.CauseCNAMEMismatch)
	if !c.LastCheckedAt.Equal(*before.Condition(controlplane.DNSReady).LastCheckedAt) ||
		!c.NextCheckAt.Equal(j.RunAt) {
		t.Errorf("DNSReady = %+v, want the time of the previous check, and the next one at %s", c,
			j.RunAt)
	}
	if got.CheckAttempts != before.CheckAttempts {
		t.Errorf("check attempts = %d, want %d", got.CheckAttempts, before.CheckAttempts)
	}
}

// The first check without a result, of a resolver or of the validation zone, shows that. It has no
// previous result.
func TestFirstCheckWithoutAResult(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, code := range map[string]controlplane.Reason{
		"resolver.example": controlplane.CauseResolverUnreachable,
		"target.example":   controlplane.CauseTargetNotServed} {
		w.doctor.finds(string(code))
		d := w.add(name)
		wantJob(t, w.run(d, controlplane.JobDNSCheck), controlplane.JobQueued, code, 0)
		wantCondition(t, w.domain(d), controlplane.DNSReady, "unknown", code)
		if runs := w.ca.runs(); len(runs) > 0 {
			t.Errorf("%s: %d orders, want 0", code, len(runs))
		}
	}
}

func TestCheckWithoutAutoIssue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com", func(o *controlplane.Options) { o.AutoIssue = false })
	if j, err := w.try(d, controlplane.JobDNSCheck); err != nil || j.Result["next_job_id"] != nil ||
		j.Status != controlplane.JobSucceeded {
		t.Errorf("check without auto-issue = %+v, %v, want success without a next job", j, err)
	}
	got := w.domain(d)
	wantStatus(t, got, controlplane.DomainPendingCNAME, "awaiting-issue")
	wantCondition(t, got, controlplane.CertificateReady, "false", "awaiting-issue")
	if n := w.jobs(d, controlplane.JobStartIssuance); n != 0 {
		t.Errorf("%d issuances, want 0", n)
	}
	if _, started, err := w.RequestIssue(t.Context(), alice, w.org, d.ID); err != nil || !started {
		t.Fatalf("RequestIssue: started = %v, error %v, want true", started, err)
	}
	w.run(d, controlplane.JobStartIssuance)
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
}

// A domain with a broken CNAME stays active with its certificate. It shows that its renewal would
// fail, logs one event, and recovers when the CNAME is fixed.
func TestActiveDomainWithABrokenCNAME(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	check := func() *controlplane.Job {
		t.Helper()
		w.clock.add(time.Hour)
		_, _, err := w.RequestCheck(t.Context(), alice, w.org, d.ID)
		must(t, err)
		j, err := w.try(d, controlplane.JobDNSCheck)
		must(t, err)
		return j
	}
	for _, code := range []string{controlplane.CauseCNAMEMissing, controlplane.CauseCNAMEMissing,
		controlplane.CauseCNAMEMismatch} {
		w.doctor.finds(code)
		if j := check(); j.Status != controlplane.JobSucceeded || j.Result["delegated"] != false ||
			j.Result["code"] != code {
			t.Errorf("check of a broken CNAME = %+v, want success, not delegated, with the code %s",
				j, code)
		}
		got := w.domain(d)
		wantStatus(t, got, controlplane.DomainActive, "")
		wantCondition(t, got, controlplane.DNSReady, "false", controlplane.Reason(code))
		wantCondition(t, got, controlplane.CertificateReady, "true", "issued")
		if c := wantCondition(t, got, controlplane.RenewalOnTrack,
			"false", controlplane.Reason(code)); c.Fix == "" {
			t.Errorf("RenewalOnTrack = %+v, want a fix", c)
		}
	}
	if n := w.count(d.ID, controlplane.ActionDelegationBroken); n != 1 {
		t.Errorf("%d events of the broken delegation, want 1", n)
	}
	w.doctor.finds(controlplane.CauseResolverUnreachable)
	check()
	wantCondition(t, w.domain(d), controlplane.DNSReady, "false", controlplane.CauseCNAMEMismatch)
	w.doctor.finds(controlplane.CauseOK)
	check()
	got := w.domain(d)
	wantStatus(t, got, controlplane.DomainActive, "")
	wantCondition(t, got, controlplane.DNSReady, "true", "delegated")
	wantCondition(t, got, controlplane.RenewalOnTrack, "true", "scheduled")
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	check()
	if n := w.count(d.ID, controlplane.ActionDelegationBroken); n != 2 {
		t.Errorf("%d events after the delegation was fixed and broke again, want 2", n)
	}
	if n := w.jobs(d, controlplane.JobStartIssuance); n != 1 {
		t.Errorf("%d issuances, want 1", n)
	}
}

// A check that verifies the CNAME expedites the issuance that was deferred for it.
func TestCheckExpeditesTheIssuance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	d := w.add("example.com")
	w.run(d, controlplane.JobDNSCheck)
	_, _, err := w.RequestIssue(t.Context(), alice, w.org, d.ID)
	must(t, err)
	waiting, err := w.try(d, controlplane.JobStartIssuance)
	must(t, err)
	wantJob(t, waiting, controlplane.JobQueued, controlplane.CauseCNAMEMissing, 0)
	if len(w.ca.runs()) != 0 {
		t.Error("an order was placed without the CNAME")
	}
	w.exec(`UPDATE jobs SET run_at = $1 WHERE type = 'start_issuance'`, start.Add(4*time.Hour))
	w.doctor.finds(controlplane.CauseOK)
	w.runDue(d, controlplane.JobDNSCheck)
	if j := w.job(d, controlplane.JobStartIssuance); j.ID != waiting.ID ||
		j.RunAt.After(w.clock.Now()) {
		t.Errorf("issuance is due at %s, want now, %s", j.RunAt, w.clock.Now())
	}
	w.run(d, controlplane.JobStartIssuance)
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
}

func TestCheckFailsWithItsDoctor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	w.doctor.fails(errors.New("the doctor's password is hunter2"))
	for n := 1; n <= 3; n++ {
		j, err := w.tryDue(d, controlplane.JobDNSCheck)
		later, ok := errors.AsType[*lifecycle.RetryLater](err)
		if !ok || later.After != j.RunAt.Sub(w.clock.Now()) {
			t.Fatalf("RunJob = %v, and the retry is at %s, want *RetryLater", err, j.RunAt)
		}
		wantJob(t, j, controlplane.JobQueued, "retry", n)
		if j.LastErrorCode != "internal" || j.LastError == "" || j.LastError == err.Error() {
			t.Errorf("last error = %s %s, want internal without its cause", j.LastErrorCode,
				j.LastError)
		}
		if c := w.domain(d).Condition(controlplane.DNSReady); c.NextCheckAt == nil ||
			!c.NextCheckAt.Equal(j.RunAt) {
			t.Errorf("DNSReady = %+v, want the next check at %s", c, j.RunAt)
		}
	}
	j, err := w.tryDue(d, controlplane.JobDNSCheck)
	if _, ok := errors.AsType[*lifecycle.DeadLettered](err); !ok {
		t.Fatalf("RunJob: error = %v, want *DeadLettered", err)
	}
	wantJob(t, j, controlplane.JobFailed, "dead-lettered", 4)
	wantStatus(t, w.domain(d), controlplane.DomainError, "internal")
	if diff := cmp.Diff([]string{controlplane.ActionJobDeadLettered}, w.events(j.ID)); diff != "" {
		t.Errorf("events of the job (-want +got):\n%s", diff)
	}
}
