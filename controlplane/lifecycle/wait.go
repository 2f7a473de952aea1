package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// deferral is how a job waits: its reason, what the domain shows, and until when.
type deferral struct {
	why     deferReason
	shown   text
	next    time.Time
	waits   int // deferrals in a row for an unavailable dependency
	silent  bool
	problem json.RawMessage
}

// text is a reason in words for the customer.
type text struct{ code, message, fix string }

// absence is a dependency that is unavailable: a wait, not a failure.
type absence struct {
	why     deferReason
	fix     string
	problem json.RawMessage
	retryAt time.Time // according to the dependency; zero if unknown
}

// absent returns the dependency that err reports as unavailable.
func absent(err error) (absence, bool) {
	if j, ok := errors.AsType[controlplane.Judged](err); ok {
		v := storableVerdict(j.Verdict())
		return absence{deferReason{v.Code, v.Message, v.CA}, v.Fix, v.Problem, v.RetryAt},
			v.Temporary()
	}
	e := controlplane.AsError(err)
	return absence{why: deferReason{code: e.Code, message: storable(e.Message)},
			fix: storable(e.Fix), retryAt: e.RetryAt},
		e.Kind == controlplane.KindUnavailable && e.Code != ordersExhausted
}

// await defers a job whose dependency is unavailable. The pauses grow while it stays so.
func (w *work) await(ctx context.Context, a absence) error {
	now, waits := w.now(), w.claim.Job.Waits+1
	next := now.Add(w.Backoff.Pause(waits, w.Rand()))
	if a.retryAt.After(next) {
		next = a.retryAt
	}
	w.Logger.InfoContext(ctx, "lifecycle: job waits for an unavailable dependency",
		"job", w.claim.Job.ID, "type", w.claim.Job.Type, "waits", waits, "code", a.why.code)
	return w.postpone(ctx, deferral{why: a.why, shown: text{a.why.code, a.why.message, a.fix},
		next: w.within(next, now), waits: waits, problem: a.problem})
}

// within returns next, or the latest time of the next attempt if that is sooner.
func (w *work) within(next, now time.Time) time.Time {
	if latest := w.latest(now); next.After(latest) {
		next = latest
	}
	// Rounded up: a job that is due before what it waits for would run in vain.
	return next.UTC().Add(time.Microsecond - 1).Truncate(time.Microsecond)
}

func (w *work) latest(now time.Time) time.Time {
	var expires time.Time
	if d := w.domain; d != nil && d.HasCertificate(now) {
		expires = *d.ExpiresAt
	}
	return controlplane.LatestAttempt(now, expires, w.personWaits(now))
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// personPatience is how long after a request a person is assumed to wait for its result.
const personPatience = time.Hour

// personWaits reports whether a person waits for the job: its work was requested a moment ago.
func (w *work) personWaits(now time.Time) bool {
	return w.claim.Job.Queue == controlplane.QueueCritical ||
		w.domain != nil && now.Sub(w.domain.CheckSince) < personPatience
}

// postpone defers the job and shows the reason and time in the domain.
func (w *work) postpone(ctx context.Context, f deferral) error {
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := w.now()
		d, err := t.LockDomain(ctx, w.domain.OrgID, w.domain.ID)
		if err != nil {
			return err
		}
		if w.showWait(d, f, now) {
			if err := t.SaveDomain(ctx, d, now); err != nil {
				return err
			}
		}
		if entry := w.newDeferralEntry(f.next, f.why, now); entry != nil {
			if err := t.Audit(ctx, *entry); err != nil {
				return err
			}
		}
		return t.EndRun(ctx, w.claim, postgres.DeferredBy(f.next, f.why.code, f.waits,
			w.claim.Job.CAs), now)
	})
}

// showWait writes a wait into the domain. It returns false if only the job shows it.
func (w *work) showWait(d *controlplane.Domain, f deferral, now time.Time) bool {
	switch w.claim.Job.Type {
	case controlplane.JobRevocation:
		return false
	case controlplane.JobDNSCheck:
		c := d.Condition(controlplane.DNSReady)
		c.NextCheckAt = &f.next
		d.SetCondition(c)
		return true
	}
	c := controlplane.Condition{Type: controlplane.CertificateReady,
		Status: controlplane.ConditionFalse, Reason: controlplane.Reason(f.shown.code),
		Message: f.shown.message, Fix: f.shown.fix, ACME: f.problem, LastCheckedAt: &now,
		NextCheckAt: &f.next}
	if d.HasCertificate(now) {
		c.Type = controlplane.RenewalOnTrack
	}
	if f.silent && c.Type == controlplane.RenewalOnTrack {
		c = shownBudget(d, c)
	}
	d.SetCondition(c)
	return true
}

// shownBudget returns the condition of a requested renewal that waits for the organization's
// budget. It is on track, because it needs no budget when it is due; a problem stays shown.
func shownBudget(d *controlplane.Domain, c controlplane.Condition) controlplane.Condition {
	old := d.Condition(c.Type)
	if old.Status == controlplane.ConditionFalse {
		old.NextCheckAt = c.NextCheckAt
		return old
	}
	c.Status = controlplane.ConditionTrue
	return c
}
