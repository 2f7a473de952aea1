package lifecycle

import (
	"context"
	"encoding/json"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// shortWait is how long a CA may make us wait before another CA is asked instead.
	shortWait = time.Minute
	// longWait is the same for a renewal that has the time: at the CA that it replaces a
	// certificate of, an order may count towards no limit (RFC 9773 §5).
	longWait = time.Hour
	// awayWait is when a CA that was away is asked again where the others are over their limits.
	awayWait = 15 * time.Minute
)

// judge does what a CA's verdict asks for. It returns true where another order should be
// begun in this run; else the job waits, or the error is its failure.
func (w *work) judge(ctx context.Context, o *controlplane.Order, e controlplane.Judged, tried map[string]controlplane.Verdict) (bool, error) {
	v := storableVerdict(e.Verdict())
	w.Logger.InfoContext(ctx, "lifecycle: an order gave no certificate", "order", o.ID, "ca", o.CA, "class", v.Class, "code", v.Code, "error", e)
	w.tellGovernor(ctx, o, v)
	switch v.Class {
	case controlplane.VerdictInterrupted:
		return false, w.deferForCA(ctx, v)
	case controlplane.VerdictRateLimited:
		if w.Governor != nil && !w.uncounted && o.OrderURL == "" {
			// The governor has learned of it: it gives another place, or a time of its own to
			// each that waits.
			return true, w.failOrder(ctx, o, v)
		}
		tried[o.CA] = v
		wait := v.RetryAt.IsZero() || v.RetryAt.Sub(w.now()) < w.patience() || len(w.left(tried)) == 0
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
	case controlplane.VerdictRejected:
		if v.Over {
			if err := w.failOrder(ctx, o, v); err != nil {
				return false, err
			}
		}
	}
	return false, e
}

// patience returns how long the job waits for a CA before another one is asked: a renewal
// of the sweep up to a 24th of what its certificate has left.
func (w *work) patience() time.Duration {
	d := w.domain
	if w.claim.Job.Queue != controlplane.QueueBulk || d.ExpiresAt == nil {
		return shortWait
	}
	return min(max(d.ExpiresAt.Sub(w.now())/24, shortWait), longWait)
}

// deferForCA puts the job off until the CA may be asked again; the order stands.
func (w *work) deferForCA(ctx context.Context, v controlplane.Verdict) error {
	next := v.RetryAt
	if now := w.now(); next.Before(now.Add(time.Second)) {
		next = now.Add(30 * time.Second)
	}
	return w.deferUntil(ctx, next.Truncate(time.Microsecond), deferReason{v.Code, v.Message, v.CA}, v.Fix, v.Problem)
}

// deferUntil puts the job off: what it waits for is no failure, and the domain says until when.
// problem is the CA's word, where it is the CA that asks for the wait.
func (w *work) deferUntil(ctx context.Context, next time.Time, why deferReason, fix string, problem json.RawMessage) error {
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := w.now()
		d, err := t.LockDomain(ctx, w.domain.OrgID, w.domain.ID)
		if err != nil {
			return err
		}
		c := controlplane.Condition{Type: controlplane.CertificateReady, Status: controlplane.ConditionFalse, Reason: controlplane.Reason(why.code), Message: why.message, Fix: fix, ACME: problem, LastCheckedAt: &now, NextCheckAt: &next}
		if d.HasCertificate(now) {
			c.Type = controlplane.RenewalOnTrack
		}
		if why.code != controlplane.ReasonOrderBudget || c.Type != controlplane.RenewalOnTrack {
			d.SetCondition(c) // else the renewal is on track: when it is due it needs no budget
		}
		if err := t.SaveDomain(ctx, d, now); err != nil {
			return err
		}
		if entry := w.newDeferralEntry(next, why, now); entry != nil {
			if err := t.Audit(ctx, *entry); err != nil {
				return err
			}
		}
		return t.DeferJob(ctx, w.claim, now, next, why.code)
	})
}

// failOrder ends an order that gives no certificate, so that another can be begun.
func (w *work) failOrder(ctx context.Context, o *controlplane.Order, v controlplane.Verdict) error {
	if w.unit != nil {
		w.unit.counted = w.unit.counted || o.OrderURL != ""
	}
	w.giveBack(ctx)
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		if err := t.HoldClaim(ctx, w.claim); err != nil {
			return err
		}
		now := w.now()
		if err := t.CloseOrder(ctx, o, controlplane.StepFailed, v.Code, v.Message, now); err != nil {
			return err
		}
		entry := w.audit(o.OrgID, w.actor(), controlplane.ActionOrderFailed, "domain", o.DomainID, now)
		entry.Details = map[string]any{"order_id": o.ID, "ca": o.CA, "code": v.Code, "detail": v.Message}
		if len(v.Problem) > 0 {
			entry.Details["acme"] = v.Problem
		}
		return t.Audit(ctx, entry)
	})
}

// soonest returns the verdict v of a CA over its limit, with the time at which some CA is
// worth asking again: another's limit may end sooner, and one that was away may be back.
func soonest(v controlplane.Verdict, tried map[string]controlplane.Verdict, now time.Time) controlplane.Verdict {
	for _, other := range tried {
		at := other.RetryAt
		if other.Class == controlplane.VerdictUnreachable && at.IsZero() {
			at = now.Add(awayWait)
		}
		if other.Class != controlplane.VerdictCAAForbids && !at.IsZero() && at.Before(v.RetryAt) {
			v.RetryAt = at
		}
	}
	return v
}

// noneLeft ends a run in which no CA gave a certificate. Where one is over its limit the job
// waits; else it has failed, for the reason of the CA that is asked first.
func (w *work) noneLeft(ctx context.Context, tried map[string]controlplane.Verdict) error {
	for _, ca := range w.preference() {
		if v, ok := tried[ca]; ok && v.Class == controlplane.VerdictRateLimited {
			return w.deferForCA(ctx, soonest(v, tried, w.now()))
		}
	}
	for _, ca := range w.preference() {
		if v, ok := tried[ca]; ok {
			return judgement(v)
		}
	}
	return &controlplane.Error{Kind: controlplane.KindUnavailable, Code: "orders-exhausted",
		Message: "Several orders in a row gave no certificate.", Fix: "Nothing for now: it is tried again."}
}

// judgement is a verdict as an error.
type judgement controlplane.Verdict

func (j judgement) Error() string                 { return j.CA + ": " + j.Code + ": " + j.Message }
func (j judgement) Verdict() controlplane.Verdict { return controlplane.Verdict(j) }
