package acme

import "time"

// Limit is a number of things in a time, as a token bucket that refills continuously: Count at once, then one every
// Per/Count. The zero value is no limit.
type Limit struct {
	Count int
	Per   time.Duration
}

func (l Limit) none() bool { return l.Count <= 0 || l.Per <= 0 }

// Limits are what a CA allows. A field that is zero is not limited.
type Limits struct {
	// NewOrdersPerAccount counts orders, whatever becomes of them.
	NewOrdersPerAccount Limit
	// CertificatesPerRegisteredDomain counts certificates for names below one registered domain.
	CertificatesPerRegisteredDomain Limit
	// DuplicateCertificates counts certificates for exactly the same names.
	DuplicateCertificates Limit
	// FailedAuthorizations counts authorizations that failed, for one account and name.
	FailedAuthorizations Limit
	// Pace is how fast orders are placed, those with them that no other limit counts: what the CA's limits of requests per
	// second allow, and what leaves room for orders that a person waits for.
	Pace Limit
	// ReplacesExempt says that an order with replaces (RFC 9773 §5) counts towards none of the first three.
	ReplacesExempt bool
}

// DefaultLimits returns the limits of a CA that publishes them, by its directory's URL, and whether it is one.
func DefaultLimits(directoryURL string) (Limits, bool) {
	const week = 7 * 24 * time.Hour
	switch directoryURL {
	case "https://acme-v02.api.letsencrypt.org/directory": // https://letsencrypt.org/docs/rate-limits/
		return Limits{
			NewOrdersPerAccount:             Limit{300, 3 * time.Hour},
			CertificatesPerRegisteredDomain: Limit{50, week},
			DuplicateCertificates:           Limit{5, week},
			FailedAuthorizations:            Limit{5, time.Hour},
			Pace:                            Limit{20, time.Second}, // of about 9 requests each; 250 requests a second are allowed
			ReplacesExempt:                  true,
		}, true
	case "https://acme-staging-v02.api.letsencrypt.org/directory": // https://letsencrypt.org/docs/staging-environment/
		return Limits{
			NewOrdersPerAccount:             Limit{1500, 3 * time.Hour},
			CertificatesPerRegisteredDomain: Limit{30000, week},
			DuplicateCertificates:           Limit{30000, week},
			FailedAuthorizations:            Limit{60, time.Hour},
			Pace:                            Limit{20, time.Second},
			ReplacesExempt:                  true,
		}, true
	}
	return Limits{}, false
}
