package controlplane

import "time"

// AnswersKept is how long the answer to a call with an Idempotency-Key is given again.
const AnswersKept = 24 * time.Hour

// RateLimit is how many calls an organization may make: Calls in Window, evenly (GCRA). All
// of them may come at once after a time of quiet.
type RateLimit struct {
	Calls  int
	Window time.Duration
}

// RateLimit returns the limit that the tier includes.
func (t Tier) RateLimit() RateLimit {
	calls := 100
	switch t {
	case TierPro:
		calls = 1000
	case TierAgency:
		calls = 5000
	}
	return RateLimit{Calls: calls, Window: time.Minute}
}

// StreamLimit is how many event streams and calls with `wait` one process holds open at a time.
type StreamLimit struct {
	Organization int
	Credential   int // one token or session: half of it, so that one leaves room for the others
}

// StreamLimit returns the limit that the tier includes.
func (t Tier) StreamLimit() StreamLimit {
	n := 20
	switch t {
	case TierPro:
		n = 100
	case TierAgency:
		n = 500
	}
	return StreamLimit{Organization: n, Credential: n / 2}
}

// LogKept returns how long the tier keeps the audit log, in whole days. That of an
// organization that is gone is kept as long as any.
func (t Tier) LogKept() time.Duration {
	days := 90
	switch t {
	case TierPro:
		days = 365
	case TierAgency:
		days = 3 * 365
	}
	return time.Duration(days) * 24 * time.Hour
}

// Webhooks returns how many webhooks the tier includes.
func (t Tier) Webhooks() int {
	switch t {
	case TierPro:
		return 25
	case TierAgency:
		return 100
	}
	return 5
}
