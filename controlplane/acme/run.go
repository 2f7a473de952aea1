package acme

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	// maxAttempts is how often a run resumes by itself after a fault that may pass.
	maxAttempts = 4
	// maxPause is the longest wait, by the CA's word, that a run sits out instead of handing it back to the caller.
	maxPause = 5 * time.Second
)

// Run takes an order on from its recorded step to the certificate, and fills in o as it goes. What cannot be undone is begun
// when it has been recorded that it will be; other steps are recorded where the order stays at them for longer. The
// certificate comes back checked, with the order's key still sealed; storing it, and the order as stored, is the caller's
// transaction.
//
// Its error is an *Error, or wraps one of the Journal's. Where Over is set, the order is spent; else Run may be called
// again with the same order, by any process, after RetryAfter.
func (e *Engine) Run(ctx context.Context, o *controlplane.Order, j Journal) (*controlplane.Certificate, error) {
	ca, err := e.authority(o.CA)
	if err != nil {
		return nil, err
	}
	if o.Step.Over() || len(o.CSR) == 0 {
		return nil, internal(o.CA, fmt.Errorf("order %s cannot be run at step %q", o.ID, o.Step))
	}
	outer := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, e.cfg.RunTimeout, errSlow)
	defer cancel()
	r := &run{engine: e, ctx: ctx, ca: ca, order: o, journal: j}
	var cert *controlplane.Certificate
	err = ca.guarded(ctx, func() (err error) {
		cert, err = r.toTheEnd()
		return err
	})
	if _, ok := errors.AsType[*Error](err); ok && r.unsaved && outer.Err() == nil {
		_ = j.Save(outer, o) // what is not recorded is found out again
	}
	return cert, err
}

// toTheEnd makes attempts until one has a certificate, or fails for good.
func (r *run) toTheEnd() (*controlplane.Certificate, error) {
	o := r.order
	for attempt := 1; ; attempt++ {
		cert, err := r.attempt()
		if err == nil {
			return cert, nil
		}
		pause, again := r.again(err, attempt)
		if !again {
			return nil, err
		}
		r.engine.cfg.Logger.InfoContext(r.ctx, "resuming an order", "ca", o.CA, "order", o.ID, "step", o.Step, "pause", pause, "error", err)
		if sleep(r.ctx, pause) != nil {
			return nil, r.ca.interrupted(r.ctx)
		}
	}
}

// run is one call of Run.
type run struct {
	engine  *Engine
	ctx     context.Context // of the whole run, its deadline with it
	ca      *authority
	order   *controlplane.Order
	journal Journal
	session *session
	unsaved bool // the order is further than is recorded

	forgotten string // URL of the account that the CA said it does not know
	mended    bool   // the account was looked after, because the CA refused it
	unsure    int    // new-order requests that got no answer: the CA may have made the order
}

// attempt carries the order on until it has a certificate or fails.
func (r *run) attempt() (*controlplane.Certificate, error) {
	if err := r.connect(); err != nil {
		return nil, err
	}
	cert, err := r.carryOn()
	if e, ok := errors.AsType[*Error](err); ok && e.Status == 404 && r.order.OrderURL != "" && e.Class != OrderGone {
		return nil, gone(r.order.CA, e)
	}
	return cert, err
}

// connect opens a session with the account, registering it where it has to be.
func (r *run) connect() error {
	if r.session != nil {
		return nil
	}
	acct, err := r.ca.registered(r.ctx, r.forgotten)
	if err != nil {
		return err
	}
	if r.session, err = r.ca.open(r.ctx, acct.key, acct.url); err != nil {
		return err
	}
	r.session.account = acct
	return nil
}

// again says whether, and after which pause, a failed attempt should be followed by another. A first fault of a connection
// may be that of one that had been idle for too long; beyond it, a CA that has not answered at all is left to the caller,
// who has another one.
func (r *run) again(err error, attempt int) (time.Duration, bool) {
	e, ok := errors.AsType[*Error](err)
	if !ok || r.ctx.Err() != nil {
		return 0, false
	}
	if e.Class == Unreachable {
		r.ca.distrust()
	}
	if e.problemType == "accountDoesNotExist" && r.forgotten == "" && r.session != nil {
		r.ca.nonces.clear()
		r.forgotten, r.session = r.session.account.url, nil
		return 0, true
	}
	if isDoubtful(e) && !r.mended && r.session != nil && r.session.account != nil {
		r.mended = true
		if mended, err := r.ca.mend(r.ctx, r.session.account, e); err == nil && mended {
			r.session = nil
			return 0, true
		}
	}
	answered := r.session != nil && r.session.wire.answered
	switch {
	case !e.passing || e.Over || attempt >= maxAttempts || r.unsure > 1:
		return 0, false
	case e.RetryAfter > maxPause, e.Class == RateLimited && e.RetryAfter == 0:
		return 0, false
	case !answered && attempt > 1:
		return 0, false
	}
	return max(e.RetryAfter, 20*time.Millisecond<<(2*(attempt-1))), true
}

// reach moves the order to a step, unless it is further already. A step that is not recorded costs a successor a question
// to the CA.
func (r *run) reach(step controlplane.OrderStep) {
	if rank(step) > rank(r.order.Step) {
		r.order.Step, r.unsaved = step, true
	}
}

// save records that the order has reached a step: what follows cannot be undone.
func (r *run) save(step controlplane.OrderStep) error {
	r.reach(step)
	return r.record()
}

// record records how far the order has come, where it is not recorded yet.
func (r *run) record() error {
	if !r.unsaved {
		return nil
	}
	r.order.UpdatedAt = r.engine.cfg.Now()
	if err := r.journal.Save(r.ctx, r.order); err != nil {
		return r.journalError("save step "+string(r.order.Step), err)
	}
	r.unsaved = false
	r.engine.cfg.Logger.DebugContext(r.ctx, "order step", "ca", r.order.CA, "order", r.order.ID, "step", r.order.Step)
	return nil
}

func (r *run) journalError(what string, err error) error {
	if r.ctx.Err() != nil {
		return r.ca.interrupted(r.ctx)
	}
	return fmt.Errorf("acme: order %s: %s: %w", r.order.ID, what, err)
}

func rank(step controlplane.OrderStep) int {
	return slices.Index([]controlplane.OrderStep{
		controlplane.StepCreated, controlplane.StepOrdered, controlplane.StepAuthorized, controlplane.StepPublished,
		controlplane.StepAccepted, controlplane.StepReady, controlplane.StepFinalized, controlplane.StepIssued,
	}, step)
}
