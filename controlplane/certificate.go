package controlplane

import (
	"slices"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// KeyType is the kind of key that a certificate is made for.
type KeyType string

// The key types on offer.
const (
	KeyEC256   KeyType = rules.KeyEC256
	KeyEC384   KeyType = rules.KeyEC384
	KeyRSA2048 KeyType = rules.KeyRSA2048
	KeyRSA4096 KeyType = rules.KeyRSA4096
)

// IsRSA reports whether the key is an RSA key.
func (k KeyType) IsRSA() bool { return strings.HasPrefix(string(k), "rsa") }

// Valid reports whether k is one of the key types on offer.
func (k KeyType) Valid() bool { return slices.Contains(rules.KeyTypes(), string(k)) }

// Certificate is one that a CA issued. It is never changed but for ReplacedBy and the
// revocation; history is kept.
type Certificate struct {
	ID                string
	OrgID             string
	DomainID          string
	OrderID           string
	Names             []string
	Serial            string // lower-case hex, without separators
	Issuer            string // common name of the issuing certificate
	CA                string // name in the configured list
	Profile           string
	KeyType           KeyType
	NotBefore         time.Time
	NotAfter          time.Time
	FingerprintSHA256 string // lower-case hex, of the leaf's DER
	ChainPEM          string // leaf first
	SealedKey         []byte // associated data is the order's id; empty in CSR mode
	ARIID             string // RFC 9773 §4.1; empty where it cannot be made
	ReplacedBy        string
	RevokedAt         *time.Time
	RevocationReason  string
	CreatedAt         time.Time
}

// HasKey reports whether the private key is held here.
func (c *Certificate) HasKey() bool { return len(c.SealedKey) > 0 }

// RenewAt returns when a certificate is due for renewal by its lifetime alone: with a third
// of it left, or with half left where it is under 10 days (Let's Encrypt's integration
// guide). For 90 days that is 30 days before the end.
func RenewAt(notBefore, notAfter time.Time) time.Time {
	life := notAfter.Sub(notBefore)
	left := life / 3
	if life < 10*24*time.Hour {
		left = life / 2
	}
	return notAfter.Add(-left)
}

// RehearsalEvery returns how often the DNS of a domain with such a certificate is looked at: a twelfth of the lifetime apart,
// but at least daily and at most hourly. What is broken after the last look shows at the renewal, and then the owner has until
// the end to mend it: 30 days of 90, but 3 of 6, of which a daily look would take a third before it said anything.
func RehearsalEvery(notBefore, notAfter time.Time) time.Duration {
	return min(max(notAfter.Sub(notBefore)/12, time.Hour), 24*time.Hour)
}
