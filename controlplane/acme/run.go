package acme

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// maxAttempts is the number of attempts of one run after transient faults.
const maxAttempts = 4

// saveTimeout is how long the progress of a run that ends may take to be recorded.
const saveTimeout = 10 * time.Second

// Run takes an order from its recorded step to the certificate, and updates o on the way. The
// intent of each irreversible step is recorded before the step. Other steps are recorded only if
// the order stays there for longer. The returned certificate is checked, and its key is still
// sealed. The caller stores it and marks the order as stored, in one transaction.
//
// Run does not wait for long: if the CA takes its time, it returns an Error of class Slow, and the
// order is polled again at RetryAt, within a minute. The number of its requests is limited
// (limitOf). If ctx ends, it finishes the request that is in flight, records its
// result, and sends no other.
//
// Run returns an *Error or wraps an error of the Journal. If Over is set, the order cannot be used
// again: the CA has said that it gives no certificate. Otherwise any process may call Run again
// with the same order after RetryAfter. An order at step ready or later, whose CSR may have been
// sent, is over only if the CA reports it as invalid, or if it has expired.
func (e *Engine) Run(
	ctx context.Context, o *controlplane.Order, j Journal,
) (*controlplane.Certificate, error) {
	return e.run(ctx, o, j, (*run).advance)
}

// run calls advance in attempts, with a connection to the order's CA.
func (e *Engine) run(
	ctx context.Context, o *controlplane.Order, j Journal,
	advance func(*run) (*controlplane.Certificate, error),
) (*controlplane.Certificate, error) {
	ca, err := e.authority(o.CA)
	if err != nil {
		return nil, err
	}
	if o.Step.Over() || len(o.CSR) == 0 {
		return nil, internal(o.CA, fmt.Errorf("order %s cannot run: it is at step %q or has no CSR",
			o.ID, o.Step))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.cfg.RunTimeout, errSlow)
	defer cancel()
	r := newRun(ctx, e, ca, o, j)
	r.proceed = func() (*controlplane.Certificate, error) { return advance(r) }
	var cert *controlplane.Certificate
	err = ca.guarded(ctx, func() (err error) {
		cert, err = r.runAttempts()
		return err
	})
	if e, ok := errors.AsType[*Error](err); ok {
		e.concern(o)
		if r.unsaved {
			_ = r.record() // on failure, the next run fetches the state from the CA
		}
	}
	return cert, err
}

// runAttempts repeats attempts until one returns a certificate or fails permanently.
func (r *run) runAttempts() (*controlplane.Certificate, error) {
	o := r.order
	for attempt := 1; ; attempt++ {
		cert, err := r.attempt()
		if err == nil {
			return cert, nil
		}
		pause, again := r.again(err, attempt)
		if !again || pause > r.remaining() {
			return nil, err
		}
		r.engine.cfg.Logger.InfoContext(r.ctx, "acme: resuming order after a transient fault",
			"ca", o.CA, "order", o.ID, "step", o.Step, "pause", pause, "error", err)
		if r.engine.cfg.Sleep(r.ctx, pause) != nil {
			return nil, r.ca.interrupted(r.ctx)
		}
	}
}

// run is one call of Run or Collect.
type run struct {
	engine    *Engine
	ctx       context.Context // with the deadline of the run in real time
	deadline  time.Time       // of the run, by the engine's clock
	meter     *meter          // of the run's requests; ctx has it too
	ca        *authority
	registrar *registrar // of the order's account
	order     *controlplane.Order
	journal   Journal // nil if nothing is recorded
	proceed   func() (*controlplane.Certificate, error)
	session   *session
	unsaved   bool          // the order is further than its record
	interval  time.Duration // before the next poll

	forgotten   string // URL of the account that the CA reported as unknown
	repairs     int    // how often the account was repaired, because the CA rejected it
	unconfirmed int    // new-order requests without a response: the CA may have created the order
	published   bool   // the challenges were published in this run
	confirmed   bool   // the state that ends the order was read again

	body      []byte    // of the last response with the order
	sent      int       // how often the CSR was sent, as far as this run knows
	resendAt  time.Time // earliest time at which the CSR is sent again
	rejection *Error    // of the CSR, although the CA shows the order as ready
}

func newRun(
	ctx context.Context, e *Engine, ca *authority, o *controlplane.Order, j Journal,
) *run {
	m := &meter{limit: limitOf(len(o.Names))}
	r := &run{engine: e, ctx: withMeter(ctx, m), meter: m, ca: ca,
		registrar: ca.registrar(o.Account), order: o, journal: j,
		deadline: e.cfg.Now().Add(e.cfg.RunTimeout)}
	r.interval = r.firstInterval()
	if r.committed() { // an earlier run may have sent the CSR just before it ended
		r.sent, r.resendAt = 1, o.UpdatedAt.Add(resendPause)
	}
	return r
}

// attempt takes the order to a certificate or returns the first error.
func (r *run) attempt() (*controlplane.Certificate, error) {
	if err := r.connect(); err != nil {
		return nil, err
	}
	return r.proceed()
}

// connect opens a session with the account, and registers the account if necessary.
func (r *run) connect() error {
	if r.session != nil {
		return nil
	}
	acct, err := r.registrar.registered(r.ctx, r.forgotten)
	if err != nil {
		return err
	}
	if r.session, err = r.ca.open(r.ctx, acct.key, acct.url); err != nil {
		return err
	}
	r.session.account = acct
	return nil
}

// again returns whether to retry after a failed attempt, and after which pause. A first connection
// fault may be caused by a connection that was idle for too long. After that, if the CA has not
// responded at all, the caller decides, since it can use another CA.
func (r *run) again(err error, attempt int) (time.Duration, bool) {
	e, ok := errors.AsType[*Error](err)
	if !ok || r.ctx.Err() != nil {
		return 0, false
	}
	if e.restart {
		return 0, true
	}
	if e.Class == Unreachable {
		r.ca.distrust()
	}
	if e.problemType == "accountDoesNotExist" && r.forgotten == "" && r.session != nil {
		r.ca.nonces.clear()
		r.forgotten, r.session = r.session.account.url, nil
		return 0, true
	}
	if r.repair(e) {
		return 0, true
	}
	answered := r.session != nil && r.session.wire.answered
	switch {
	case !e.passing || e.Over || attempt >= maxAttempts || r.unconfirmed > 1:
		return 0, false
	case e.RetryAfter > maxPause, e.Class == RateLimited && e.RetryAfter == 0:
		return 0, false
	case !answered && attempt > 1:
		return 0, false
	}
	return max(e.RetryAfter, 20*time.Millisecond<<(2*(attempt-1))), true
}

// reach moves the order to a step unless it is already further. If the step is not recorded, the
// next worker fetches it from the CA.
func (r *run) reach(step controlplane.OrderStep) {
	if rank(step) > rank(r.order.Step) {
		r.order.Step, r.unsaved = step, true
	}
}

// save records that the order has reached a step. It is called before an irreversible action.
func (r *run) save(step controlplane.OrderStep) error {
	r.reach(step)
	return r.record()
}

// record records the order's progress if it is not recorded yet, even if the run was interrupted.
func (r *run) record() error {
	if !r.unsaved || r.journal == nil {
		return nil
	}
	r.order.UpdatedAt = r.engine.cfg.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), saveTimeout)
	defer cancel()
	if err := r.journal.Save(ctx, r.order); err != nil {
		return r.journalError("save step "+string(r.order.Step), err)
	}
	r.unsaved = false
	r.engine.cfg.Logger.DebugContext(r.ctx, "acme: order step recorded", "ca", r.order.CA,
		"order", r.order.ID, "step", r.order.Step)
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
		controlplane.StepCreated, controlplane.StepOrdered, controlplane.StepAuthorized,
		controlplane.StepPublished,
		controlplane.StepAccepted, controlplane.StepReady, controlplane.StepFinalized,
		controlplane.StepIssued,
	}, step)
}

// isCommitted reports whether the order's CSR may have been sent.
func isCommitted(o *controlplane.Order) bool {
	return rank(o.Step) >= rank(controlplane.StepReady) || o.CertificateURL != ""
}
