package acme

import (
	"errors"

	lego "github.com/go-acme/lego/v4/acme"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// finalize sends the CSR (RFC 8555 §7.4) unless the journal returns an error. If the CA reports
// that the order is not ready, it has not processed the authorizations yet, or a previous worker
// has already finalized the order. In both cases finalize polls the order.
func (r *run) finalize(state *lego.Order) error {
	if err := r.journal.Ready(r.ctx, r.order); err != nil {
		return r.journalError("check before finalizing", err)
	}
	if err := r.save(controlplane.StepReady); err != nil {
		return err
	}
	var got lego.ExtendedOrder
	err := r.session.do(atFinalize, func() (err error) {
		got, err = r.session.core.Orders.UpdateForCSR(state.Finalize, r.order.CSR)
		return err
	})
	if e, ok := errors.AsType[*Error](err); ok && e.problemType == "orderNotReady" {
		return r.awaitOrder(state, lego.StatusPending)
	}
	if err != nil {
		return r.finalizeError(err)
	}
	*state = got.Order
	r.reach(controlplane.StepFinalized)
	return nil
}

// finalizeError replaces lego's error for an order that became invalid with the order's own error.
func (r *run) finalizeError(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Class != Internal {
		return err
	}
	state, again := r.fetchOrder()
	if again != nil {
		return again
	}
	if state.Status == lego.StatusInvalid {
		return r.invalidOrder(state)
	}
	return err
}
