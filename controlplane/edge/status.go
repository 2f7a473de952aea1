package edge

import (
	"net/http"
	"strconv"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// StatusClientClosedRequest is the status in logs and metrics of a request whose client
// disconnected before it had the whole response.
const StatusClientClosedRequest = 499

// retryAfter is the Retry-After value of an error without a time.
const retryAfter = 5 * time.Second

// Status returns the HTTP status of an error's kind.
func Status(k controlplane.Kind) int {
	switch k {
	case controlplane.KindMalformed:
		return http.StatusBadRequest
	case controlplane.KindUnauthorized:
		return http.StatusUnauthorized
	case controlplane.KindForbidden:
		return http.StatusForbidden
	case controlplane.KindNotFound:
		return http.StatusNotFound
	case controlplane.KindConflict:
		return http.StatusConflict
	case controlplane.KindPrecondition:
		return http.StatusPreconditionFailed
	case controlplane.KindInvalid:
		return http.StatusUnprocessableEntity
	case controlplane.KindRateLimited:
		return http.StatusTooManyRequests
	case controlplane.KindUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// SetRetryAfter sets the Retry-After header of an error response (RFC 9110 §10.2.3): the time until
// at, and 5 s for 429 and 503 if at is zero. Other responses get no header if at is zero.
func SetRetryAfter(h http.Header, status int, at, now time.Time) {
	wait := retryAfter
	switch {
	case !at.IsZero():
		wait = max(at.Sub(now), time.Second)
	case status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable:
		return
	}
	h.Set("Retry-After", Seconds(wait))
}

// Seconds formats a duration in whole seconds, rounded up.
func Seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
