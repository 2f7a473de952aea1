package controlplane

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Kind says what class of thing went wrong; the API maps each to one HTTP status.
type Kind string

// The kinds of Error.
const (
	KindMalformed    Kind = "malformed"    // 400: the request cannot be read
	KindUnauthorized Kind = "unauthorized" // 401: no valid credential
	KindForbidden    Kind = "forbidden"    // 403: a scope, role or plan is missing
	KindNotFound     Kind = "not_found"    // 404: also for other organizations' objects
	KindConflict     Kind = "conflict"     // 409: collides with what exists
	KindPrecondition Kind = "precondition" // 412: If-Match did not match
	KindInvalid      Kind = "invalid"      // 422: read, but it makes no sense
	KindRateLimited  Kind = "rate_limited" // 429: too many, or a CA's limit
	KindUnavailable  Kind = "unavailable"  // 503: a part that is needed is away
	KindInternal     Kind = "internal"     // 500: ours; logged, never shown
)

// Error is the one error type that people see. Message, Fix and Fields are written for
// them; Err is the cause, logged and never sent.
type Error struct {
	Kind        Kind
	Code        string // stable, e.g. "invalid-name"; the page /problems/{code} explains it
	Message     string
	Fix         string // what to do about it
	Fields      []FieldError
	FieldsTotal int             // how many fields are wrong, if Fields does not list all
	ExistingID  string          // of the object that a KindConflict collides with, or that a KindRateLimited is about
	RetryAt     time.Time       // when trying again makes sense; zero if unknown
	ACME        json.RawMessage // a CA's problem document, verbatim
	Err         error
}

// FieldError names one wrong field by JSON pointer (RFC 6901).
type FieldError struct {
	Pointer string `json:"pointer"`
	Code    string `json:"code"`
	Detail  string `json:"detail"`
}

// Error returns the code and message, and the cause where there is one. It is for logs.
func (e *Error) Error() string {
	s := e.Code + ": " + e.Message
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// AsError returns err as an *Error. What is not one comes back as KindInternal with the
// code "internal", so that its text is never shown.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Kind: KindInternal, Code: "internal", Message: "Something went wrong on our side.",
		Fix: "Try again; when it persists, tell the operator the request id.", Err: err}
}

// IsKind reports whether err is, or wraps, an *Error of the given kind.
func IsKind(err error, k Kind) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == k
}

// HasCode reports whether err is, or wraps, an *Error with the given code.
func HasCode(err error, code string) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == code
}

// NotFound is the answer for an object that does not exist, or that is another
// organization's: the two cannot be told apart.
func NotFound(noun, id string) *Error {
	return &Error{Kind: KindNotFound, Code: "not-found", Message: "There is no " + noun + " " + quote(id) + " in this organization.",
		Fix: "Check the id, and that the token belongs to the organization that owns it."}
}

// Invalid is a KindInvalid error about one field.
func Invalid(pointer, code, detail, fix string) *Error {
	return &Error{Kind: KindInvalid, Code: code, Message: detail, Fix: fix,
		Fields: []FieldError{{Pointer: pointer, Code: code, Detail: detail}}}
}

// Internal wraps a cause that nobody outside should see.
func Internal(err error) *Error { return AsError(err) }

func quote(s string) string {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return `"` + strings.ToValidUTF8(s, "") + `"`
}
