package controlplane

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Kind is the class of an error; the API maps each kind to one HTTP status.
type Kind string

// The kinds of Error.
const (
	KindMalformed    Kind = "malformed"    // 400: the request cannot be read
	KindUnauthorized Kind = "unauthorized" // 401: no valid credential
	KindForbidden    Kind = "forbidden"    // 403: a scope, role, or plan is missing
	KindNotFound     Kind = "not_found"    // 404: also for objects of other organizations
	KindConflict     Kind = "conflict"     // 409: conflicts with existing data
	KindPrecondition Kind = "precondition" // 412: If-Match did not match
	KindInvalid      Kind = "invalid"      // 422: well-formed, but invalid
	KindRateLimited  Kind = "rate_limited" // 429: over a limit
	KindUnavailable  Kind = "unavailable"  // 503: a dependency is unavailable
	KindInternal     Kind = "internal"     // 500: logged, never shown
)

// Error is the only error type that users see. Message, Fix, and Fields are written for them; Err
// is the cause, which is logged and never sent.
type Error struct {
	Kind        Kind
	Code        string // stable, such as "name-invalid"; see Codes
	Message     string
	Fix         string // an imperative; empty for the fix of the code
	Fields      []FieldError
	FieldsTotal int // how many fields are invalid, if Fields does not list all
	// of the object that a KindConflict conflicts with, or that a KindRateLimited is about
	ExistingID string
	RetryAt    time.Time       // earliest useful retry; zero if unknown
	ACME       json.RawMessage // a CA's problem document, verbatim
	Err        error
}

// FieldError names one invalid field by JSON pointer (RFC 6901).
type FieldError struct {
	Pointer string `json:"pointer"`
	Code    string `json:"code"`
	Detail  string `json:"detail"`
}

// Error returns the code, the message, and the cause, if there is one. It is for logs.
func (e *Error) Error() string {
	s := e.Code + ": " + e.Message
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// AsError returns err as an *Error. It returns any other error as KindInternal with the code
// "internal", so that its text is never shown.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Kind: KindInternal, Code: "internal",
		Message: "An unexpected error occurred in the service.",
		Fix:     FixOf("internal"), Err: err}
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

// NotFound returns the error for an object that does not exist, or that belongs to another
// organization: callers cannot distinguish the two.
func NotFound(noun, id string) *Error {
	return &Error{Kind: KindNotFound, Code: "not-found", Message: "This organization has no " +
		noun + " " + quote(id) + ".", Fix: FixOf("not-found")}
}

// Invalid returns a KindInvalid error about one field.
func Invalid(pointer, code, detail, fix string) *Error {
	return &Error{Kind: KindInvalid, Code: code, Message: detail, Fix: fix,
		Fields: []FieldError{{Pointer: pointer, Code: code, Detail: detail}}}
}

// Internal wraps a cause that must not be shown.
func Internal(err error) *Error { return AsError(err) }

func quote(s string) string {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return `"` + strings.ToValidUTF8(s, "") + `"`
}

// DomainExists returns the error of a domain that is added although the organization has it.
func DomainExists(name, existingID string) *Error {
	return &Error{Kind: KindConflict, Code: "domain-exists", ExistingID: existingID,
		Message: "The domain " + name + " is in this organization already.",
		Fix:     "Use the existing one, or delete it first."}
}
