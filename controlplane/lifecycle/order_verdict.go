package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// shortWait is how long a job waits for a CA before it uses another CA.
	shortWait = time.Minute
	// longWait is the same for a renewal that is not urgent: at the CA of the certificate that it
	// replaces, an order may be exempt from rate limits (RFC 9773 §5).
	longWait = time.Hour
	// unreachableWait is the retry delay of an unreachable CA if the others are over their limits.
	unreachableWait = 15 * time.Minute
)

// judge acts on a CA's verdict. It returns true if this run should place another order. Otherwise
// it deferred the job, or returns the error with which the job fails.
func (w *work) judge(
	ctx context.Context, o *controlplane.Order, e controlplane.Judged,
	tried map[string]controlplane.Verdict,
) (bool, error) {
	v := storableVerdict(e.Verdict())
	w.Logger.InfoContext(ctx, "lifecycle: order issued no certificate", "order", o.ID, "ca", o.CA,
		"class", v.Class, "code", v.Code, "error", e)
	w.reportToGovernor(ctx, o, v)
	switch v.Class {
	case controlplane.VerdictInterrupted, controlplane.VerdictSlow:
		return false, w.deferForCA(ctx, v)
	case controlplane.VerdictRateLimited:
		if w.Governor != nil && !w.uncounted && o.OrderURL == "" {
			// The governor knows the limit now: it selects another CA, or spreads the waiting jobs.
			return true, w.failOrder(ctx, o, v)
		}
		tried[o.CA] = v
		wait := v.RetryAt.IsZero() || v.RetryAt.Sub(w.now()) < w.patience() ||
			len(w.left(tried)) == 0
		if v.Over || !wait {
			if err := w.failOrder(ctx, o, v); err != nil {
				return false, err
			}
		}
		if wait {
			return false, w.deferForCA(ctx, soonest(v, tried, w.now()))
		}
		return true, nil
	case controlplane.VerdictUnreachable, controlplane.VerdictCAAForbids:
		tried[o.CA] = v
		return true, w.failOrder(ctx, o, v)
	case controlplane.VerdictOrderGone:
		return true, w.failOrder(ctx, o, v)
	}
	if v.Class.Refusal() && v.Over {
		if err := w.failOrder(ctx, o, v); err != nil {
			return false, err
		}
	}
	return false, e
}

// patience returns how long the job waits for a CA before it uses another one: for a renewal of the
// sweep, up to 1/24 of the remaining lifetime of its certificate.
func (w *work) patience() time.Duration {
	d := w.domain
	if w.claim.Job.Queue != controlplane.QueueBulk || d.ExpiresAt == nil {
		return shortWait
	}
	return min(max(d.ExpiresAt.Sub(w.now())/24, shortWait), longWait)
}

// deferForCA defers the job until the CA accepts requests again. The order is kept.
func (w *work) deferForCA(ctx context.Context, v controlplane.Verdict) error {
	now, next := w.now(), v.RetryAt
	if next.Before(now.Add(time.Second)) {
		next = now.Add(30 * time.Second)
	}
	return w.postpone(ctx, deferral{why: deferReason{v.Code, v.Message, v.CA},
		shown: text{v.Code, v.Message, v.Fix}, next: w.within(next, now),
		waits: w.claim.Job.Waits, problem: v.Problem})
}

// failOrder ends an order without a certificate, so that another one can be placed.
func (w *work) failOrder(ctx context.Context, o *controlplane.Order, v controlplane.Verdict) error {
	if w.unit != nil {
		w.unit.counted = w.unit.counted || o.OrderURL != ""
	}
	w.refund(ctx)
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		if err := t.HoldClaim(ctx, w.claim); err != nil {
			return err
		}
		now := w.now()
		if err := t.CloseOrder(ctx, o, controlplane.StepFailed, v.Code, v.Message,
			now); err != nil {
			return err
		}
		entry := w.audit(o.OrgID, w.actor(), controlplane.ActionOrderFailed, "domain", o.DomainID,
			now)
		entry.Details = map[string]any{"order_id": o.ID, "ca": o.CA, "code": v.Code,
			"detail": v.Message}
		if len(v.Problem) > 0 {
			entry.Details["acme"] = v.Problem
		}
		return t.Audit(ctx, entry)
	})
}

// soonest returns the verdict v of a CA over its limit, with the earliest time at which any CA can
// be retried: another limit may end sooner, and an unreachable CA may be available again.
func soonest(
	v controlplane.Verdict, tried map[string]controlplane.Verdict, now time.Time,
) controlplane.Verdict {
	for _, other := range tried {
		at := other.RetryAt
		if other.Class == controlplane.VerdictUnreachable && at.IsZero() {
			at = now.Add(unreachableWait)
		}
		if other.Class != controlplane.VerdictCAAForbids && !at.IsZero() && at.Before(v.RetryAt) {
			v.RetryAt = at
		}
	}
	return v
}

// noneLeft ends a run in which no CA issued a certificate. If a CA is over its limit, it defers the
// job. Otherwise it returns the verdict of the most preferred CA, with which the job fails.
func (w *work) noneLeft(ctx context.Context, tried map[string]controlplane.Verdict) error {
	for _, ca := range w.preference() {
		if v, ok := tried[ca]; ok && v.Class == controlplane.VerdictRateLimited {
			return w.deferForCA(ctx, soonest(v, tried, w.now()))
		}
	}
	for _, ca := range w.preference() {
		if v, ok := tried[ca]; ok {
			return judgment(v)
		}
	}
	return &controlplane.Error{Kind: controlplane.KindUnavailable, Code: ordersExhausted,
		Message: "Several orders in a row gave no certificate.",
		Fix:     "No action needed. The order is retried automatically."}
}

const ordersExhausted = "orders-exhausted"

// judgment is a verdict as an error.
type judgment controlplane.Verdict

func (j judgment) Error() string                 { return j.CA + ": " + j.Code + ": " + j.Message }
func (j judgment) Verdict() controlplane.Verdict { return controlplane.Verdict(j) }
