package lifecycle

import (
	"cmp"
	"context"
	"slices"
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
)

// maxOrders is how many orders one run of a job places at a CA.
const maxOrders = 2

// longestPoll is the longest time between two polls of an order in progress. A CA that requests a
// longer one is polled sooner.
const longestPoll = time.Minute

// round is what one run of a job has tried.
type round struct {
	orders   map[string]int  // placed, by CA
	recorded map[string]bool // CAs and accounts whose verdict was recorded
	away     bool            // a CA was unavailable
	refused  bool            // a CA refused
	forced   bool            // the order was forced despite the counted limits
	draw     float64         // places the pauses within their jitter

	slow    *controlplane.Order // set aside because its CA is slow; nil if none
	verdict controlplane.Verdict
}

// judge acts on a CA's verdict. It returns true if this run should use another CA, or place another
// order at this one. Otherwise it deferred the job, or returns the error with which the job fails.
func (w *work) judge(
	ctx context.Context, o *controlplane.Order, e controlplane.Judged, r *round,
) (bool, error) {
	v := storableVerdict(e.Verdict())
	v.CA = o.CA
	w.Logger.InfoContext(ctx, "lifecycle: order issued no certificate", "order", o.ID, "ca", o.CA,
		"class", v.Class, "code", v.Code, "forced", r.forced, "error", e)
	w.learn(ctx, o, v)
	if problem, err := w.ownFault(ctx, v); err != nil {
		return false, err
	} else if problem != nil {
		return false, cmp.Or(w.discard(ctx, o, v), problem)
	}
	switch v.Class {
	case controlplane.VerdictInternal:
		return false, e // the order is kept and resumed
	case controlplane.VerdictInterrupted, controlplane.VerdictSlow:
		if !w.isSlow(o) || !w.othersReady(o.CA) {
			return false, w.deferForCA(ctx, v)
		}
		r.slow, r.verdict = o, v
		v.RetryAt = w.now().Add(slowOrder)
	case controlplane.VerdictOrderGone:
		if r.orders[o.CA] < maxOrders {
			return true, w.discard(ctx, o, v)
		}
		v.Code, v.Message = ordersExhausted, o.CA+" gave no certificate for several orders in a row."
		v.Fix = controlplane.FixOf(ordersExhausted)
	case controlplane.VerdictRateLimited:
		if w.Governor != nil && !w.uncounted && o.OrderURL == "" && r.orders[o.CA] < maxOrders {
			// The governor knows the limit now: it selects another CA, or spreads the waiting jobs.
			return true, w.giveUp(ctx, o, v)
		}
		if w.worthWaiting(v) {
			w.record(o, v, r)
			if v.Over || w.Governor != nil && o.OrderURL == "" {
				if err := w.giveUp(ctx, o, v); err != nil {
					return false, err
				}
			}
			return false, w.deferForCA(ctx, v)
		}
	}
	w.record(o, v, r)
	if v.Over || !v.Temporary() || v.Class == controlplane.VerdictRateLimited && o.OrderURL == "" {
		return true, w.discard(ctx, o, v)
	}
	return true, w.setAside(ctx, o, v)
}

// ownFault returns the problem of the validation zone if the CA could not look up the challenge
// while the zone is unreachable: then the domain's DNS is not the cause. Otherwise, it makes the
// next test of the zone due, because the CA may have noticed first.
func (w *work) ownFault(ctx context.Context, v controlplane.Verdict) (problem, err error) {
	if v.Code != "ca-dns" || w.Prober == nil {
		return nil, nil
	}
	if problem = w.zoneProblem(ctx); problem != nil {
		return problem, nil
	}
	return nil, w.Store.ProbeZoneNow(ctx, w.now())
}

// worthWaiting reports whether the job waits for a CA over its limit, once, instead of using
// another CA.
func (w *work) worthWaiting(v controlplane.Verdict) bool {
	return !v.RetryAt.IsZero() && v.RetryAt.Sub(w.now()) < w.patience() &&
		w.claim.Job.CAs[v.CA].Code == ""
}

// othersReady reports whether another CA than the given one can be used now, apart from its limits.
func (w *work) othersReady(ca string) bool {
	return slices.ContainsFunc(w.preference(), func(other string) bool {
		up, _ := w.Issuer.Healthy(other)
		return up && other != ca && !slices.Contains(w.domain.ForbiddenCAs, other) &&
			!w.claim.Job.CAs[other].Until.After(w.now())
	})
}

// record remembers a CA's verdict, and until when the job does not use the CA, or the account.
func (w *work) record(o *controlplane.Order, v controlplane.Verdict, r *round) {
	now, j, subject := w.now(), w.claim.Job, w.subjectOf(o, v)
	c := controlplane.CAWait{Class: v.Class, Code: v.Code, Message: v.Message, Fix: v.Fix,
		Problem: v.Problem, Passes: v.Temporary(), Failures: j.CAs[subject].Failures}
	wait := w.Backoff.Pause(j.Waits+1, r.draw)
	if c.Passes {
		r.away = true
	} else {
		r.refused = true
		c.Failures++
		wait = w.Backoff.After(max(c.Failures, j.Attempts+1), r.draw)
	}
	c.Until = w.within(later(now.Add(wait), v.RetryAt), now)
	if j.CAs == nil {
		j.CAs = map[string]controlplane.CAWait{}
	}
	j.CAs[subject], r.recorded[subject] = c, true
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

// deferForCA defers the job until the next poll of its order, which is kept. While the order makes
// no progress, the pauses grow up to longestPoll.
func (w *work) deferForCA(ctx context.Context, v controlplane.Verdict) error {
	now, next, waits := w.now(), v.RetryAt, w.claim.Job.Waits
	if next.Before(now.Add(time.Second)) {
		next = now.Add(longestPoll / 2)
	}
	if waits > 0 {
		next = later(next, now.Add(w.Backoff.Pause(waits, w.Rand())))
	}
	most := now.Add(longestPoll)
	if next.After(most) && v.Class != controlplane.VerdictRateLimited {
		next = most
	}
	return w.postpone(ctx, deferral{why: deferReason{v.Code, v.Message, v.CA},
		shown: text{v.Code, v.Message, v.Fix}, next: w.within(next, now), waits: waits + 1,
		problem: v.Problem})
}

// giveUp closes an order that gave no certificate, and returns its share of the CA's limits.
func (w *work) giveUp(ctx context.Context, o *controlplane.Order, v controlplane.Verdict) error {
	w.giveBack(ctx, o, v)
	return w.failOrder(ctx, o, v)
}

// discard ends the work on an order. It closes the order, or sets it aside if its certificate can
// still arrive.
func (w *work) discard(ctx context.Context, o *controlplane.Order, v controlplane.Verdict) error {
	if o.Step.SentCSR() && !v.Over {
		return w.setAside(ctx, o, v)
	}
	if v.Class == "" {
		return w.failOrder(ctx, o, v)
	}
	return w.giveUp(ctx, o, v)
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
		return t.Audit(ctx, w.orderEntry(controlplane.ActionOrderFailed, o, v, now))
	})
}

// orderEntry returns the audit entry of an order that gave no certificate yet, with its verdict.
func (w *work) orderEntry(
	action string, o *controlplane.Order, v controlplane.Verdict, now time.Time,
) controlplane.AuditEntry {
	entry := w.audit(o.OrgID, w.actor(), action, "domain", o.DomainID, now)
	entry.Details = map[string]any{"order_id": o.ID, "ca": o.CA, "code": v.Code,
		"detail": v.Message}
	if len(v.Problem) > 0 {
		entry.Details["acme"] = v.Problem
	}
	return entry
}

// noneLeft ends a run in which no CA issued a certificate. If a CA is only unavailable or over its
// limit, it defers the job. Otherwise it returns the error with which the job fails. Both show the
// verdict of the party that must act.
func (w *work) noneLeft(ctx context.Context, p place, r *round) error {
	if r.slow != nil {
		delete(w.claim.Job.CAs, r.slow.CA)
		ok, err := w.reopen(ctx, r.slow)
		switch {
		case err != nil:
			return err
		case !ok:
			return w.handBack(ctx)
		}
		return w.deferForCA(ctx, r.verdict) // it is polled, because no other CA is available
	}
	shown, found := w.decisive(p)
	if !found {
		return &controlplane.Error{Kind: controlplane.KindUnavailable, Code: ordersExhausted,
			Message: "No CA can issue the certificate.", Fix: controlplane.FixOf(ordersExhausted)}
	}
	why, passes := firstToPass(p)
	if !passes {
		if r.refused {
			return &refusal{verdict: shown.verdict(), at: p.next.At, customer: onlyCustomer(p)}
		}
		why = shown // the job ran early
	}
	waits := w.claim.Job.Waits
	if r.away {
		waits++
	}
	return w.postpone(ctx, deferral{why: deferReason{why.code, why.message, why.ca},
		shown: shown.text, problem: shown.problem, waits: waits,
		next: p.next.At.UTC().Truncate(time.Microsecond)})
}

// decisive returns the obstacle of the party that must act: a customer before the operator, and the
// operator before a CA. If several must, it is that of the most preferred CA, or of the CA that
// becomes available first.
func (w *work) decisive(p place) (found obstacle, ok bool) {
	rank := map[controlplane.Party]int{controlplane.PartyCustomer: 2, controlplane.PartyOperator: 1}
	for _, ca := range p.order {
		o, known := p.known[ca]
		better := rank[o.party] > rank[found.party] || rank[o.party] == 0 &&
			rank[found.party] == 0 && o.until.Before(found.until)
		if known && (!ok || better) {
			found, ok = o, true
		}
	}
	return found, ok
}

// firstToPass returns the obstacle that is expected to pass first.
func firstToPass(p place) (found obstacle, ok bool) {
	for _, ca := range p.order {
		if o := p.known[ca]; o.passes && (!ok || o.until.Before(found.until)) {
			found, ok = o, true
		}
	}
	return found, ok
}

// onlyCustomer reports whether only the customer can remove the obstacles.
func onlyCustomer(p place) bool {
	return !slices.ContainsFunc(p.order, func(ca string) bool {
		return p.known[ca].code == "" || p.known[ca].party != controlplane.PartyCustomer
	})
}

const ordersExhausted = "orders-exhausted"

// refusal is the error of a run in which every CA refused.
type refusal struct {
	verdict  controlplane.Verdict
	at       time.Time // of the next attempt
	customer bool      // only the customer can remove the causes
}

func (r *refusal) Error() string {
	return r.verdict.CA + ": " + r.verdict.Code + ": " + r.verdict.Message
}

// Verdict implements controlplane.Judged.
func (r *refusal) Verdict() controlplane.Verdict { return r.verdict }
