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
	VerdictUnreachable VerdictClass = "unreachable"  // the CA does not answer, or answers 5xx or no ACME: try another, or later
	VerdictRateLimited VerdictClass = "rate-limited" // the CA wants us to wait: RetryAt says how long, if it said so
	VerdictCAAForbids  VerdictClass = "caa-forbids"  // CAA records forbid this CA; another may be allowed
	VerdictRejected    VerdictClass = "rejected"     // the CA will not, however often it is asked
	VerdictOrderGone   VerdictClass = "order-gone"   // the CA no longer has the order: start a new one
	VerdictInterrupted VerdictClass = "interrupted"  // the run was stopped before its end: run the same order again
	VerdictInternal    VerdictClass = "internal"     // ours
)

// Verdict is why an order gave no certificate, in words for people. It holds nothing secret.
type Verdict struct {
	Class   VerdictClass
	CA      string // name in the configured list
	Code    string // stable, such as "ca-rate-limited"
	Message string
	Fix     string
	RetryAt time.Time       // when the CA wants to be asked again; zero if it did not say
	Problem json.RawMessage // the CA's problem document (RFC 7807), verbatim; nil if there was none
	Over    bool            // this order gives no certificate any more
}

// Judged is an error that carries a verdict.
type Judged interface {
	error
	Verdict() Verdict
}

// Journal records an order as it goes and publishes its challenges.
type Journal interface {
	// Save records the order as it stands. It must be durable when Save returns; an error
	// means that the order is not this worker's any more.
	Save(ctx context.Context, o *Order) error
	// Publish records the order as Save does, puts o.Values at o.Target, and returns when every
	// name server of ours answers all of them. It is called again for the same values when an
	// order is resumed.
	Publish(ctx context.Context, o *Order) error
	// Ready is called before each time the CSR is sent: an error keeps the CA from issuing.
	Ready(ctx context.Context, o *Order) error
}
