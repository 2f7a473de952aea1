package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// call is the state of the request that is being served. There is one in the context of each
// request, and only the goroutine that serves it writes to it.
type call struct {
	requestID string
	ip        string
	began     time.Time
	op        *operation // nil until routed, and for unknown paths
	principal principal

	credential []byte      // hash of the secret of the token or session
	counted    edge.Caller // caller whose limits the call was counted against

	dryRun bool  // nothing that it changes is kept
	waited bool  // held open by `wait`, a stream, or DNS: excluded from the latency metric
	err    error // cause of the problem document
	gone   bool  // the client disconnected before the end of the response

	leavePlace func() // releases its slot among calls in progress; nil without a slot

	connection  context.Context // canceled when the client disconnects
	head        bool            // HEAD
	wantsStream bool            // an event stream is requested
	takesGzip   bool

	// For a body whose entries are accepted or rejected separately (operation.each).
	lines   []int           // of CSV, by entry; nil for JSON
	refused map[int]*faults // by entry
}

type callKey struct{}

// callOf returns the call in a request's context. Every request that ServeHTTP serves has one.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// ServeHTTP serves, logs, and counts one request. A panic becomes a 500.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{requestID: edge.RequestID(r), ip: edge.ClientIP(r, a.config.TrustedProxy),
		began: a.now(), connection: r.Context(),
		head: r.Method == http.MethodHead, wantsStream: acceptsStream(r.Header),
		takesGzip: acceptsGzip(r.Header)}
	out := &writer{ResponseWriter: w}
	setHeaders(out.Header(), c.requestID)
	preflight := a.cors.Allow(out.Header(), r)

	ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), callKey{}, c), callTimeout+
		waitOf(r))
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
	if preflight {
		out.WriteHeader(http.StatusNoContent)
		return
	}
	a.router.ServeHTTP(out, r)
}

// untilGone returns a context for a response that can take longer than a call: it is canceled when
// the client disconnects, and after life.
func (c *call) untilGone(
	ctx context.Context, life time.Duration,
) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), life)
	stop := context.AfterFunc(c.connection, cancel)
	return ctx, func() { stop(); cancel() }
}

// setHeaders sets the headers of every response. DCVaaS-API distinguishes the API's responses from
// those of proxies. Responses must not be cached, sniffed for another type, or rendered as a page
// (pages set their own policy). The names are in canonical form, and the values share one slice, so
// that they cost one allocation; the capacity of each is limited.
func setHeaders(h http.Header, requestID string) {
	v := []string{requestID, "no-store", "nosniff", "no-referrer",
		"default-src 'none'; frame-ancestors 'none'", "1"}
	h["Request-Id"] = v[0:1:1]
	h["Cache-Control"] = v[1:2:2]
	h["X-Content-Type-Options"] = v[2:3:3]
	h["Referrer-Policy"] = v[3:4:4]
	h["Content-Security-Policy"] = v[4:5:5]
	h["Dcvaas-Api"] = v[5:6:6]
}

// writer records the status and size of a response.
type writer struct {
	http.ResponseWriter
	status int
	bytes  int64
	broken bool // a write failed: the client disconnected
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

// Unwrap supports http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
