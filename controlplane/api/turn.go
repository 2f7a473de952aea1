package api

import (
	"context"
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
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
