package controlplane

import (
	"context"
	"encoding/json"
	"time"
)

// VerdictClass is the party or the state that an order without a certificate is due to. It decides
// what follows: which party acts, whether another CA may issue, and whether the order stays open.
type VerdictClass string

// The classes of verdicts.
const (
	// the CA does not respond, returns 5xx, or sends what RFC 8555 does not allow: wait, or use
	// another CA
	VerdictUnreachable VerdictClass = "unreachable"
	// over a limit of the CA: wait until RetryAt, if it is set, or use another CA
	VerdictRateLimited VerdictClass = "rate-limited"
	// CAA records forbid this CA; another may be allowed
	VerdictCAAForbids VerdictClass = "caa-forbids"
	// the customer's DNS: a challenge failed
	VerdictDNS VerdictClass = "dns"
	// the request: its names, CSR, or options, which only the customer can change
	VerdictRequest VerdictClass = "request"
	// the CA's policy; another CA may issue
	VerdictPolicy VerdictClass = "policy"
	// our account at the CA, which only the operator can repair; another CA may issue
	VerdictAccount VerdictClass = "account"
	// the CA has paused orders of our account for the name; another CA may issue
	VerdictPaused VerdictClass = "paused"
	// the CA no longer has the order: start a new one
	VerdictOrderGone VerdictClass = "order-gone"
	// the CA has not finished the order: run it again at RetryAt
	VerdictSlow        VerdictClass = "slow"
	VerdictInterrupted VerdictClass = "interrupted" // the run was stopped: resume the order
	VerdictInternal    VerdictClass = "internal"    // a fault in this service
)

// Refusal reports whether the CA understood the request and refused it: repeating it gives the same
// answer until a party acts.
func (c VerdictClass) Refusal() bool {
	switch c {
	case VerdictDNS, VerdictRequest, VerdictPolicy, VerdictAccount, VerdictPaused:
		return true
	}
	return false
}

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
	// Identifiers of the order that the verdict concerns, without "*."; nil if the CA does not say
	// so, or if it concerns all of them.
	Identifiers []string
	// FailedValidation reports that the CA counts a failed authorization for each of Identifiers,
	// or for all names of the order without them.
	FailedValidation bool
	// AccountUnusable reports that the CA rejects our account for every order, not only for what
	// this order requested.
	AccountUnusable bool
}

// Temporary reports whether the verdict says that the CA is unavailable to us for now: a reason to
// wait, not a failure.
func (v Verdict) Temporary() bool {
	switch v.Class {
	case VerdictUnreachable, VerdictRateLimited, VerdictSlow, VerdictInterrupted:
		return true
	case VerdictPaused:
		return !v.RetryAt.IsZero()
	}
	return false
}

// Actor returns who acts on the verdict, according to the catalog of codes, or to its class where
// the catalog has no such code.
func (v Verdict) Actor() Party {
	if c, ok := CodeOf(v.Code); ok {
		return c.Actor
	}
	switch v.Class {
	case VerdictDNS, VerdictRequest, VerdictPolicy, VerdictCAAForbids:
		return PartyCustomer
	case VerdictAccount:
		return PartyOperator
	case VerdictInternal:
		return PartyService
	}
	return PartyCA
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
	// Publish records the order as Save does, publishes each of o.Values at its target, and returns
	// when all of our name servers answer all of them. It is called again with the same values when
	// an order is resumed.
	Publish(ctx context.Context, o *Order) error
	// Ready is called before each time that the CSR is sent. An error prevents the issuance.
	Ready(ctx context.Context, o *Order) error
}
