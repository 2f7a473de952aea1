package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Error is an error response of the API: its problem document (RFC 9457), or a description of a
// response from elsewhere, such as a proxy. Fields that the response does not contain are zero.
type Error struct {
	Method, Path string // of the call

	Status int // HTTP status
	// API reports whether the API itself responded, and not a proxy or another service.
	API            bool
	OrganizationID string // organization that the API acted for; empty if not authenticated
	TokenSource    string // Options.TokenSource
	// stable, e.g. "domain-exists"; empty if the response is not a problem document
	Code        string
	Title       string
	Detail      string
	Fix         string // how to fix it
	RequestID   string
	ExistingID  string       // of the object that causes a 409
	RetryAt     time.Time    // when to retry
	Fields      []FieldError // invalid fields of the body, at most 50
	FieldsTotal int          // number of invalid fields, including those not in Fields
}

// Error returns the call, the status, the code, and the message.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %d", e.Method, e.Path, e.Status)
	if e.Code != "" {
		fmt.Fprintf(&b, " %s", e.Code)
	}
	fmt.Fprintf(&b, ": %s", e.Message())
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (request ID %s)", e.RequestID)
	}
	return b.String()
}

// Message returns the detail, or the title if the detail is empty.
func (e *Error) Message() string {
	if e.Detail != "" {
		return e.Detail
	}
	return e.Title
}

// IsNotFound reports whether the API states that the organization in the error does not have the
// object. Other 404s (no-such-path, a proxy's page) state nothing about the object.
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.API && e.OrganizationID != "" &&
		e.Status == http.StatusNotFound && e.Code == "not-found"
}

// IsConflict reports whether the call conflicts with an existing object.
func IsConflict(err error) bool { return hasStatus(err, http.StatusConflict) }

// IsUnauthorized reports whether the token was rejected.
func IsUnauthorized(err error) bool { return hasStatus(err, http.StatusUnauthorized) }

// IsForbidden reports whether the token lacks the permission.
func IsForbidden(err error) bool { return hasStatus(err, http.StatusForbidden) }

// hasStatus reports whether the API itself, not a proxy, returned the status.
func hasStatus(err error, status int) bool {
	var e *Error
	return errors.As(err, &e) && e.API && e.Status == status && e.Code != ""
}

// newError converts a response with the given body to an error.
func newError(resp *http.Response, body []byte) *Error {
	e := &Error{
		Method:    resp.Request.Method,
		Path:      resp.Request.URL.Path,
		Status:    resp.StatusCode,
		Title:     http.StatusText(resp.StatusCode),
		RequestID: resp.Header.Get("Request-Id"),
	}
	e.TokenSource, _ = resp.Request.Context().Value(sourceKey{}).(string)
	if e.API = isAPI(resp); e.API {
		e.OrganizationID = resp.Header.Get(headerOrganization)
	}
	now := time.Now()
	if d, ok := retryAfter(resp.Header.Get("Retry-After"), now); ok {
		e.RetryAt = now.Add(d)
	}

	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	var p Problem
	if !e.API || kind != "application/problem+json" || json.Unmarshal(body, &p) != nil ||
		p.Code == "" {
		e.Detail = foreignDetail(resp, kind)
		return e
	}
	e.Code = p.Code
	e.Detail, e.Fix, e.ExistingID = deref(p.Detail), deref(p.Fix), deref(p.ExistingId)
	e.Fields = deref(p.Errors)
	e.FieldsTotal = max(deref(p.ErrorsTotal), len(e.Fields))
	if p.Title != "" {
		e.Title = p.Title
	}
	if p.RequestId != "" {
		e.RequestID = p.RequestId
	}
	if p.RetryAt != nil {
		e.RetryAt = *p.RetryAt
	}
	return e
}

// foreignDetail describes a response that does not come from the API. It omits the body, which is
// usually an HTML page.
func foreignDetail(resp *http.Response, kind string) string {
	if to := resp.Header.Get("Location"); to != "" && resp.StatusCode/100 == 3 {
		return fmt.Sprintf(
			"%s redirects to %s. Redirects are not followed, because they would receive the token. Set the endpoint to the URL of the API.", resp.Request.URL.Host, to)
	}
	if kind == "" {
		kind = "no content type"
	}
	returned := fmt.Sprintf("%s returned %d %s with %s", resp.Request.URL.Host, resp.StatusCode,
		http.StatusText(resp.StatusCode), kind)
	if isAPI(resp) {
		return returned + " instead of a problem document."
	}
	if server := resp.Header.Get("Server"); server != "" {
		returned += fmt.Sprintf(" and the header Server: %.64q", server)
	}
	return returned + ", without the header " + headerAPI +
		": a gateway or another service responded, or the DCVaaS API is older than this client."
}

// retryAfter parses a Retry-After header (RFC 9110 §10.2.3): seconds or a date. The result is never
// negative.
func retryAfter(h string, now time.Time) (time.Duration, bool) {
	if h == "" {
		return 0, false
	}
	if s, err := strconv.ParseInt(h, 10, 32); err == nil {
		return max(0, time.Duration(s)*time.Second), true
	}
	if t, err := http.ParseTime(h); err == nil {
		return max(0, t.Sub(now)), true
	}
	return 0, false
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
