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

// busyPause is how long a job waits for another that holds its domain.
const busyPause = time.Second

// RetryLater is the error of a job that failed and is run again after the wait.
type RetryLater struct {
	After time.Duration
	Err   error
}

func (e *RetryLater) Error() string { return e.Err.Error() }

// Unwrap returns the failure.
func (e *RetryLater) Unwrap() error { return e.Err }

// DeadLettered is the error of a job that failed for the last time.
type DeadLettered struct{ Err error }

func (e *DeadLettered) Error() string { return e.Err.Error() }

// Unwrap returns the failure.
func (e *DeadLettered) Unwrap() error { return e.Err }

// work is one run of a job.
type work struct {
	*Service
	claim  *postgres.Claim
	domain *controlplane.Domain

	uncounted   bool                      // the last order was not counted: the CA's own word is the limit
	unit        *unit                     // what was spent of the organization's budget
	certificate *controlplane.Certificate // the domain's, where it was read
	resumed     bool                      // the order was begun by an earlier run
	lost        controlplane.Examination  // with errLost
}

// RunJob does the job of the given generation, if it still is to be done. It returns nil
// when there is nothing more to do for the queue, also where the job waits: its row then
// says until when. Errors: *RetryLater and *DeadLettered, both recorded already; any other
// means that nothing was learned, and the queue should ask again.
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
	err = w.do(held)
	stop()
	return w.conclude(ctx, held, err)
}

// heartbeat keeps the claim alive until stop is called. The context that it returns ends when
// the claim is lost.
func (w *work) heartbeat(ctx context.Context) (held context.Context, stop func()) {
	held, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(w.Lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-held.Done():
				return
			case <-tick.C:
			}
			// A database that is away for a moment is no loss of the claim: every write
			// asks for it again.
			if err := w.Store.ExtendClaim(held, w.claim); errors.Is(err, postgres.ErrClaimLost) {
				cancel(err)
				return
			}
		}
	}()
	return held, func() { cancel(nil); <-done }
}

// do does the job. A panic is its failure: else the job would be taken up for ever.
func (w *work) do(ctx context.Context) (err error) {
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
	}
	return errors.New("lifecycle: a job of an unknown type: " + string(w.claim.Job.Type))
}

// conclude records how the run ended, where it did not do so itself.
func (w *work) conclude(ctx, held context.Context, err error) error {
	switch {
	case err == nil || recorded(err):
		return err
	case errors.Is(err, postgres.ErrClaimLost) || errors.Is(context.Cause(held), postgres.ErrClaimLost):
		w.Logger.InfoContext(ctx, "lifecycle: gave way to another worker", "job", w.claim.Job.ID)
		return nil
	case ctx.Err() != nil:
		// The worker is stopping: another takes the job up where this one left it.
		back, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if herr := w.Store.RequeueJob(back, w.claim, w.now()); herr != nil && !errors.Is(herr, postgres.ErrClaimLost) {
			w.Logger.WarnContext(back, "lifecycle: a job could not be handed back; its lease will run out", "job", w.claim.Job.ID, "error", herr)
		}
		return nil
	case controlplane.HasCode(err, "database-unavailable"):
		return err // the claim runs out, and the job is taken up again
	}
	return w.fail(ctx, err)
}

// recorded reports whether the run has written down its failure itself.
func recorded(err error) bool {
	_, later := errors.AsType[*RetryLater](err)
	_, dead := errors.AsType[*DeadLettered](err)
	return later || dead
}

// fail counts a failure and says when the job runs next, or that it is dead.
func (w *work) fail(ctx context.Context, cause error) error {
	if w.claim.Job.Type == controlplane.JobDelivery {
		return w.failDelivery(ctx, cause)
	}
	now, j := w.now(), w.claim.Job
	code, detail, _ := explain(cause)
	failures := j.Attempts + 1
	last := failures >= controlplane.MaxAttempts
	wait := w.Backoff.After(failures)
	var asked string // the CA whose word the wait is
	if j, ok := errors.AsType[controlplane.Judged](cause); ok && j.Verdict().RetryAt.Sub(now) > wait {
		wait, asked = j.Verdict().RetryAt.Sub(now), j.Verdict().CA
	}
	runAt := now.Add(wait).Truncate(time.Microsecond)
	w.Logger.WarnContext(ctx, "lifecycle: a job failed", "job", j.ID, "type", j.Type, "failures", failures, "dead", last, "code", code, "error", cause)
	err := w.Store.InTx(ctx, func(t *postgres.Tx) error {
		d, err := t.LockDomain(ctx, j.OrgID, j.DomainID)
		if err != nil {
			return err
		}
		if last {
			err = t.DeadLetterJob(ctx, w.claim, now, code, detail, problemOf(cause))
		} else {
			err = t.FailJob(ctx, w.claim, now, runAt, code, detail, problemOf(cause))
		}
		if err != nil {
			return err
		}
		w.showFailure(d, cause, runAt, last, now)
		if err := t.SaveDomain(ctx, d, now); err != nil {
			return err
		}
		if !last {
			if asked == "" {
				return nil
			}
			return t.Audit(ctx, w.deferralEntry(runAt, deferReason{code, detail, asked}, now))
		}
		entry := w.audit(j.OrgID, w.actor(), controlplane.ActionJobDeadLettered, "job", j.ID, now)
		entry.Details = map[string]any{"domain_id": d.ID, "type": string(j.Type), "code": code, "detail": detail}
		if err := t.Audit(ctx, entry); err != nil || j.Type.Slot() != controlplane.JobRenewal.Slot() {
			return err
		}
		entry = w.audit(j.OrgID, w.actor(), failureAction(j.Type), "domain", d.ID, now)
		entry.Details = map[string]any{"job_id": j.ID, "code": code, "detail": detail}
		return t.Audit(ctx, entry)
	})
	switch {
	case errors.Is(err, postgres.ErrClaimLost), controlplane.IsKind(err, controlplane.KindNotFound):
		return nil
	case err != nil:
		return err
	case last:
		return &DeadLettered{cause}
	}
	return &RetryLater{After: runAt.Sub(now), Err: cause}
}

func failureAction(t controlplane.JobType) string {
	if t == controlplane.JobRenewal {
		return controlplane.ActionRenewalFailed
	}
	return controlplane.ActionIssuanceFailed
}

// explain returns what a person is told of a failure. Texts that are not written for people
// stay in the logs.
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
