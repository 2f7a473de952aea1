package lifecycle_test

import (
	"errors"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// pinned pins a delegation.
func (w *world) pinned(name string) *controlplane.Delegation {
	w.t.Helper()
	g, _, err := w.PinDelegation(w.t.Context(), alice, w.org, name, "")
	must(w.t, err)
	return g
}

func (w *world) delegation(g *controlplane.Delegation) *controlplane.Delegation {
	w.t.Helper()
	again, err := w.Store.Delegation(w.t.Context(), g.OrgID, g.ID, nil)
	must(w.t, err)
	return again
}

// checkOf returns the newest job about a delegation.
func (w *world) checkOf(g *controlplane.Delegation) *controlplane.Job {
	w.t.Helper()
	jobs, _, err := w.Store.ListJobs(w.t.Context(), g.OrgID,
		postgres.JobFilter{Delegation: g.ID, Limit: 1})
	must(w.t, err)
	if len(jobs) == 0 {
		w.t.Fatalf("delegation %s has no job", g.Name)
	}
	return &jobs[0]
}

// runCheck runs the newest job about a delegation when it is due.
func (w *world) runCheck(g *controlplane.Delegation) (*controlplane.Job, error) {
	w.t.Helper()
	j := w.checkOf(g)
	if j.RunAt.After(w.clock.Now()) {
		w.clock.set(j.RunAt)
	}
	err := w.RunJob(w.t.Context(), j.ID, j.Generation)
	again, jerr := w.Store.Job(w.t.Context(), g.OrgID, j.ID)
	must(w.t, jerr)
	return again, err
}

// A pinned delegation is checked with growing pauses until it is verified, and then daily. A check
// without a result keeps the state.
func TestChecksOfAPinnedDelegation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	g := w.pinned("example.com")
	for n := range 3 {
		j, err := w.runCheck(g)
		must(t, err)
		wantJob(t, j, controlplane.JobQueued, controlplane.CauseCNAMEMissing, 0)
		got := w.delegation(g)
		if got.State != controlplane.DelegationBroken || got.CheckAttempts != n+1 ||
			got.Diagnosis == nil || got.Diagnosis.Code != controlplane.CauseCNAMEMissing ||
			got.NextCheckAt == nil || !got.NextCheckAt.Equal(j.RunAt) {
			t.Errorf("after check %d: %+v, want broken, checked again at %s", n, got, j.RunAt)
		}
	}
	w.doctor.finds(controlplane.CauseOK)
	j, err := w.runCheck(g)
	must(t, err)
	wantJob(t, j, controlplane.JobQueued, "", 0)
	got := w.delegation(g)
	if got.State != controlplane.DelegationVerified || got.CheckAttempts != 0 {
		t.Errorf("after the CNAME was found: %+v, want it verified", got)
	}
	if pause := j.RunAt.Sub(w.clock.Now()); pause < 21*time.Hour || pause > 24*time.Hour {
		t.Errorf("the next check is in %s, want about a day", pause)
	}
	w.doctor.finds(controlplane.CauseResolverUnreachable)
	_, err = w.runCheck(g)
	must(t, err)
	if got := w.delegation(g); got.State != controlplane.DelegationVerified {
		t.Errorf("after a check without a result: %s, want it verified", got.State)
	}
}

// The checks of a delegation that stays broken end after 30 days, until one is requested.
func TestDelegationTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.doctor.finds(controlplane.CauseCNAMEMismatch)
	g := w.pinned("example.com")
	w.clock.add(controlplane.CheckFor)
	j, err := w.runCheck(g)
	must(t, err)
	wantJob(t, j, controlplane.JobFailed, controlplane.ReasonDelegationTimeout, 0)
	if got := w.delegation(g); got.State != controlplane.DelegationBroken ||
		got.NextCheckAt != nil {
		t.Errorf("after the timeout: %+v, want broken without a next check", got)
	}
	next, started, err := w.RequestDelegationCheck(t.Context(), alice, w.org, g.ID, nil)
	must(t, err)
	if !started || next.ID == j.ID {
		t.Errorf("RequestDelegationCheck = %s, %v, want a new job", next.ID, started)
	}
	again, started, err := w.RequestDelegationCheck(t.Context(), alice, w.org, g.Name, nil)
	if err != nil || started || again.ID != next.ID {
		t.Errorf("RequestDelegationCheck again = %+v, %v, %v, want the same job", again, started,
			err)
	}
	if n := w.count(g.ID, controlplane.ActionDelegationChecked); n != 1 {
		t.Errorf("%d requests are recorded, want 1", n)
	}
}

// The job ends with the pin and with the delegation, even while it runs.
func TestDelegationCheckEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("example.com")
	g := w.pinned("example.com")
	no := false
	_, err := w.UpdateDelegation(t.Context(), alice, w.org, g.ID, 0,
		lifecycle.DelegationPatch{Pinned: &no})
	must(t, err)
	if n := value[int](w, `SELECT count(*) FROM jobs WHERE delegation_id IS NOT NULL`); n != 0 {
		t.Errorf("%d jobs after the unpin, want 0", n)
	}
	// A check of one that is not pinned runs once.
	_, _, err = w.RequestDelegationCheck(t.Context(), alice, w.org, g.ID, nil)
	must(t, err)
	j, err := w.runCheck(g)
	must(t, err)
	wantJob(t, j, controlplane.JobSucceeded, "", 0)

	gone := w.pinned("gone.example.com")
	j = w.checkOf(gone)
	claim, err := w.Store.ClaimJob(t.Context(), j.ID, j.Generation, "w", time.Minute,
		w.clock.Now())
	must(t, err)
	must(t, w.DeleteDelegation(t.Context(), alice, w.org, gone.ID, 0))
	if err := w.Store.ExtendClaim(t.Context(), claim); !errors.Is(err, postgres.ErrClaimLost) {
		t.Errorf("ExtendClaim = %v, want ErrClaimLost", err)
	}
	must(t, w.RunJob(t.Context(), j.ID, j.Generation))
}

// A job whose worker was killed is requeued after its lease, and only one of two workers runs it.
func TestDelegationCheckOfALostWorker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.pinned("example.com")
	j := w.checkOf(g)
	_, err := w.Store.ClaimJob(t.Context(), j.ID, j.Generation, "killed", time.Minute,
		w.clock.Now())
	must(t, err)
	must(t, w.RunJob(t.Context(), j.ID, j.Generation)) // another replica
	if n := w.doctor.checks(); n != 0 {
		t.Errorf("%d checks while another worker holds the job, want 0", n)
	}
	w.exec(`UPDATE jobs SET claimed_until = now() - interval '1 second'`)
	if n, err := w.Store.RequeueLost(t.Context(), w.clock.Now(), 10); n != 1 || err != nil {
		t.Fatalf("RequeueLost = %d, %v, want 1", n, err)
	}
	j, err = w.runCheck(g)
	must(t, err)
	wantJob(t, j, controlplane.JobQueued, "", 0)
	if got := w.delegation(g); got.State != controlplane.DelegationVerified {
		t.Errorf("state = %s, want it verified", got.State)
	}
}

// Internal failures dead-letter the job. Another check follows a day later, unless the job is
// retried before.
func TestDelegationCheckFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.pinned("example.com")
	w.doctor.panics("index out of range")
	first := w.checkOf(g)
	for n := 1; n < controlplane.MaxAttempts; n++ {
		j, err := w.runCheck(g)
		if _, ok := errors.AsType[*lifecycle.RetryLater](err); !ok {
			t.Errorf("RunJob = %v, want *RetryLater", err)
		}
		wantJob(t, j, controlplane.JobQueued, "retry", n)
	}
	j, err := w.runCheck(g)
	if _, ok := errors.AsType[*lifecycle.DeadLettered](err); !ok {
		t.Errorf("RunJob = %v, want *DeadLettered", err)
	}
	wantJob(t, j, controlplane.JobFailed, "dead-lettered", controlplane.MaxAttempts)
	if got := w.delegation(g); got.NextCheckAt == nil ||
		got.NextCheckAt.Sub(w.clock.Now()) != 24*time.Hour {
		t.Errorf("the next check is at %v, want it in a day", got.NextCheckAt)
	}
	w.doctor.panics("")
	j, started, err := w.RestartJob(t.Context(), alice, w.org, first.ID)
	if err != nil || !started || j.ID != first.ID {
		t.Fatalf("RestartJob = %+v, %v, %v, want the failed job", j, started, err)
	}
	if n := value[int](w, `SELECT count(*) FROM jobs WHERE delegation_id IS NOT NULL`); n != 1 {
		t.Errorf("%d jobs after the retry, want 1", n)
	}
	_, err = w.runCheck(g)
	must(t, err)
	if got := w.delegation(g); got.State != controlplane.DelegationVerified {
		t.Errorf("state = %s, want it verified", got.State)
	}
}

// A requested check of a delegation starts those of the domains that wait for DNS.
func TestDelegationCheckStartsThoseOfDomains(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	d := w.add("example.com")
	j := w.run(d, controlplane.JobDNSCheck)
	if !j.RunAt.After(w.clock.Now()) {
		t.Fatalf("the domain's check is due at %s, want it later", j.RunAt)
	}
	for _, only := range [][]string{{"dom_other"}, nil} {
		_, _, err := w.RequestDelegationCheck(t.Context(), alice, w.org, d.Name, only)
		must(t, err)
		due := !w.job(d, controlplane.JobDNSCheck).RunAt.After(w.clock.Now())
		if want := only == nil; due != want {
			t.Errorf("with %v, the domain's check is due: %v, want %v", only, due, want)
		}
	}
}
