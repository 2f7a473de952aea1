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
	// maxRetryAfter caps one wait that a server asks for. A 429 that asks for longer is no rate limit of calls, and is
	// returned at once.
	maxRetryAfter = time.Minute
	// maxLimited bounds how long one call waits for a rate limit altogether.
	maxLimited = 15 * time.Minute
	// maxInProgress bounds how long one call waits for its own first attempt, whose answer was lost while the server still
	// works on it.
	maxInProgress = 2 * time.Minute
)

// idempotencyKey names a POST, so that the server carries it out once however often it is sent.
const idempotencyKey = "Idempotency-Key"

// retrier sends requests again where that is safe: on 429, where nothing was done, every method, unless that would be long; on 5xx and broken
// connections GET, PUT, DELETE, and POST with an Idempotency-Key; where no connection came about, every method. It stops with the request's context.
type retrier struct {
	client     *retryablehttp.Client
	maxRetries int
}

// call is what one call has used up. One goroutine at a time has it.
type call struct {
	method   string
	failures int       // attempts that failed for another reason than the rate limit
	limited  time.Time // when the rate limit was first met
	once     bool      // it has an Idempotency-Key
	met      time.Time // when its own earlier attempt was first met
}

type callKey struct{}

func newRetrier(h *http.Client, maxRetries int) *retrier {
	r := &retrier{maxRetries: maxRetries}
	r.client = &retryablehttp.Client{
		HTTPClient:   h,
		RetryMax:     1 << 30, // again counts
		RetryWaitMin: 500 * time.Millisecond,
		RetryWaitMax: 10 * time.Second,
		CheckRetry:   r.again,
		Backoff:      backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	return r
}

// Do sends the request until it is answered, the retries are used up or its context ends. The last answer is returned as
// it came.
func (r *retrier) Do(req *http.Request) (*http.Response, error) {
	ctx := context.WithValue(req.Context(), callKey{}, &call{method: req.Method, once: req.Header.Get(idempotencyKey) != ""})
	again, err := retryablehttp.FromRequest(req.WithContext(ctx)) // keeps the body for the next attempt
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
		if d, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now()); ok && d > maxRetryAfter {
			return false, nil
		}
		if c.limited.IsZero() {
			c.limited = time.Now()
		}
		return time.Since(c.limited) < maxLimited, nil
	}
	if err == nil && c.once && resp.StatusCode == http.StatusConflict && resp.Header.Get("Retry-After") != "" {
		if c.met.IsZero() {
			c.met = time.Now()
		}
		return time.Since(c.met) < maxInProgress, nil
	}
	repeatable := c.method == http.MethodGet || c.method == http.MethodPut || c.method == http.MethodDelete || c.once
	if !repeatable && !neverSent(err) {
		return false, nil
	}
	// The library knows which errors stay: a bad certificate, a bad URL, 501.
	if retry, _ := retryablehttp.DefaultRetryPolicy(ctx, resp, err); !retry {
		return false, nil
	}
	c.failures++
	return c.failures <= r.maxRetries, nil
}

// neverSent reports whether there was no connection that the request could have gone over.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// backoff waits as long as the server asks, at most maxRetryAfter, and a little longer each time, so that many callers
// that were refused together do not come back together; without its word, exponentially with jitter.
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

// logged tells the log hook of each attempt.
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
	fields := map[string]any{"method": r.Method, "path": r.URL.Path, "duration_ms": time.Since(start).Milliseconds()}
	if err != nil {
		fields["error"] = err.Error() // net/http's errors hold neither headers nor bodies
		l.log(r.Context(), "API request failed", fields)
		return nil, err
	}
	fields["status"] = resp.StatusCode
	fields["request_id"] = resp.Header.Get("Request-Id")
	l.log(r.Context(), "API request", fields)
	return resp, nil
}
