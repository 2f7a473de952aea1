package lifecycle_test

import (
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// rehearsal moves the clock to the domain's next rehearsal and queues it.
func (w *world) rehearsal(d *controlplane.Domain) *controlplane.Job {
	w.t.Helper()
	w.clock.set(value[time.Time](w, `SELECT rehearse_at FROM domains WHERE id = $1`, d.ID))
	if n, err := w.Rehearse(w.t.Context()); n != 1 || err != nil {
		w.t.Fatalf("Rehearse = %d, %v, want 1", n, err)
	}
	return w.job(d, controlplane.JobDNSCheck)
}

// passes runs the domain's check, which finds nothing new: it verifies the delegation and leaves no
// row.
func (w *world) passes(d *controlplane.Domain) {
	w.t.Helper()
	j, checks := w.job(d, controlplane.JobDNSCheck), w.doctor.checks()
	must(w.t, w.RunJob(w.t.Context(), j.ID, j.Generation))
	if _, err := w.Store.Job(w.t.Context(), d.OrgID, j.ID); !controlplane.IsKind(err,
		controlplane.KindNotFound) {
		w.t.Errorf("Job of a check that found nothing = %v, want %s", err,
			controlplane.KindNotFound)
	}
	now, c := w.clock.Now(), w.domain(d).Condition(controlplane.DNSReady)
	if c.Status != controlplane.ConditionTrue || c.LastCheckedAt == nil ||
		now.Sub(*c.LastCheckedAt).Abs() > time.Millisecond || w.doctor.checks() != checks+1 {
		w.t.Errorf("DNSReady after %d checks at %s = %+v, want verified by one more than %d",
			w.doctor.checks(), now, c, checks)
	}
}

// The interval of rehearsals follows the lifetime of the certificate. They run in bulk.
func TestRehearsalsFollowTheLifetime(t *testing.T) {
	t.Parallel()
	for life, every := range map[time.Duration]time.Duration{90 * day: day, 45 * day: day,
		6 * day: 12 * time.Hour} {
		w := newWorld(t)
		w.ca.lives(life)
		d := w.active("example.com")
		if n, err := w.Rehearse(t.Context()); n != 0 || err != nil {
			t.Errorf("life of %s: Rehearse after issuance = %d, %v, want 0", life, n, err)
		}
		last := w.clock.Now()
		for turn := range 3 {
			j := w.rehearsal(d)
			if wait := w.clock.Now().Sub(last); turn == 0 && (wait < every/2 || wait > every) ||
				turn == 1 && wait > every || turn == 2 && (wait-every).Abs() > time.Millisecond {
				t.Errorf("life of %s: rehearsal %d is due after %s", life, turn, wait)
			}
			last = w.clock.Now()
			if j.Queue != controlplane.QueueBulk {
				t.Errorf("rehearsal with a life of %s = %+v, want a job in bulk", life, j)
			}
			w.passes(d)
			if n, err := w.Rehearse(t.Context()); n != 0 || err != nil {
				t.Errorf("life of %s: Rehearse again = %d, %v, want 0", life, n, err)
			}
		}
		if n := w.jobs(d, controlplane.JobDNSCheck); n != 1 {
			t.Errorf("life of %s: %d checks have a row, want only the first one", life, n)
		}
		if n := w.jobs(d, controlplane.JobStartIssuance); n != 1 {
			t.Errorf("life of %s: rehearsals started %d issuances, want 0", life, n-1)
		}
	}
}

// A rehearsal reports a misconfiguration once, with its cause, and shows when it is fixed.
func TestRehearsalDetectsMisconfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	for range 2 {
		w.rehearsal(d)
		if j := w.run(d, controlplane.JobDNSCheck); j.Status != controlplane.JobSucceeded ||
			j.Result["code"] != controlplane.CauseCNAMEMissing {
			t.Errorf("rehearsal = %+v, want success with the code %s", j,
				controlplane.CauseCNAMEMissing)
		}
		wantStatus(t, w.domain(d), controlplane.DomainActive, "")
		wantCondition(t, w.domain(d), controlplane.RenewalOnTrack,
			"false", controlplane.CauseCNAMEMissing)
	}
	if n := w.count(d.ID, controlplane.ActionDelegationBroken); n != 1 {
		t.Errorf("%d events of the broken delegation, want 1", n)
	}
	w.doctor.finds(controlplane.CauseOK)
	w.rehearsal(d)
	w.run(d, controlplane.JobDNSCheck)
	wantCondition(t, w.domain(d), controlplane.RenewalOnTrack, "true", "scheduled")
}

// A rehearsal without a reachable resolver is deferred with its reason and does not change the
// domain. It completes when a resolver responds.
func TestRehearsalWithoutResolversIsDeferred(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	checked := *w.domain(d).Condition(controlplane.DNSReady).LastCheckedAt
	w.doctor.finds(controlplane.CauseResolverUnreachable)
	w.rehearsal(d)
	for range 3 {
		j := w.runDue(d, controlplane.JobDNSCheck)
		wantJob(t, j, controlplane.JobQueued, controlplane.CauseResolverUnreachable, 0)
		if wait := j.RunAt.Sub(w.clock.Now()); wait != 5*time.Minute {
			t.Errorf("rehearsal is deferred for %s, want 5m", wait)
		}
		now := w.domain(d)
		wantStatus(t, now, controlplane.DomainActive, "")
		wantCondition(t, now, controlplane.RenewalOnTrack, "true", "scheduled")
		if c := wantCondition(t, now, controlplane.DNSReady, "true",
			"delegated"); !c.LastCheckedAt.Equal(checked) || c.NextCheckAt == nil ||
			!c.NextCheckAt.Equal(j.RunAt) {
			t.Errorf("DNSReady = %+v, want the check of %s, and the next one at %s", c, checked,
				j.RunAt)
		}
	}
	// A requested check is retried sooner, and the pauses start over.
	_, _, err := w.RequestCheck(t.Context(), alice, w.org, d.ID)
	must(t, err)
	j := w.run(d, controlplane.JobDNSCheck)
	if j.RunAt.Sub(w.clock.Now()) != 8*time.Second {
		t.Errorf("requested check = %+v, want a retry in 8 s", j)
	}
	w.doctor.finds(controlplane.CauseOK)
	j = w.runDue(d, controlplane.JobDNSCheck)
	wantJob(t, j, controlplane.JobSucceeded, "", 0)
	if c := w.domain(d).Condition(controlplane.DNSReady); !c.LastCheckedAt.Equal(w.clock.Now()) ||
		c.NextCheckAt != nil {
		t.Errorf("DNSReady = %+v, want checked now, and no next check", c)
	}
}

// A rehearsal reuses what other checks found out, unless someone requested a check or the domain
// has a problem.
func TestOnlyRoutineChecksReuseFindings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var d *controlplane.Domain
	check := func(what string, run func(), rehearsed, checked int) {
		t.Helper()
		w.doctor.rehearsed, w.doctor.checked = 0, 0
		run()
		if w.doctor.rehearsed != rehearsed || w.doctor.checked != checked {
			t.Errorf("%s: %d calls of Rehearse among %d checks, want %d among %d", what,
				w.doctor.rehearsed, w.doctor.checked, rehearsed, checked)
		}
	}
	run := func() {
		j := w.job(d, controlplane.JobDNSCheck)
		must(t, w.RunJob(t.Context(), j.ID, j.Generation))
	}
	rehearse := func() {
		w.rehearsal(d)
		run()
	}
	request := func() {
		_, _, err := w.RequestCheck(t.Context(), alice, w.org, d.ID)
		must(t, err)
	}
	check("the first certificate", func() { d = w.active("example.com") }, 0, 1)
	check("rehearsal", rehearse, 1, 1)
	check("requested check", func() { request(); run() }, 0, 1)
	check("rehearsal after a request", rehearse, 1, 1)
	check("rehearsal that was requested before it is due", func() {
		w.rehearsal(d)
		request()
		run()
	}, 0, 1)
	check("rehearsal that is due and was requested", func() {
		w.clock.set(w.rehearsal(d).RunAt)
		request()
		run()
	}, 0, 1)
	check("check requested during a rehearsal", func() {
		w.doctor.during = request
		rehearse()
	}, 1, 2)
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	check("rehearsal that finds a cause", rehearse, 1, 1)
	check("rehearsal after a cause", rehearse, 0, 1)
	w.doctor.finds(controlplane.CauseOK)
	check("rehearsal that finds the fix", rehearse, 0, 1)
	check("rehearsal after the fix", rehearse, 1, 1)
}

// A renewal after a rehearsal that reused findings checks the DNS itself, because its result is not
// of the last minute. Without reuse, the rehearsal is recent enough.
func TestRenewalsDoNotRelyOnReusedFindings(t *testing.T) {
	t.Parallel()
	for reuses, want := range map[time.Duration]int{0: 0, time.Hour: 1} {
		w := newWorld(t)
		d := w.active("example.com")
		w.doctor.reuses = reuses
		w.rehearsal(d)
		j := w.job(d, controlplane.JobDNSCheck)
		must(t, w.RunJob(t.Context(), j.ID, j.Generation))
		if c := w.domain(d).Condition(controlplane.DNSReady); !c.LastCheckedAt.Equal(
			w.clock.Now().Add(-reuses)) {
			t.Errorf("DNSReady was last checked at %s, want %s before %s", c.LastCheckedAt, reuses,
				w.clock.Now())
		}
		w.doctor.checked = 0
		_, _, err := w.RequestRenew(t.Context(), alice, w.org, d.ID)
		must(t, err)
		w.exec(`UPDATE domains SET check_since = created_at`) // as if the sweep had added it
		w.run(d, controlplane.JobRenewal)
		if w.doctor.checked != want {
			t.Errorf("findings of %s ago: the renewal checked the DNS %d times, want %d", reuses,
				w.doctor.checked, want)
		}
	}
}
