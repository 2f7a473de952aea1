package controlplane

import (
	"slices"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// KeyType is the type of a certificate's key.
type KeyType string

// The supported key types.
const (
	KeyEC256   KeyType = rules.KeyEC256
	KeyEC384   KeyType = rules.KeyEC384
	KeyRSA2048 KeyType = rules.KeyRSA2048
	KeyRSA3072 KeyType = rules.KeyRSA3072
	KeyRSA4096 KeyType = rules.KeyRSA4096
)

// IsRSA reports whether the key is an RSA key.
func (k KeyType) IsRSA() bool { return strings.HasPrefix(string(k), "rsa") }

// Valid reports whether k is one of the supported key types.
func (k KeyType) Valid() bool { return slices.Contains(rules.KeyTypes(), string(k)) }

// Certificate is a certificate that a CA issued. It never changes, except for ReplacedBy and the
// revocation.
type Certificate struct {
	ID                string
	OrgID             string
	DomainID          string
	OrderID           string
	Names             []string
	Serial            string // lower-case hex, without separators
	Issuer            string // common name of the issuing certificate
	CA                string // name in the configured list
	Account           string // at the CA, that ordered it; empty means DefaultAccount
	Profile           string
	KeyType           KeyType
	NotBefore         time.Time
	NotAfter          time.Time
	FingerprintSHA256 string     // lower-case hex, of the leaf's DER
	ChainPEM          string     // leaf first
	SealedKey         []byte     // associated data is the order's ID; empty if the customer sent a CSR
	KeyRemovedAt      *time.Time // when the key was removed, some time after the replacement
	ARIID             string     // RFC 9773 §4.1; empty if it cannot be determined
	ReplacedBy        string
	RevokedAt         *time.Time
	RevocationReason  string
	CreatedAt         time.Time
	OptionsRevision   int64 // of the domain, that the order was placed for

	// NotOffered is set if the CA did not offer the preferred chain. It is not stored with the
	// certificate, but shown in the domain's condition CertificateReady.
	NotOffered *ChainNotOffered
}

// ChainNotOffered says which chains a CA offered in place of the preferred one.
type ChainNotOffered struct {
	Wanted  string   // common name of the preferred root
	Offered []string // common names of the roots of the chains, that of the certificate first
	Unread  bool     // some chains could not be downloaded
}

// KeyKept is how long the private key of a certificate that was replaced is kept, unless it expires
// sooner.
const KeyKept = 30 * 24 * time.Hour

// HasKey reports whether the private key is stored.
func (c *Certificate) HasKey() bool { return len(c.SealedKey) > 0 }

// RenewAt returns when a certificate is due for renewal by its lifetime alone: when a third of the
// lifetime is left, or half of it if the lifetime is under 10 days (Let's Encrypt's integration
// guide). For 90 days, this is 30 days before expiry.
func RenewAt(notBefore, notAfter time.Time) time.Time {
	life := notAfter.Sub(notBefore)
	left := life / 3
	if life < 10*24*time.Hour {
		left = life / 2
	}
	return notAfter.Add(-left)
}

// RehearsalEvery returns the interval between DNS checks of a domain with such a certificate: a
// twelfth of the lifetime, but at least an hour and at most a day. A fault after the last check is
// found only at the renewal, and the owner then has until expiry to fix it: 30 days of a 90-day
// lifetime, but only 3 of a 6-day one, of which a daily interval would take a third.
func RehearsalEvery(notBefore, notAfter time.Time) time.Duration {
	return min(max(notAfter.Sub(notBefore)/12, time.Hour), 24*time.Hour)
}
