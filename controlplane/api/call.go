package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// call is what is known of the request that is being served. There is one in the context of
// each, and only the goroutine that serves it writes to it.
type call struct {
	requestID string
	ip        string
	began     time.Time
	op        *operation // nil until routed, and where nothing is at the path
	principal principal

	credential []byte      // hash of the secret that came with it: the token's or the session's
	counted    edge.Caller // against whose limits

	waited bool  // held open by `wait` or a stream: its duration says nothing of ours
	err    error // what the problem that was answered came from
	gone   bool  // the caller did not wait for the whole answer

	leavePlace func() // gives back its place among those that are carried out; nil where it has none

	connection  context.Context // ends when the caller goes, and no sooner
	head        bool            // only headers are wanted
	wantsStream bool            // events, as they come
	takesGzip   bool

	// Of a body whose entries are taken or refused by themselves (operation.each).
	lines   []int           // of CSV, by entry; nil for JSON
	refused map[int]*faults // by entry
}

type callKey struct{}

// callOf returns the call of a request's context. Every request that came through ServeHTTP
// has one.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// ServeHTTP serves one request, logs it and counts it. A panic becomes a 500.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{requestID: edge.RequestID(r), ip: edge.ClientIP(r, a.config.TrustedProxy), began: a.now(), connection: r.Context(),
		head: r.Method == http.MethodHead, wantsStream: acceptsStream(r.Header), takesGzip: acceptsGzip(r.Header)}
	out := &writer{ResponseWriter: w}
	setHeaders(out.Header(), c.requestID)

	ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), callKey{}, c), callTimeout+waitOf(r))
	defer cancel()
	method := r.Method
	r = r.WithContext(ctx)
	if method == http.MethodHead {
		r.Method = http.MethodGet // net/http drops the body (RFC 9110 §9.3.2)
	}

	a.metrics.inFlight.Inc()
	defer func() {
		a.metrics.inFlight.Dec()
		edge.Recovered(ctx, a.log, c.requestID, recover(), func() { a.problem(out, r, errPanic) })
		a.done(ctx, c, method, r.URL.Path, out)
	}()
	a.router.ServeHTTP(out, r)
}

// untilGone returns a context for an answer that takes longer than a call may: it ends with
// the connection, and after life.
func (c *call) untilGone(ctx context.Context, life time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), life)
	stop := context.AfterFunc(c.connection, cancel)
	return ctx, func() { stop(); cancel() }
}

// setHeaders sets what every answer carries. DCVaaS-API tells the API's own answers from those
// of proxies. Nothing here may be kept by a cache, guessed to be of another type, or shown as
// a page of its own (problem pages set their own policy). The names are in canonical form and
// the values lie side by side, so that they cost one allocation; none has room behind it for
// another.
func setHeaders(h http.Header, requestID string) {
	v := []string{requestID, "no-store", "nosniff", "no-referrer", "default-src 'none'; frame-ancestors 'none'", "1"}
	h["Request-Id"] = v[0:1:1]
	h["Cache-Control"] = v[1:2:2]
	h["X-Content-Type-Options"] = v[2:3:3]
	h["Referrer-Policy"] = v[3:4:4]
	h["Content-Security-Policy"] = v[4:5:5]
	h["Dcvaas-Api"] = v[5:6:6]
}

// writer remembers what was answered.
type writer struct {
	http.ResponseWriter
	status int
	bytes  int64
	broken bool // a write failed: the caller is gone
}

func (w *writer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	w.broken = w.broken || err != nil && !errors.Is(err, http.ErrBodyNotAllowed)
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
