package api

import (
	"context"
	"net/http"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// newPlaces returns the slots for calls: as many as the store has connections to Postgres. An
// organization always has a third of them, and more while a third stays free for others.
func newPlaces(connections int) *controlplane.Gate {
	third := max(connections/3, 1)
	return controlplane.NewGate(connections, third).Lend(third)
}

// enter waits for a slot among the calls in progress. Organizations take turns, so that a burst of
// one does not delay the others. A call that waits for a change has no slot.
func (a *API) enter(r *http.Request, c *call) (err error) {
	if c.principal.org() == "" || c.op.waits && waitOf(r) > 0 {
		return nil
	}
	c.leavePlace, err = a.places.Wait(r.Context(), c.principal.org())
	return err
}

// leave releases the call's slot, if it has one. It is idempotent.
func (c *call) leave() {
	if c.leavePlace != nil {
		c.leavePlace()
	}
}

// leaves releases the slot as soon as the handler has decided on its response, so that slow clients
// do not hold slots.
func leaves(next StrictHandlerFunc, _ string) StrictHandlerFunc {
	return func(ctx context.Context, w http.ResponseWriter, r *http.Request, request any) (any,
		error) {
		defer callOf(ctx).leave()
		return next(ctx, w, r, request)
	}
}

// largeRequest is the size in bytes from which a query or body waits for its turn to be checked.
// Smaller ones take a millisecond or two, and one of maxBody up to a tenth of a second.
const largeRequest = 32 << 10

// checkRest is how long a place rests after a check, as a multiple of its duration: a burst of
// large requests uses at most a fifth of one core.
const checkRest = 4

// newCheckGate limits concurrent checks of large requests, each of which uses one core: to half of
// the cores, for one organization to a quarter, at least one.
func newCheckGate(cores int) *controlplane.Gate { return controlplane.NewGate(cores/2, cores/4) }

// takeTurn waits until the call's organization, or without one its client network, can have a query
// or body of this size checked. The place stays taken for checkRest times the duration of the
// check.
func (op *operation) takeTurn(ctx context.Context, size int) (leave func(), err error) {
	if size < largeRequest {
		return func() {}, nil
	}
	c := callOf(ctx)
	sender := c.principal.org()
	if sender == "" {
		sender = edge.Network(c.ip)
	}
	free, err := op.checks.Wait(ctx, sender)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	return func() { time.AfterFunc(checkRest*time.Since(start), free) }, nil
}
