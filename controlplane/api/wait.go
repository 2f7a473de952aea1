package api

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const maxWait = time.Minute

// waitOf returns how long the request asks to be held, 0 where it does not.
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

// holdOpen lifts the connection's deadlines from a call that asks to wait; the call's own
// context bounds it. net/http sets them anew for the connection's next request.
func (a *API) holdOpen(w http.ResponseWriter, r *http.Request, c *call) {
	if !c.op.waits || waitOf(r) == 0 {
		return
	}
	c.waited = true
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // an error means that there are none
	_ = control.SetWriteDeadline(time.Time{})
}

// held returns an object as load finds it as soon as it is settled, which is to say that it
// is no longer the one that the caller knows, or the time is over, or the server stops. The
// caller's going ends it with the context's error. After a wait nothing is shown to a caller
// that would not be admitted any more.
func held[T any](ctx context.Context, a *API, wait *Wait, id string, settled func(T) bool, load func(context.Context) (T, error)) (T, error) {
	d, _ := time.ParseDuration(*wait) // the contract has checked its form
	moved, stop := a.store.Watch(id)
	defer stop()
	over := time.NewTimer(d)
	defer over.Stop()
	for last := false; ; {
		// Read after subscribing: what happens in between is told.
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
