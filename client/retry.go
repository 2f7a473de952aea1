package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	// maxRetryAfter limits the wait that a server requests with Retry-After. A 429 that requests
	// more does not limit the rate of calls, and is returned immediately.
	maxRetryAfter = time.Minute
	// maxLimited limits the total time that one call waits for a rate limit.
	maxLimited = 15 * time.Minute
	// maxInProgress limits how long one call waits for its own earlier attempt, whose response was
	// lost while the server processes it.
	maxInProgress = 2 * time.Minute
)

// idempotencyKey is the header that identifies a POST, so that the server processes it once even if
// it is sent again.
const idempotencyKey = "Idempotency-Key"

// retrier retries requests if that is safe: after a 429 with a short Retry-After, any method,
// because nothing was done; after a 5xx or a broken connection, GET, PUT, DELETE, and POST with an
// Idempotency-Key; after a failed dial, any method. It stops when the request's context is done.
type retrier struct {
	client     *retryablehttp.Client
	maxRetries int
}

// call is the retry state of one call. Only one goroutine uses it at a time.
type call struct {
	method   string
	failures int       // failed attempts, except rate limits
	limited  time.Time // when a rate limit was first reported
	once     bool      // the request has an Idempotency-Key
	met      time.Time // when its own earlier attempt was first reported as in progress
}

type callKey struct{}

func newRetrier(h *http.Client, maxRetries int) *retrier {
	r := &retrier{maxRetries: maxRetries}
	r.client = &retryablehttp.Client{
		HTTPClient:   h,
		RetryMax:     1 << 30, // again counts the retries
		RetryWaitMin: 500 * time.Millisecond,
		RetryWaitMax: 10 * time.Second,
		CheckRetry:   r.again,
		Backoff:      backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	return r
}

// Do sends the request until it gets a response that is not retried, the retries are used up, or
// its context is done. It returns the last response unchanged.
func (r *retrier) Do(req *http.Request) (*http.Response, error) {
	ctx := context.WithValue(req.Context(), callKey{},
		&call{method: req.Method, once: req.Header.Get(idempotencyKey) != ""})
	// keeps the body for the next attempt
	again, err := retryablehttp.FromRequest(req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	return r.client.Do(again)
}

func (r *retrier) again(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	c := ctx.Value(callKey{}).(*call)
	if r.maxRetries == 0 {
		return false, nil
	}
	if err == nil && resp.StatusCode == http.StatusTooManyRequests {
		if d, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now()); ok &&
			d > maxRetryAfter {
			return false, nil
		}
		if c.limited.IsZero() {
			c.limited = time.Now()
		}
		return time.Since(c.limited) < maxLimited, nil
	}
	if err == nil && c.once && resp.StatusCode == http.StatusConflict &&
		resp.Header.Get("Retry-After") != "" {
		if c.met.IsZero() {
			c.met = time.Now()
		}
		return time.Since(c.met) < maxInProgress, nil
	}
	repeatable := c.method == http.MethodGet || c.method == http.MethodPut ||
		c.method == http.MethodDelete || c.once
	if !repeatable && !neverSent(err) {
		return false, nil
	}
	// The library knows permanent errors: an invalid certificate, a malformed URL, 501.
	if retry, _ := retryablehttp.DefaultRetryPolicy(ctx, resp, err); !retry {
		return false, nil
	}
	c.failures++
	return c.failures <= r.maxRetries, nil
}

// neverSent reports whether the request failed before a connection was established.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// backoff returns the wait before the next attempt: the server's Retry-After, at most
// maxRetryAfter, plus jitter, so that callers that were limited together do not retry together.
// Without a Retry-After, it is exponential with jitter.
func backoff(least, most time.Duration, attempt int, resp *http.Response) time.Duration {
	grown := most
	if attempt < 10 {
		grown = min(most, least<<attempt)
	}
	if resp != nil {
		if d, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now()); ok {
			return min(d, maxRetryAfter) + rand.N(grown/2)
		}
	}
	return grown/2 + rand.N(grown)
}

// logged calls the log hook after each attempt.
type logged struct {
	next http.RoundTripper
	log  func(ctx context.Context, msg string, fields map[string]any)
}

// RoundTrip implements http.RoundTripper.
func (l *logged) RoundTrip(r *http.Request) (*http.Response, error) {
	next := l.next
	if next == nil {
		next = http.DefaultTransport
	}
	if l.log == nil {
		return next.RoundTrip(r)
	}
	start := time.Now()
	resp, err := next.RoundTrip(r)
	fields := map[string]any{"method": r.Method, "path": r.URL.Path,
		"duration_ms": time.Since(start).Milliseconds()}
	if err != nil {
		fields["error"] = err.Error() // errors of net/http contain neither headers nor bodies
		l.log(r.Context(), "API request failed", fields)
		return nil, err
	}
	fields["status"] = resp.StatusCode
	fields["request_id"] = resp.Header.Get("Request-Id")
	l.log(r.Context(), "API request", fields)
	return resp, nil
}
