package controlplane

import "time"

// CAHold is a CA, or one of its accounts, that an operator has put on hold: no new orders are
// placed there.
type CAHold struct {
	CA     string // name in the configured list, or the AccountRef
	Until  *time.Time
	Reason string // in the operator's words; may be empty
	By     string // the operator
	Since  time.Time
}

// CAAccount is the state of an account that its CA has rejected.
type CAAccount struct {
	CA       string // AccountKey
	Unusable bool   // otherwise the CA may have rejected the names of single orders
	Since    time.Time
	ProbeAt  time.Time // next order, to see whether the account is usable again
	Code     string
	Message  string
	Fix      string
}

// CABreaker is the open circuit breaker of a CA in one worker: the CA does not respond to it.
type CABreaker struct {
	CA      string
	Since   time.Time // when it opened
	ProbeAt time.Time // next order, to see whether the CA responds again
	Message string    // of the last failure
}

// CAOutage is how the workers see a CA: in how many of them its circuit breaker is open.
type CAOutage struct {
	CABreaker // since the first opened, with the next probe of any and the latest message
	Workers   int
}

// BreakerReportFor is how long a worker's report of an open circuit breaker counts. A worker
// repeats it twice within that time; one that was killed does not.
const BreakerReportFor = 3 * time.Minute

// CAObstacle is why no order for certain names is placed at a CA now.
type CAObstacle struct {
	Code    string // ReasonCAHeld, ReasonCAPaused, or a code of the CA's rejection of the account
	Message string // as recorded: an operator's reason, or the CA's text
	Fix     string
	Until   *time.Time // nil: until released
}

// CAStanding is what is recorded of an account for an order.
type CAStanding struct {
	Account   string
	Obstacle  *CAObstacle // nil if an order can be placed
	Suspected bool        // the CA has rejected the account, or may have done so
}

// The evidence and the pauses of an account that a CA rejects.
const (
	// AccountEvidence is how many orders of unrelated domains a CA must reject because of the
	// account before the account counts as unusable.
	AccountEvidence = 3
	// AccountEvidenceFor is the period in which it must reject them.
	AccountEvidenceFor = time.Hour

	// FirstAccountProbe is the time until an order is placed to see whether the account is usable
	// again. It doubles with each such order, up to LastAccountProbe.
	FirstAccountProbe = time.Minute
	LastAccountProbe  = time.Hour
)
