package controlplane

import "time"

// The limits of a CA that orders are held to, by stable name.
const (
	LimitNewOrders            = "new-orders-per-account"
	LimitRegisteredDomain     = "certificates-per-registered-domain"
	LimitDuplicates           = "duplicate-certificates"
	LimitFailedAuthorizations = "failed-authorizations"
	LimitPace                 = "pace"         // ours: orders a second
	LimitShare                = "share"        // ours: an organization's share of the orders per account, while it is beyond it
	LimitByCA                 = "rate-limited" // one that the CA did not name when it refused an order
)

// BudgetPeriod is the time for which an organization has its budget of orders.
const BudgetPeriod = 24 * time.Hour

// RenewalPause is how long after a renewal a certificate is not renewed by request, unless it is due.
const RenewalPause = time.Hour

// QuotaRequest describes an order that is about to be placed at a CA, to whoever keeps count of the CA's limits.
type QuotaRequest struct {
	CA      string   // name in the configured list
	Account string   // tells accounts at one CA apart; empty for the one that there is
	Names   []string // identifiers of the order
	Org     string   // whose order it is; empty has no share of its own
	// Renewal says that the order renews a certificate for which that is due. Of the orders per account a share is kept for
	// such, and of the pace a share for what is none.
	Renewal bool
	// Replaces says that the order names the certificate that it replaces (RFC 9773 §5), which Let's Encrypt does not count.
	Replaces bool
	// Waiter holds a place in the queue of a limit, over repeated requests: the id of the job. Empty takes no place.
	Waiter string
	// OrderID names the order: it is counted once, however often it is asked for, and can be given back. Empty is counted
	// each time.
	OrderID string
	// Patience is the longest wait that makes sense to the caller, who has another CA for instance. Beyond it no place in the
	// queue is taken. Zero waits for ever.
	Patience time.Duration
}

// QuotaDecision says whether an order may be placed now.
type QuotaDecision struct {
	OK bool
	// WaitUntil is when to ask again, with the same Waiter. Those who wait are told different times, as the limit refills.
	WaitUntil time.Time
	Limit     string // what the order waits for, one of the limits above; empty where OK
	Message   string // the same for people
	// Bypassed says that nothing was counted, because Redis is away: the CA's own 429 is the limit.
	Bypassed bool
}
