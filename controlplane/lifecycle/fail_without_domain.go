package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// ownFailure says how a job that is about neither a domain nor a delivery fails.
type ownFailure struct {
	about  string                              // name of the ID in the log's entry
	id     string                              // of what the job is about
	hold   func(*postgres.Tx) error            // locks what the job is about
	onDead func(*postgres.Tx, time.Time) error // after the last failure; nil for nothing
}

// failAlone counts an internal failure, and schedules a retry or dead-letters the job.
func (w *work) failAlone(ctx context.Context, cause error, f ownFailure) error {
	now, j := w.now(), w.claim.Job
	code, detail, _ := explain(cause)
	failures := j.Attempts + 1
	last := failures >= j.Type.MaxAttempts()
	next := now.Add(w.Backoff.After(failures, w.Rand())).Truncate(time.Microsecond)
	w.Logger.WarnContext(ctx, "lifecycle: job failed", "job", j.ID, "type", j.Type,
		"failures", failures, "dead", last, "code", code, "error", cause)
	err := w.Store.InTx(ctx, func(t *postgres.Tx) error {
		if err := f.hold(t); err != nil {
			return err
		}
		if !last {
			return t.FailJob(ctx, w.claim, now, next, code, detail, nil)
		}
		if err := t.DeadLetterJob(ctx, w.claim, now, code, detail, nil); err != nil {
			return err
		}
		if f.onDead != nil {
			if err := f.onDead(t, now); err != nil {
				return err
			}
		}
		entry := w.audit(j.OrgID, w.actor(), controlplane.ActionJobDeadLettered, "job", j.ID, now)
		entry.Details = map[string]any{f.about: f.id, "type": string(j.Type), "code": code,
			"detail": detail}
		return t.Audit(ctx, entry)
	})
	if err != nil {
		return unlessGone(err)
	}
	return failed(cause, last, next.Sub(now))
}
