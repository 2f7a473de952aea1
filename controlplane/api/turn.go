package api

import (
	"context"
	"net/http"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// newPlaces returns the places for calls: as many as the store has connections to Postgres. A
// third are one organization's in any case; it has more while a third stay free for others.
func newPlaces(connections int) *controlplane.Gate {
	third := max(connections/3, 1)
	return controlplane.NewGate(connections, third).Lend(third)
}

// enter waits for the call's place among those that are carried out. Organizations take turns,
// so that what one sends at a time holds up nobody else. A call that waits for a change does
// without a place.
func (a *API) enter(r *http.Request, c *call) (err error) {
	if c.principal.org() == "" || c.op.waits && waitOf(r) > 0 {
		return nil
	}
	c.leavePlace, err = a.places.Wait(r.Context(), c.principal.org())
	return err
}

// leave gives back the call's place, if it has one. It may be repeated.
func (c *call) leave() {
	if c.leavePlace != nil {
		c.leavePlace()
	}
}

// leaves gives back the place as soon as the handler has decided on its response: it does not
// depend on how slowly the client reads.
func leaves(next StrictHandlerFunc, _ string) StrictHandlerFunc {
	return func(ctx context.Context, w http.ResponseWriter, r *http.Request, request any) (any, error) {
		defer callOf(ctx).leave()
		return next(ctx, w, r, request)
	}
}

// largeRequest is the size in bytes from which a query or body waits for its turn to be
// checked. Checking a smaller one takes a millisecond or two, and one of maxBody up to a tenth
// of a second.
const largeRequest = 32 << 10

// checkRest is how many times as long as a check took its place rests after it: a burst of large
// requests keeps one core busy for a fifth of the time at most.
const checkRest = 4

// newCheckGate bounds how many large requests are checked at a time, each of which keeps a core
// busy: on half of the cores, for one organization on a quarter, at least one at a time.
func newCheckGate(cores int) *controlplane.Gate { return controlplane.NewGate(cores/2, cores/4) }

// takeTurn waits for the turn of a call's organization, or of its client network where it has
// none, to have a query or body of a size checked. The place stays taken for checkRest times as
// long as the check took.
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
	began := time.Now()
	return func() { time.AfterFunc(checkRest*time.Since(began), free) }, nil
}
