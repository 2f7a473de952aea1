package api

import (
	"context"
	"net/http"
)

const (
	// callsAtOnce is how many calls this process carries out at a time. The store has as many
	// connections to Postgres.
	callsAtOnce = 12
	// callsOfOne is how many of them are one organization's.
	callsOfOne = 4
)

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
