package controlplane

import "time"

// The limits of a CA that orders observe, by stable name.
const (
	LimitNewOrders            = "new-orders-per-account"
	LimitRegisteredDomain     = "certificates-per-registered-domain"
	LimitDuplicates           = "duplicate-certificates"
	LimitFailedAuthorizations = "failed-authorizations"
	LimitPace                 = "pace" // our own: orders per second
	// our own: an organization's share of the orders per account
	LimitShare = "share"
	LimitByCA  = "rate-limited" // a limit that the CA did not name when it rejected an order
)

// BudgetPeriod is the period of an organization's budget of orders.
const BudgetPeriod = 24 * time.Hour

// RenewalPause is how long after a renewal a certificate that is not due cannot be renewed by
// request.
const RenewalPause = time.Hour

// QuotaRequest describes an order that is about to be placed at a CA to the governor, which counts
// the CA's limits.
type QuotaRequest struct {
	CA string // name in the configured list
	// Account at the CA that gets the order; empty means DefaultAccount. With Accounts, it is the
	// one that the order should stay with, or empty for none.
	Account string
	// Accounts are those that may get the order. Reserve chooses Account if it can place the order
	// within Stay, and otherwise the one with the most orders left. Empty means only Account.
	Accounts []string
	Stay     time.Duration
	Names    []string // identifiers of the order
	Org      string   // owner of the order; empty for an order without a share
	// Renewal reports whether the order is a renewal that is due. A share of the orders per account
	// is reserved for these, and a share of the pace for the others.
	Renewal bool
	// Replaces reports whether the order names the certificate that it replaces (RFC 9773 §5) and
	// is placed within the renewal window that the CA suggests for it. Let's Encrypt does not count
	// such orders, if the same account ordered the certificate: Account did.
	Replaces bool
	// Waiter is the job's ID, which keeps its place in the queue of a limit over repeated requests.
	// Empty takes no place.
	Waiter string
	// OrderID identifies the order: repeated requests are counted once, and the count can be
	// returned. Empty is counted each time.
	OrderID string
	// Patience is the longest useful wait for the caller, for example because another CA is
	// available. A longer wait takes no place in the queue. Zero is unlimited.
	Patience time.Duration
}

// For returns the request for one account. Only the account that ordered the replaced certificate
// can be exempt.
func (q QuotaRequest) For(account string) QuotaRequest {
	q.Replaces = q.Replaces && AccountOf(account) == AccountOf(q.Account)
	q.Account, q.Accounts = AccountOf(account), nil
	return q
}

// QuotaDecision reports whether an order may be placed now.
type QuotaDecision struct {
	OK      bool
	Account string // that gets the order, or that it waits for
	// WaitUntil is when to request again, with the same Waiter. Waiting orders get different times,
	// as the limit refills.
	WaitUntil time.Time
	Limit     string // what the order waits for, one of the limits above; empty if OK
	Message   string // the same in words
	// Bypassed reports that nothing was counted, because Redis is unavailable: the CA's own 429 is
	// the limit.
	Bypassed bool
}
