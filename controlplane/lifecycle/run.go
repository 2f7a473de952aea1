package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// busyPause is how long a job is deferred while another one holds its domain.
const busyPause = time.Second

// RetryLater is the error of a job that failed and is retried after the given delay.
type RetryLater struct {
	After time.Duration
	Err   error
}

func (e *RetryLater) Error() string { return e.Err.Error() }

// Unwrap returns the cause of the failure.
func (e *RetryLater) Unwrap() error { return e.Err }

// DeadLettered is the error of a job that failed and has no attempts left.
type DeadLettered struct{ Err error }

func (e *DeadLettered) Error() string { return e.Err.Error() }

// Unwrap returns the cause of the failure.
func (e *DeadLettered) Unwrap() error { return e.Err }

// work is one run of a job.
type work struct {
	*Service
	claim  *postgres.Claim
	domain *controlplane.Domain

	// the governor did not count the last order: only the CA knows its limit
	uncounted   bool
	unit        *unit                          // spent of the organization's budget
	certificate *controlplane.Certificate      // the domain's current one, once it was read
	resumed     bool                           // an earlier run placed the order
	left        []string                       // base names that the next order leaves out
	lost        controlplane.DomainExamination // set with errDNSLost

	// the records of names that a check did not find, by name, which connections create
	defaults map[string]controlplane.DefaultRecord
}

// RunJob runs the job if the generation is current. It returns nil if the queue has nothing more to
// do, even if the job was deferred: its row says until when. The errors *RetryLater and
// *DeadLettered are recorded in the row. Any other error means that nothing was recorded, and the
// queue should retry.
func (s *Service) RunJob(ctx context.Context, id string, generation int) error {
	claim, err := s.Store.ClaimJob(ctx, id, generation, controlplane.NewID("run"), s.Lease, s.now())
	switch {
	case errors.Is(err, postgres.ErrStale):
		return nil
	case errors.Is(err, postgres.ErrBusy):
		now := s.now()
		return s.Store.DeferBusyJob(ctx, claim.Job, now, now.Add(busyPause))
	case err != nil:
		return err
	}
	w := &work{Service: s, claim: claim, domain: claim.Domain}
	held, stop := w.heartbeat(ctx)
	err = w.run(held)
	stop()
	return w.conclude(ctx, held, err)
}

// heartbeat extends the claim until stop is called, even after ctx ends: a worker that shuts down
// finishes a request to a CA first. The returned context ends with ctx, or if the claim is lost.
func (w *work) heartbeat(ctx context.Context) (held context.Context, stop func()) {
	held, cancel := context.WithCancelCause(ctx)
	beating, end := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(w.Lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-beating.Done():
				return
			case <-tick.C:
			}
			// If the database is unavailable, the claim may still hold: every write checks it.
			if err := w.Store.ExtendClaim(beating, w.claim); errors.Is(err, postgres.ErrClaimLost) {
				cancel(err)
				return
			}
		}
	}()
	return held, func() { cancel(nil); end(); <-done }
}

// run runs the job. A panic counts as a failure: otherwise the job would be requeued forever.
func (w *work) run(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("lifecycle: panic: %v\n%s", p, debug.Stack())
		}
	}()
	switch w.claim.Job.Type {
	case controlplane.JobDNSCheck:
		return w.check(ctx)
	case controlplane.JobStartIssuance, controlplane.JobRenewal:
		return w.issue(ctx)
	case controlplane.JobRevocation:
		return w.revoke(ctx)
	case controlplane.JobDelivery:
		return w.deliver(ctx)
	case controlplane.JobDelegationCheck:
		return w.checkDelegation(ctx)
	case controlplane.JobDNSApply:
		return w.applyRecords(ctx)
	}
	return fmt.Errorf("lifecycle: unknown job type %q", w.claim.Job.Type)
}

// conclude records the outcome of the run, unless the run recorded it.
func (w *work) conclude(ctx, held context.Context, err error) error {
	switch {
	case err == nil || recorded(err):
		return err
	case errors.Is(err, postgres.ErrClaimLost) ||
		errors.Is(context.Cause(held), postgres.ErrClaimLost):
		w.Logger.InfoContext(ctx, "lifecycle: lost the claim to another worker",
			"job", w.claim.Job.ID)
		return nil
	case ctx.Err() != nil:
		// The worker shuts down: another one resumes the job.
		requeue, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if herr := w.Store.RequeueJob(requeue, w.claim, w.now()); herr != nil &&
			!errors.Is(herr, postgres.ErrClaimLost) {
			w.Logger.WarnContext(requeue, "lifecycle: requeue failed; the lease will expire",
				"job", w.claim.Job.ID, "error", herr)
		}
		return nil
	case controlplane.HasCode(err, "database-unavailable"):
		return err // the lease expires, and the job is requeued
	}
	if a, ok := absent(err); ok && w.claim.Job.DomainID != "" {
		return unlessGone(w.await(ctx, a))
	}
	return w.fail(ctx, err)
}

// handBack defers the job briefly, because what it was based on changed.
func (w *work) handBack(ctx context.Context) error {
	return w.Store.InTx(ctx,
		func(t *postgres.Tx) error { return w.handBackIn(ctx, t, w.now()) })
}

func (w *work) handBackIn(ctx context.Context, t *postgres.Tx, now time.Time) error {
	return t.DeferJob(ctx, w.claim, now, now.Add(busyPause), controlplane.ReasonHandedBack)
}

// unlessGone returns nil for the error of a job that was lost or whose domain was deleted.
func unlessGone(err error) error {
	if errors.Is(err, postgres.ErrClaimLost) ||
		controlplane.IsKind(err, controlplane.KindNotFound) {
		return nil
	}
	return err
}

// recorded reports whether the run recorded its failure.
func recorded(err error) bool {
	_, later := errors.AsType[*RetryLater](err)
	_, dead := errors.AsType[*DeadLettered](err)
	return later || dead
}

// fail counts a failure, and schedules a retry or dead-letters the job.
func (w *work) fail(ctx context.Context, cause error) error {
	if w.claim.Job.Type == controlplane.JobDelivery {
		return w.failDelivery(ctx, cause)
	}
	if w.claim.Job.Type == controlplane.JobDelegationCheck {
		return w.failDelegationCheck(ctx, cause)
	}
	if w.claim.Job.Type == controlplane.JobDNSApply {
		return w.failApply(ctx, cause)
	}
	now, j := w.now(), w.claim.Job
	code, detail, _ := explain(cause)
	failures := j.Attempts + 1
	last := failures >= j.Type.MaxAttempts()
	wait := w.Backoff.After(failures, w.Rand())
	runAt := now.Add(wait).Truncate(time.Microsecond)
	var waitFor string // the CA that asked for a longer wait
	if r, ok := errors.AsType[*refusal](cause); ok {
		if r.at.After(now.Add(w.Backoff.After(failures, 1))) {
			waitFor = r.verdict.CA
		}
		runAt = r.at
	} else if j, ok := errors.AsType[controlplane.Judged](cause); ok &&
		j.Verdict().RetryAt.After(runAt) {
		runAt, waitFor = j.Verdict().RetryAt, j.Verdict().CA
	}
	runAt = w.within(runAt, now)
	w.Logger.WarnContext(ctx, "lifecycle: job failed", "job", j.ID, "type", j.Type,
		"failures", failures, "dead", last, "code", code, "error", cause)
	err := w.Store.InTx(ctx, func(t *postgres.Tx) error {
		d, err := t.LockDomain(ctx, j.OrgID, j.DomainID)
		if err != nil {
			return err
		}
		next := &runAt
		if last {
			err = t.DeadLetterJob(ctx, w.claim, now, code, detail, problemOf(cause))
			if err == nil {
				next, err = w.follow(ctx, t, d, cause, now)
			}
		} else {
			err = t.FailJob(ctx, w.claim, now, runAt, code, detail, problemOf(cause))
		}
		if err != nil {
			return err
		}
		w.showFailure(d, cause, next, last, now)
		if err := t.SaveDomain(ctx, d, now); err != nil {
			return err
		}
		if !last {
			if waitFor == "" {
				return nil
			}
			return t.Audit(ctx, w.deferralEntry(runAt, deferReason{code, detail, waitFor}, now))
		}
		entry := w.audit(j.OrgID, w.actor(), controlplane.ActionJobDeadLettered, "job", j.ID, now)
		entry.Details = map[string]any{"domain_id": d.ID, "type": string(j.Type), "code": code,
			"detail": detail}
		failure := j.Type.Kind().Failure
		if err := t.Audit(ctx, entry); err != nil || failure == "" {
			return err
		}
		entry = w.audit(j.OrgID, w.actor(), failure, "domain", d.ID, now)
		entry.Details = map[string]any{"job_id": j.ID, "code": code, "detail": detail}
		return t.Audit(ctx, entry)
	})
	if err != nil {
		return unlessGone(err)
	}
	return failed(cause, last, runAt.Sub(now))
}

// failed returns the error of a run whose failure is recorded.
func failed(cause error, last bool, after time.Duration) error {
	if last {
		return &DeadLettered{cause}
	}
	return &RetryLater{After: after, Err: cause}
}

// explain returns the code, detail, and fix of a failure for the customer. The text of an internal
// error stays in the logs.
func explain(err error) (code, detail, fix string) {
	if j, ok := errors.AsType[controlplane.Judged](err); ok {
		v := j.Verdict()
		return v.Code, storable(v.Message), storable(v.Fix)
	}
	e := controlplane.AsError(err)
	return e.Code, storable(e.Message), storable(e.Fix)
}

func (w *work) actor() controlplane.Actor {
	a := controlplane.System("worker")
	a.RequestID = w.claim.Job.RequestID
	return a
}
