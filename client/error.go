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

// Error is an answer of the API that is not a success: its problem document (RFC 9457), or what could be made of an
// answer that came from elsewhere, such as a proxy. Fields that were not said are zero.
type Error struct {
	Method, Path string // of the call

	Status      int    // HTTP status
	Code        string // stable, e.g. "domain-exists"; empty where the answer is no problem document
	Title       string
	Detail      string
	Fix         string // what to do about it
	RequestID   string
	ExistingID  string       // of the object that a 409 collides with
	RetryAt     time.Time    // when to come back
	Fields      []FieldError // the wrong fields of the body, at most 50
	FieldsTotal int          // how many are wrong, listed in Fields or not
}

// Error says what was called, how it was answered and why.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %d", e.Method, e.Path, e.Status)
	if e.Code != "" {
		fmt.Fprintf(&b, " %s", e.Code)
	}
	fmt.Fprintf(&b, ": %s", e.Message())
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (request id %s)", e.RequestID)
	}
	return b.String()
}

// Message returns the detail, or the title where there is none.
func (e *Error) Message() string {
	if e.Detail != "" {
		return e.Detail
	}
	return e.Title
}

// IsNotFound reports whether the API said that there is no such object. A 404 of any other kind (no-such-path, a proxy's
// page) says nothing about an object.
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound && e.Code == "not-found"
}

// IsConflict reports whether the call collides with what exists.
func IsConflict(err error) bool { return hasStatus(err, http.StatusConflict) }

// IsUnauthorized reports whether the token was refused.
func IsUnauthorized(err error) bool { return hasStatus(err, http.StatusUnauthorized) }

// IsForbidden reports whether the token may not do this.
func IsForbidden(err error) bool { return hasStatus(err, http.StatusForbidden) }

// hasStatus reports whether the API itself answered with the status, and not a proxy.
func hasStatus(err error, status int) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == status && e.Code != ""
}

// newError makes an error of an answer whose body has been read.
func newError(resp *http.Response, body []byte) *Error {
	e := &Error{
		Method:    resp.Request.Method,
		Path:      resp.Request.URL.Path,
		Status:    resp.StatusCode,
		Title:     http.StatusText(resp.StatusCode),
		RequestID: resp.Header.Get("Request-Id"),
	}
	if d, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now()); ok {
		e.RetryAt = time.Now().Add(d)
	}

	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	var p Problem
	if kind != "application/problem+json" || json.Unmarshal(body, &p) != nil || p.Code == "" {
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

// foreignDetail describes an answer that the API would not give. Its body is not repeated: it is a page for browsers.
func foreignDetail(resp *http.Response, kind string) string {
	if to := resp.Header.Get("Location"); to != "" && resp.StatusCode/100 == 3 {
		return fmt.Sprintf("%s redirects to %s. Redirects are not followed, as the token would go along: set the endpoint to where the API is.", resp.Request.URL.Host, to)
	}
	if kind == "" {
		kind = "no content type"
	}
	return fmt.Sprintf("%s answered %d %s with %s instead of a problem document: something between here and the API answers, or the endpoint is not DCVaaS's.",
		resp.Request.URL.Host, resp.StatusCode, http.StatusText(resp.StatusCode), kind)
}

// retryAfter reads the header of that name (RFC 9110 §10.2.3): seconds or a date. It is never negative.
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
