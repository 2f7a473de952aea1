package lifecycle_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// blocked makes the CA block until the run's context ends or proceed is closed. It sends to started
// when a run reached the CA.
func (w *world) blocked() (started chan struct{}, proceed chan struct{}) {
	started, proceed = make(chan struct{}), make(chan struct{})
	w.ca.answer(func(ctx context.Context, _ *controlplane.Order, _ controlplane.Journal) error {
		close(started)
		select {
		case <-proceed:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return started, proceed
}

// runAside runs the domain's newest issuance in the background.
func (w *world) runAside(ctx context.Context, d *controlplane.Domain) (done chan error) {
	w.t.Helper()
	j := w.job(d, controlplane.JobStartIssuance)
	done = make(chan error, 1)
	go func() { done <- w.RunJob(ctx, j.ID, j.Generation) }()
	return done
}

func TestRunJobOfAnotherGenerationDoesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	j := w.job(d, controlplane.JobDNSCheck)
	for _, g := range []int{0, 2} {
		must(t, w.RunJob(t.Context(), j.ID, g))
	}
	must(t, w.RunJob(t.Context(), "job_none", 1))
	if w.doctor.checks() != 0 {
		t.Error("a task of another generation ran")
	}
	w.run(d, controlplane.JobDNSCheck)
	must(t, w.RunJob(t.Context(), j.ID, j.Generation))
	if w.doctor.checks() != 1 {
		t.Error("a completed job ran again")
	}
}

// Two jobs of a domain do not run at the same time: the second one is deferred.
func TestRunJobIsDeferredForABusyDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	started, proceed := w.blocked()
	done := w.runAside(t.Context(), d)
	soon(t, "the issuance to start", started)
	_, _, err := w.RequestCheck(t.Context(), alice, w.org, d.ID)
	must(t, err)
	j, err := w.try(d, controlplane.JobDNSCheck)
	must(t, err)
	wantJob(t, j, controlplane.JobQueued, "domain-busy", 0)
	if wait := j.RunAt.Sub(w.clock.Now()); wait != time.Second {
		t.Errorf("job is deferred for %s, want 1s", wait)
	}
	close(proceed)
	must(t, soon(t, "the issuance", done))
	if j, err := w.tryDue(d, controlplane.JobDNSCheck); err != nil ||
		j.Status != controlplane.JobSucceeded {
		t.Errorf("check = %+v, %v, want success", j, err)
	}
}

// A worker that shuts down requeues its job without a failure. Another worker can run it at once.
func TestRunJobRequeuesWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	started, _ := w.blocked()
	ctx, stop := context.WithCancel(t.Context())
	done := w.runAside(ctx, d)
	soon(t, "the run to start", started)
	before := w.job(d, controlplane.JobStartIssuance)
	stop()
	must(t, soon(t, "the run to end", done))
	j := w.job(d, controlplane.JobStartIssuance)
	wantJob(t, j, controlplane.JobQueued, "handed-back", 0)
	if j.Generation != before.Generation+1 || j.DispatchedAt != nil ||
		j.RunAt.After(w.clock.Now()) {
		t.Errorf("job = %+v, want it requeued, due now", j)
	}
	w.ca.answer(nil)
	w.run(d, controlplane.JobStartIssuance)
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
	if w.ca.order(0).ID != w.ca.order(1).ID {
		t.Error("another order was placed")
	}
}

// A run that takes longer than a lease keeps its claim.
func TestHeartbeatKeepsTheClaimOfALongRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *lifecycle.Config) { c.Lease = 3 * time.Second })
	d := w.issuing("example.com")
	started, proceed := w.blocked()
	done := w.runAside(t.Context(), d)
	soon(t, "the run to start", started)
	lease := func() time.Time {
		return value[time.Time](w, `SELECT claimed_until FROM jobs WHERE status = 'running'`)
	}
	first := lease()
	for end := time.Now().Add(20 * time.Second); lease().Sub(first) < time.Second; time.Sleep(
		20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the lease was not extended")
		}
	}
	close(proceed)
	must(t, soon(t, "the run", done))
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
	if len(w.ca.runs()) != 1 {
		t.Errorf("%d orders, want 1", len(w.ca.runs()))
	}
}

// A worker that lost its claim stops and writes nothing.
func TestLostClaimStopsTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *lifecycle.Config) { c.Lease = 2 * time.Second })
	d := w.issuing("example.com")
	started, _ := w.blocked()
	done := w.runAside(t.Context(), d)
	soon(t, "the run to start", started)
	w.exec(`UPDATE jobs SET claimed_by = 'other', claimed_until = now() + interval '1 hour' WHERE status = 'running'`)
	must(t, soon(t, "the run to end", done))
	wantJob(t, w.job(d, controlplane.JobStartIssuance), controlplane.JobRunning, "", 0)
	if by := value[string](w,
		`SELECT claimed_by FROM jobs WHERE status = 'running'`); by != "other" {
		t.Errorf("claim is held by %s, want the other worker", by)
	}
	wantStatus(t, w.domain(d), controlplane.DomainIssuing, "")
}

func TestDeletedDomainEndsItsJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, fail := range map[string]error{"well.example.com": nil,
		"rejected.example.com": verdictOf(controlplane.VerdictRequest),
		"ours.example.com":     errors.New("x")} {
		d := w.issuing(name)
		w.ca.answer(func(ctx context.Context, _ *controlplane.Order, _ controlplane.Journal) error {
			return errors.Join(w.DeleteDomain(ctx, alice, w.org, d.ID, 0), fail)
		})
		j := w.job(d, controlplane.JobStartIssuance)
		if err := w.RunJob(t.Context(), j.ID, j.Generation); err != nil {
			t.Errorf("RunJob(%s) = %v, want nil", name, err)
		}
	}
	if n := value[int](w,
		`SELECT (SELECT count(*) FROM domains) + (SELECT count(*) FROM certificates) + (SELECT count(*) FROM challenges) + (SELECT count(*) FROM jobs)`); n != 0 {
		t.Errorf("%d rows are left, want 0", n)
	}
}

// A panic counts as a failure, and the last one dead-letters the job.
func TestPanicIsAFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	w.doctor.panics("index out of range")
	for n := 1; n < controlplane.MaxAttempts; n++ {
		j, err := w.tryDue(d, controlplane.JobDNSCheck)
		wantJob(t, j, controlplane.JobQueued, "retry", n)
		if _, ok := errors.AsType[*lifecycle.RetryLater](err); !ok || !strings.Contains(err.Error(),
			"index out of range") || !strings.Contains(err.Error(), "run_test.go") &&
			!strings.Contains(err.Error(), "check.go") {
			t.Errorf("RunJob after a panic: error = %v, want *RetryLater with the panic and its stack", err)
		}
		if j.LastErrorCode != "internal" || strings.Contains(j.LastError, "range") {
			t.Errorf("last error = %s: %s, want internal without the panic", j.LastErrorCode,
				j.LastError)
		}
	}
	j, err := w.tryDue(d, controlplane.JobDNSCheck)
	if _, ok := errors.AsType[*lifecycle.DeadLettered](err); !ok {
		t.Errorf("RunJob: error = %v, want *DeadLettered", err)
	}
	wantJob(t, j, controlplane.JobFailed, "dead-lettered", 4)
}

// An unavailable database does not count as a failure. The job is requeued after its lease expired.
func TestUnavailableDatabaseIsNotAFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	w.doctor.fails(&controlplane.Error{Kind: controlplane.KindUnavailable,
		Code: "database-unavailable", Message: "away"})
	j, err := w.try(d, controlplane.JobDNSCheck)
	if !controlplane.HasCode(err, "database-unavailable") {
		t.Errorf("RunJob without a database: error = %v, want database-unavailable", err)
	}
	wantJob(t, j, controlplane.JobRunning, "", 0)
	w.exec(`UPDATE jobs SET claimed_until = now() - interval '1 second'`)
	w.exec(`UPDATE domains SET claimed_until = now() - interval '1 second'`)
	if n, err := w.Store.RequeueLost(t.Context(), w.clock.Now(), 10); n != 1 || err != nil {
		t.Fatalf("RequeueLost = %d, %v, want 1", n, err)
	}
	w.doctor.fails(nil)
	if j, err := w.try(d, controlplane.JobDNSCheck); err != nil ||
		j.Status != controlplane.JobSucceeded {
		t.Errorf("requeued check = %+v, %v, want success", j, err)
	}
}

// Every text of a CA can be stored. Otherwise its job could not be recorded as failed.
func TestTextsOfACAAreStorable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	w.ca.rejectAll(verdict{Class: controlplane.VerdictRequest, Code: "ca-request",
		Message: "a\x00b\xffc", Fix: "\x00"})
	j := w.run(d, controlplane.JobStartIssuance)
	wantJob(t, j, controlplane.JobQueued, "retry", 1)
	if j.LastError != "ab\uFFFDc" {
		t.Errorf("last error = %q, want %q", j.LastError, "ab\uFFFDc")
	}
}

// A job is not retried before the time that the CA requested.
func TestRetryTimeOfACAExtendsTheBackoff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	v := verdictOf(controlplane.VerdictRequest)
	v.RetryAt = start.Add(40 * time.Minute)
	w.ca.reject(map[string]verdict{"primary": v, "backup": v})
	j, err := w.try(d, controlplane.JobStartIssuance)
	wantJob(t, j, controlplane.JobQueued, "retry", 1)
	if later, ok := errors.AsType[*lifecycle.RetryLater](err); !ok ||
		later.After != 40*time.Minute ||
		!j.RunAt.Equal(v.RetryAt) {
		t.Errorf("RunJob = %v, and the retry is at %s, want it at the time of the CA", err, j.RunAt)
	}
}
