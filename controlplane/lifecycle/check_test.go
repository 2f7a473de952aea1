package lifecycle_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

func TestCheckFindsTheCNAMEAndStartsTheIssuance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	j, err := w.try(d, controlplane.JobDNSCheck)
	must(t, err)
	wantJob(t, j, controlplane.JobSucceeded, "", 0)
	next := w.job(d, controlplane.JobStartIssuance)
	if next.Queue != controlplane.QueueCritical || j.Result["next_job_id"] != next.ID || j.Result["delegated"] != true || next.RequestID != "req-1" {
		t.Errorf("%+v, then %+v", j, next)
	}
	d = w.domain(d)
	wantStatus(t, d, controlplane.DomainIssuing, "")
	if c := wantCondition(t, d, controlplane.DNSReady, "true", "delegated"); c.LastCheckedAt == nil || !c.LastCheckedAt.Equal(start) || c.NextCheckAt != nil {
		t.Errorf("%+v", c)
	}
	wantCondition(t, d, controlplane.CertificateReady, "false", "issuing")
	if got := w.events(d.ID); !slices.Equal(got, []string{controlplane.ActionDomainCreated, controlplane.ActionDNSVerified}) {
		t.Errorf("%q", got)
	}
	if e := w.last(d.ID); e.Actor.Type != controlplane.ActorSystem || e.Actor.RequestID != "req-1" {
		t.Errorf("%+v", e.Actor)
	}
}

// Not delegated yet is waiting: the row and the domain say until when, nothing fails, and
// the waits follow the schedule for 30 days.
func TestCheckWaitsByTheScheduleForThirtyDays(t *testing.T) {
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
				t.Errorf("%+v", j)
			}
			break
		}
		if turns > 300 {
			t.Fatal("it never ends")
		}
		wantJob(t, j, controlplane.JobQueued, controlplane.CauseCNAMEMissing, 0)
		if wait := float64(j.RunAt.Sub(now)); wait < plan*0.899 || wait > plan*1.101 {
			t.Errorf("turn %d: a wait of %s, want about %s", turns, time.Duration(wait), time.Duration(plan))
		}
		plan = min(plan*1.5, float64(4*time.Hour))
		got := w.domain(d)
		wantStatus(t, got, controlplane.DomainPendingCNAME, controlplane.CauseCNAMEMissing)
		if c := wantCondition(t, got, controlplane.DNSReady, "false", controlplane.CauseCNAMEMissing); c.NextCheckAt == nil || !c.NextCheckAt.Equal(j.RunAt) || c.Observed != "observed" || c.Fix != "Mend it." {
			t.Errorf("%+v, and the job runs at %s", c, j.RunAt)
		}
		if t.Failed() {
			t.FailNow()
		}
		w.clock.set(j.RunAt)
	}
	if age := w.clock.Now().Sub(start); age < 29*day+18*time.Hour || age > 30*day {
		t.Errorf("given up after %s", age)
	}
	got := w.domain(d)
	wantStatus(t, got, controlplane.DomainError, "delegation-timeout")
	if c := wantCondition(t, got, controlplane.DNSReady, "false", controlplane.CauseCNAMEMissing); c.NextCheckAt != nil {
		t.Errorf("a next look is promised: %s", c.NextCheckAt)
	}
	if n := w.count(d.ID, controlplane.ActionDelegationTimeout); n != 1 {
		t.Errorf("%d events", n)
	}

	w.clock.add(90 * day)
	j, started, err := w.RequestCheck(t.Context(), alice, w.org, d.ID)
	if err != nil || !started {
		t.Fatalf("%+v, %v, %v", j, started, err)
	}
	wantStatus(t, w.domain(d), controlplane.DomainPendingCNAME, "cname-unchecked")
	if j, err := w.try(d, controlplane.JobDNSCheck); err != nil || j.Status != controlplane.JobQueued || j.RunAt.Sub(w.clock.Now()) > 6*time.Second {
		t.Errorf("the new round: %+v, %v", j, err)
	}
	w.doctor.finds(controlplane.CauseOK)
	w.runDue(d, controlplane.JobDNSCheck)
	wantStatus(t, w.domain(d), controlplane.DomainIssuing, "")
}

// Where no resolver could be asked nothing was learned: what was known stands.
func TestCheckThatLearnsNothingChangesNothing(t *testing.T) {
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
	if wait := j.RunAt.Sub(w.clock.Now()); wait != 15*time.Second {
		t.Errorf("a wait of %s", wait)
	}
	got := w.domain(d)
	wantStatus(t, got, controlplane.DomainPendingCNAME, controlplane.CauseCNAMEMismatch)
	c := wantCondition(t, got, controlplane.DNSReady, "false", controlplane.CauseCNAMEMismatch)
	if !c.LastCheckedAt.Equal(*before.Condition(controlplane.DNSReady).LastCheckedAt) || !c.NextCheckAt.Equal(j.RunAt) {
		t.Errorf("%+v", c)
	}
	if got.CheckAttempts != before.CheckAttempts {
		t.Error("the look counts")
	}
}

// The first look that finds no resolver says so: nothing better is known.
func TestFirstCheckWithoutAResolverSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.doctor.finds(controlplane.CauseResolverUnreachable)
	d := w.add("example.com")
	w.run(d, controlplane.JobDNSCheck)
	wantCondition(t, w.domain(d), controlplane.DNSReady, "unknown", controlplane.CauseResolverUnreachable)
}

func TestCheckWithoutAutoIssueWaitsToBeAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com", func(o *controlplane.Options) { o.AutoIssue = false })
	if j, err := w.try(d, controlplane.JobDNSCheck); err != nil || j.Result["next_job_id"] != nil || j.Status != controlplane.JobSucceeded {
		t.Errorf("%+v, %v", j, err)
	}
	got := w.domain(d)
	wantStatus(t, got, controlplane.DomainPendingCNAME, "awaiting-issue")
	wantCondition(t, got, controlplane.CertificateReady, "false", "awaiting-issue")
	if n := w.jobs(d, controlplane.JobStartIssuance); n != 0 {
		t.Errorf("%d issuances", n)
	}
	if _, started, err := w.RequestIssue(t.Context(), alice, w.org, d.ID); err != nil || !started {
		t.Fatal(started, err)
	}
	w.run(d, controlplane.JobStartIssuance)
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
}

// A broken CNAME does not take the certificate away: the domain stays active, says that its
// renewal is in danger, and tells so once; a mended one puts everything right.
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
	for _, code := range []string{controlplane.CauseCNAMEMissing, controlplane.CauseCNAMEMissing, controlplane.CauseCNAMEMismatch} {
		w.doctor.finds(code)
		if j := check(); j.Status != controlplane.JobSucceeded || j.Result["delegated"] != false || j.Result["code"] != code {
			t.Errorf("%+v", j)
		}
		got := w.domain(d)
		wantStatus(t, got, controlplane.DomainActive, "")
		wantCondition(t, got, controlplane.DNSReady, "false", controlplane.Reason(code))
		wantCondition(t, got, controlplane.CertificateReady, "true", "issued")
		if c := wantCondition(t, got, controlplane.RenewalOnTrack, "false", controlplane.Reason(code)); c.Fix == "" {
			t.Errorf("%+v", c)
		}
	}
	if n := w.count(d.ID, controlplane.ActionDelegationBroken); n != 1 {
		t.Errorf("told %d times", n)
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
		t.Errorf("after it was mended and broke again, told %d times", n)
	}
	if n := w.jobs(d, controlplane.JobStartIssuance); n != 1 {
		t.Errorf("%d issuances", n)
	}
}

// An issuance that waits for the CNAME comes at once when a check sees it.
func TestCheckExpeditesTheIssuanceThatWaitsForIt(t *testing.T) {
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
		t.Error("an order was spent")
	}
	w.exec(`UPDATE jobs SET run_at = $1 WHERE type = 'start_issuance'`, start.Add(4*time.Hour))
	w.doctor.finds(controlplane.CauseOK)
	w.runDue(d, controlplane.JobDNSCheck)
	if j := w.job(d, controlplane.JobStartIssuance); j.ID != waiting.ID || j.RunAt.After(w.clock.Now()) {
		t.Errorf("it waits until %s, and it is %s", j.RunAt, w.clock.Now())
	}
	w.run(d, controlplane.JobStartIssuance)
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
}

func TestCheckWhoseDoctorFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	w.doctor.fails(errors.New("the doctor's password is hunter2"))
	for n := 1; n <= 3; n++ {
		j, err := w.tryDue(d, controlplane.JobDNSCheck)
		later, ok := errors.AsType[*lifecycle.RetryLater](err)
		if !ok || later.After != j.RunAt.Sub(w.clock.Now()) {
			t.Fatalf("%v, and the job runs at %s", err, j.RunAt)
		}
		wantJob(t, j, controlplane.JobQueued, "retry", n)
		if j.LastErrorCode != "internal" || j.LastError == "" || j.LastError == err.Error() {
			t.Errorf("what people are told: %s %s", j.LastErrorCode, j.LastError)
		}
		if c := w.domain(d).Condition(controlplane.DNSReady); c.NextCheckAt == nil || !c.NextCheckAt.Equal(j.RunAt) {
			t.Errorf("%+v", c)
		}
	}
	j, err := w.tryDue(d, controlplane.JobDNSCheck)
	if _, ok := errors.AsType[*lifecycle.DeadLettered](err); !ok {
		t.Fatalf("%v", err)
	}
	wantJob(t, j, controlplane.JobFailed, "dead-lettered", 4)
	wantStatus(t, w.domain(d), controlplane.DomainError, "internal")
	if got := w.events(j.ID); !slices.Equal(got, []string{controlplane.ActionJobDeadLettered}) {
		t.Errorf("%q", got)
	}
}
