package api

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const maxWait = time.Minute

// waitOf returns the requested `wait`, 0 without one.
func waitOf(r *http.Request) time.Duration {
	if !strings.Contains(r.URL.RawQuery, "wait=") {
		return 0
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return 0
	}
	d, err := time.ParseDuration(query.Get("wait"))
	if err != nil {
		return 0
	}
	return min(max(d, 0), maxWait)
}

// holdOpen lifts the connection's deadlines for a call with `wait`; the call's context limits it.
// net/http sets them again for the next request.
func (a *API) holdOpen(w http.ResponseWriter, r *http.Request, c *call) {
	if !c.op.waits || waitOf(r) == 0 {
		return
	}
	c.waited = true
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // unsupported: no deadlines
	_ = control.SetWriteDeadline(time.Time{})
}

// held returns an object as soon as settled reports that it differs from the one that the caller
// knows, when the wait is over, or when the server stops. It returns the context's error if the
// client disconnects. After a wait, the credential is checked again before the object is returned.
func held[T any](
	ctx context.Context, a *API, wait *Wait, id string, settled func(T) bool,
	load func(context.Context) (T, error),
) (T, error) {
	d, _ := time.ParseDuration(*wait) // the contract validates it
	moved, stop := a.store.Watch(id)
	defer stop()
	over := time.NewTimer(d)
	defer over.Stop()
	for last := false; ; {
		// Load after subscribing, so that no change is missed.
		object, err := load(ctx)
		if err != nil || last || settled(object) {
			return object, err
		}
		select {
		case <-moved:
		case <-over.C:
			last = true
		case <-a.stopping:
			last = true
		case <-ctx.Done():
			return object, ctx.Err()
		}
		if err := a.readmit(ctx, callOf(ctx)); err != nil {
			return object, err
		}
	}
}
