package acme

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Class tells the caller how to handle an Error.
type Class = controlplane.VerdictClass

// The classes of Error.
const (
	Unreachable = controlplane.VerdictUnreachable
	RateLimited = controlplane.VerdictRateLimited
	CAAForbids  = controlplane.VerdictCAAForbids
	FailedDNS   = controlplane.VerdictDNS
	BadRequest  = controlplane.VerdictRequest
	Policy      = controlplane.VerdictPolicy
	BadAccount  = controlplane.VerdictAccount
	Paused      = controlplane.VerdictPaused
	Slow        = controlplane.VerdictSlow
	OrderGone   = controlplane.VerdictOrderGone
	Interrupted = controlplane.VerdictInterrupted
	Internal    = controlplane.VerdictInternal
)

// Error is the only error type of this package. Message and Fix are for users and contain no
// secrets; Err is for logs.
type Error struct {
	Class   Class
	Code    string // stable, such as "ca-rate-limited"
	CA      string // name in the configuration
	Message string
	Fix     string
	// RetryAfter and RetryAt are when the CA permits the next request (RFC 8555 §6.6). They are
	// zero if the CA did not state a time.
	RetryAfter time.Duration
	RetryAt    time.Time
	// Problem is the CA's problem document (RFC 7807), unchanged; nil if there was none.
	Problem json.RawMessage
	// Identifiers of the order that the problem concerns, without "*."; nil if that is unknown or
	// all of them.
	Identifiers []string
	// Over reports that the order can no longer produce a certificate and that a new order is
	// required.
	Over bool
	// Status is the HTTP status of the response; 0 if there was none.
	Status int
	Err    error

	step        step   // where the problem occurred; empty without a problem document
	problemType string // last part of the problem's type, such as "badNonce"
	passing     bool   // resuming at once, or after RetryAfter, may succeed
	restart     bool   // the run must start another attempt
}

// Error returns the code, the message, and the cause if there is one.
func (e *Error) Error() string {
	s := fmt.Sprintf("acme: %s: %s: %s", e.CA, e.Code, e.Message)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// errSlow is the cause of a context that RunTimeout canceled.
var errSlow = errors.New("the CA took too long")

// interrupted returns the Error for a context that is done.
func (a *authority) interrupted(ctx context.Context) *Error {
	cause := context.Cause(ctx)
	if errors.Is(cause, errSlow) {
		return a.slow(0)
	}
	return &Error{Class: Interrupted, Code: "order-interrupted", CA: a.Name, Err: cause,
		Message: "The order was interrupted.", Fix: controlplane.FixOf("order-interrupted")}
}

// slow returns the Error for a CA that has not finished an order within a run. The order is polled
// after the given time, or after 30 s if it is 0, but not later than after maxPoll.
func (a *authority) slow(retryAfter time.Duration) *Error {
	retryAfter = min(max(cmp.Or(retryAfter, 30*time.Second), time.Second), maxPoll)
	return &Error{Class: Slow, Code: "ca-slow", CA: a.Name, Err: errSlow,
		RetryAfter: retryAfter, RetryAt: a.now().Add(retryAfter),
		Message: a.Name + " has not finished processing the order.",
		Fix:     controlplane.FixOf("ca-slow")}
}

func internal(ca string, err error) *Error {
	return &Error{Class: Internal, Code: "internal", CA: ca, Err: err, Message: "Internal error.",
		Fix: controlplane.FixOf("internal")}
}

// gone returns the Error for an order that the CA no longer has or that belongs to another account.
func gone(ca string, err *Error) *Error {
	return &Error{Class: OrderGone, Code: "order-expired", CA: ca, Over: true, Status: err.Status,
		Problem: err.Problem, Err: err,
		Message: ca + " no longer has this order.", Fix: controlplane.FixOf("order-expired")}
}

// asError returns err as an *Error. It drops lego's wrapping of the transport's errors, which
// quotes URLs. lego's other errors are about what the CA has sent.
func (a *authority) asError(ctx context.Context, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if ctx.Err() != nil {
		return a.interrupted(ctx)
	}
	return malformed(a.Name, err)
}

func unreachable(ca string, err error) *Error {
	return &Error{Class: Unreachable, Code: "ca-unreachable", CA: ca, Err: err, Message: ca +
		" is unreachable or does not respond like an ACME server.",
		Fix: controlplane.FixOf("ca-unreachable")}
}
