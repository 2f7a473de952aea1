package acme

import "time"

// Limit is a token bucket: Count at once, then one every Per/Count. The zero value means unlimited.
type Limit struct {
	Count int
	Per   time.Duration
}

func (l Limit) none() bool { return l.Count <= 0 || l.Per <= 0 }

// Limits are the rate limits of a CA. A zero field means unlimited.
type Limits struct {
	// NewOrdersPerAccount counts orders, whether or not they succeed.
	NewOrdersPerAccount Limit
	// CertificatesPerRegisteredDomain counts certificates for names below one registered domain.
	CertificatesPerRegisteredDomain Limit
	// DuplicateCertificates counts certificates for exactly the same names.
	DuplicateCertificates Limit
	// FailedAuthorizations counts failed authorizations per account and name.
	FailedAuthorizations Limit
	// Pace limits how fast orders are placed, including orders that no other limit counts. It
	// follows the CA's limits on requests per second and leaves room for orders that a user waits
	// for.
	Pace Limit
	// ReplacesExempt means that the first three limits do not count an order with replaces (RFC
	// 9773 §5), if it is placed within the renewal window that the CA suggests for the replaced
	// certificate, by the account that ordered it. Let's Encrypt has these two conditions.
	ReplacesExempt bool
}

// DefaultLimits returns the published limits of the CA with the given directory URL, and false if
// they are not known.
func DefaultLimits(directoryURL string) (Limits, bool) {
	const week = 7 * 24 * time.Hour
	switch directoryURL {
	// https://letsencrypt.org/docs/rate-limits/
	case "https://acme-v02.api.letsencrypt.org/directory":
		return Limits{
			NewOrdersPerAccount:             Limit{300, 3 * time.Hour},
			CertificatesPerRegisteredDomain: Limit{50, week},
			DuplicateCertificates:           Limit{5, week},
			FailedAuthorizations:            Limit{5, time.Hour},
			// about 9 requests each; the CA allows 250 requests per second
			Pace:           Limit{20, time.Second},
			ReplacesExempt: true,
		}, true
	// https://letsencrypt.org/docs/staging-environment/
	case "https://acme-staging-v02.api.letsencrypt.org/directory":
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
