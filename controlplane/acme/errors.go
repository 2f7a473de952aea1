package acme

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Class says what a caller should do about an Error.
type Class = controlplane.VerdictClass

// The classes of Error.
const (
	Unreachable = controlplane.VerdictUnreachable
	RateLimited = controlplane.VerdictRateLimited
	CAAForbids  = controlplane.VerdictCAAForbids
	Rejected    = controlplane.VerdictRejected
	OrderGone   = controlplane.VerdictOrderGone
	Interrupted = controlplane.VerdictInterrupted
	Internal    = controlplane.VerdictInternal
)

// Error is the one error type of this package. Message and Fix are written for people and hold nothing secret; Err is for logs.
type Error struct {
	Class   Class
	Code    string // stable, such as "ca-rate-limited"
	CA      string // name in the configured list
	Message string
	Fix     string
	// RetryAfter and RetryAt are when the CA wants to be asked again (RFC 8555 §6.6); zero if it did not say.
	RetryAfter time.Duration
	RetryAt    time.Time
	// Problem is the CA's problem document (RFC 7807), verbatim; nil if there was none.
	Problem json.RawMessage
	// Over reports that this order gives no certificate any more; a new one is needed.
	Over bool
	// Status is the HTTP status of the answer; 0 if there was none.
	Status int
	Err    error

	problemType string // last part of the problem's type, such as "badNonce"
	passing     bool   // resuming at once, or after RetryAfter, may help
}

// Error returns the code and message, and the cause where there is one.
func (e *Error) Error() string {
	s := fmt.Sprintf("acme: %s: %s: %s", e.CA, e.Code, e.Message)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// errSlow is the cause of a context that RunTimeout ended.
var errSlow = errors.New("the CA took too long")

// interrupted is the Error for a context that is done.
func (a *authority) interrupted(ctx context.Context) *Error {
	cause := context.Cause(ctx)
	if errors.Is(cause, errSlow) {
		return a.slow(0)
	}
	return &Error{Class: Interrupted, Code: "order-interrupted", CA: a.Name, Err: cause,
		Message: "The work on the order was interrupted.", Fix: "Nothing: it goes on where it stopped."}
}

// slow is the Error for a CA that is at work for longer than a run may take.
func (a *authority) slow(retryAfter time.Duration) *Error {
	retryAfter = max(retryAfter, 30*time.Second)
	return &Error{Class: Interrupted, Code: "ca-slow", CA: a.Name, Err: errSlow, RetryAfter: retryAfter, RetryAt: a.now().Add(retryAfter),
		Message: a.Name + " has not finished with the order yet.", Fix: "Nothing: the same order is looked at again."}
}

func internal(ca string, err error) *Error {
	return &Error{Class: Internal, Code: "internal", CA: ca, Err: err, Message: "Something went wrong on our side.",
		Fix: "Try again; when it persists, tell the operator the request id."}
}

// gone is the Error for an order that the CA does not have, or not for us.
func gone(ca string, err *Error) *Error {
	return &Error{Class: OrderGone, Code: "order-expired", CA: ca, Over: true, Status: err.Status, Problem: err.Problem, Err: err,
		Message: ca + " no longer has this order.", Fix: "Nothing: a new order is made."}
}

// asError returns err as an *Error. lego wraps what the transport returns; its wrapping, which quotes URLs, is left out.
func (a *authority) asError(ctx context.Context, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if ctx.Err() != nil {
		return a.interrupted(ctx)
	}
	if isBadJSON(err) {
		return unreachable(a.Name, err)
	}
	return internal(a.Name, err)
}

func isBadJSON(err error) bool {
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return true
	}
	_, ok := errors.AsType[*json.UnmarshalTypeError](err)
	return ok
}

func unreachable(ca string, err error) *Error {
	return &Error{Class: Unreachable, Code: "ca-unreachable", CA: ca, Err: err, Message: ca + " cannot be reached, or does not answer as an ACME server does.",
		Fix: "Nothing for now: it is tried again, and another CA is asked where one is configured. The operator can look at the CA's status page and at the way out of the network."}
}
