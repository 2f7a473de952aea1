package acme

import (
	"errors"
	"time"

	lego "github.com/go-acme/lego/v4/acme"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	// maxSends is how often a run sends the CSR.
	maxSends = 3
	// resendPause is the shortest time after which the CSR is sent again. It grows by four.
	resendPause = time.Second
)

// finalize has a ready order finalized (RFC 8555 §7.4). It sends the CSR once. Then it polls the
// order: a lost response is found in the order's status. Only if the CA still shows the order as
// ready after a growing pause, it sends the CSR again.
func (r *run) finalize(state *lego.Order) error {
	if r.maySend() {
		return r.sendCSR(state)
	}
	err := r.poll(func() (bool, error) {
		got, err := r.fetchOrder()
		if err != nil {
			return false, err
		}
		*state = got
		if until := r.resendAt.Sub(r.engine.cfg.Now()); r.sent < maxSends && until > 0 {
			r.interval = min(r.interval, until)
		}
		return got.Status != lego.StatusReady || r.maySend(), nil
	})
	if e, ok := errors.AsType[*Error](err); ok && e.Class == Slow && r.rejection != nil {
		return r.rejection
	}
	return err
}

// maySend reports whether the CSR was not sent yet, or may be sent again.
func (r *run) maySend() bool {
	return r.sent == 0 || r.sent < maxSends && !r.engine.cfg.Now().Before(r.resendAt)
}

// sendCSR sends the CSR unless the journal returns an error, and notes the result in state.
func (r *run) sendCSR(state *lego.Order) error {
	if err := r.journal.Ready(r.ctx, r.order); err != nil {
		return r.journalError("check before finalizing", err)
	}
	if err := r.save(controlplane.StepReady); err != nil {
		return err
	}
	r.sent++
	var got lego.Order
	err := r.session.change(atFinalize, func() error {
		extended, err := r.session.core.Orders.UpdateForCSR(state.Finalize, r.order.CSR)
		got = extended.Order
		return r.checked(&got, err)
	})
	pause := resendPause << (2 * (r.sent - 1))
	r.resendAt = r.engine.cfg.Now().Add(pause)
	r.interval = pause / 4
	if err != nil {
		return r.sendError(state, err)
	}
	*state = got
	r.see(got)
	if got.Status == lego.StatusProcessing || got.Status == lego.StatusValid {
		r.acted()
		r.reach(controlplane.StepFinalized)
	}
	return nil
}

// sendError decides what follows a CSR that was not accepted, or whose response is unusable. It
// returns nil if the order's status decides.
func (r *run) sendError(state *lego.Order, err error) error {
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok || e.Class == Interrupted || e.Class == Slow || e.Class == Internal:
		return err
	case r.isProtocol(e): // such as an invalid order, for which lego returns an error
		r.acted()
		return nil
	case e.problemType == "orderNotReady":
		// The CA has not processed the authorizations yet, or an earlier run has sent the CSR.
		r.resendAt = r.engine.cfg.Now()
		if r.sent == 1 {
			r.acted()
		}
		return r.awaitOrder(state, lego.StatusPending)
	case e.Class == Unreachable, e.Class == RateLimited && e.RetryAfter > 0, isMissing(e):
		rejection := *e
		if isMissing(e) && e.Problem == nil { // such as the page of a proxy
			rejection = *malformed(r.order.CA, e)
			rejection.Status = e.Status
		}
		rejection.Over, rejection.passing = false, false
		if e.RetryAfter > maxPause {
			return &rejection
		}
		r.rejection = &rejection
		if at := r.engine.cfg.Now().Add(e.RetryAfter); at.After(r.resendAt) {
			r.resendAt = at
		}
		return nil
	case !isVague(e):
		return err
	}
	got, again := r.fetchOrder()
	if again != nil {
		return again
	}
	if got.Status == lego.StatusReady || got.Status == lego.StatusPending {
		return err
	}
	*state = got
	return nil
}

// isVague reports whether a rejection of a CSR may concern the state of the order: an earlier run
// may have sent the CSR.
func isVague(e *Error) bool {
	switch e.problemType {
	case "malformed", "unauthorized", "":
		return true
	}
	return false
}
