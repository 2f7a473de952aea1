package controlplane

import (
	"context"
	"encoding/json"
	"time"
)

// VerdictClass says what to do about an order that gave no certificate.
type VerdictClass string

// The classes of verdicts.
const (
	// the CA does not respond, or returns 5xx or no ACME: retry with another CA, or later
	VerdictUnreachable VerdictClass = "unreachable"
	// over a limit of the CA: wait until RetryAt, if it is set
	VerdictRateLimited VerdictClass = "rate-limited"
	// CAA records forbid this CA; another may be allowed
	VerdictCAAForbids VerdictClass = "caa-forbids"
	VerdictRejected   VerdictClass = "rejected" // permanent: the CA rejects the order
	// the CA no longer has the order: start a new one
	VerdictOrderGone   VerdictClass = "order-gone"
	VerdictInterrupted VerdictClass = "interrupted" // the run was stopped: resume the order
	VerdictInternal    VerdictClass = "internal"    // a fault in this service
)

// Verdict is why an order gave no certificate, in words for users. It contains no secrets.
type Verdict struct {
	Class   VerdictClass
	CA      string // name in the configured list
	Code    string // stable, such as "ca-rate-limited"
	Message string
	Fix     string
	RetryAt time.Time       // earliest retry according to the CA; zero if unknown
	Problem json.RawMessage // the CA's problem document (RFC 7807), verbatim; nil if there was none
	Over    bool            // this order can no longer give a certificate
}

// Judged is an error that carries a verdict.
type Judged interface {
	error
	Verdict() Verdict
}

// Journal records the progress of an order and publishes its challenges.
type Journal interface {
	// Save records the state of the order. It must be durable when Save returns; an error means
	// that the order no longer belongs to this worker.
	Save(ctx context.Context, o *Order) error
	// Publish records the order as Save does, publishes o.Values at o.Target, and returns when all
	// of our name servers answer all of them. It is called again with the same values when an order
	// is resumed.
	Publish(ctx context.Context, o *Order) error
	// Ready is called before each time that the CSR is sent. An error prevents the issuance.
	Ready(ctx context.Context, o *Order) error
}
