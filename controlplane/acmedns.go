package controlplane

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"net"
	"strings"
	"time"
)

// Limits of the acme-dns API. acme-dns itself keeps two values of an account, without an expiry.
const (
	// MaxACMEDNSValues is how many TXT values of an account are served at once. A further one
	// replaces the one that expires first.
	MaxACMEDNSValues = 200
	// ACMEDNSValueLife is how long a TXT value is served after its last update.
	ACMEDNSValueLife = 24 * time.Hour
)

// ACMEDNSAccount is an account of the acme-dns API. Its holder publishes TXT values at one target
// of the validation zone, and can therefore validate each name whose CNAME points there at any CA.
type ACMEDNSAccount struct {
	ID          string
	OrgID       string
	Username    string // a UUID
	Subdomain   string // fixed label that the client sends; also that of the account's own target
	Target      string // label at which values are served: Subdomain or the delegation's target
	Description string
	AllowFrom   []string // networks (CIDR) that may update; empty: all

	DelegationID   string // of the delegation whose target it uses; empty: its own target
	DelegationName string // of that delegation
	KeyID          string // of the registration key that created it; empty: none, or deleted since

	Updates    int64
	LastUsedAt *time.Time // last update
	RotatedAt  *time.Time // when it got its current password; nil for the first one
	CreatedBy  string
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// ACMEDNSCredential is what authenticates and authorizes an update of an account.
type ACMEDNSCredential struct {
	AccountID    string
	OrgID        string
	Tier         Tier   // of its organization
	PasswordHash []byte // SHA-256
	Subdomain    string
	Target       string
	AllowFrom    []string
}

// AllowsSource reports whether an update may come from the client address ip. Without networks,
// each may, even an unknown one.
func (c *ACMEDNSCredential) AllowsSource(ip string) bool {
	if len(c.AllowFrom) == 0 {
		return true
	}
	addr := net.ParseIP(ip)
	for _, source := range c.AllowFrom {
		if _, network, err := net.ParseCIDR(source); err == nil && network.Contains(addr) {
			return true
		}
	}
	return false
}

// ACMEDNSKey lets clients register accounts in an organization. Clients have its secret in their
// base URL.
type ACMEDNSKey struct {
	ID            string
	OrgID         string
	Name          string
	Prefix        string // the secret's first characters, for display
	Registrations int64
	LastUsedAt    *time.Time // last registration
	CreatedBy     string
	CreatedAt     time.Time
}

// NewACMEDNSUsername returns a random UUID (RFC 9562, version 4), which the clients of acme-dns
// expect.
func NewACMEDNSUsername() string {
	b := randomOctets(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// NewACMEDNSPassword returns a random password of 40 characters of the URL-safe base64 alphabet,
// the form that the clients of acme-dns expect (240 bits).
func NewACMEDNSPassword() string { return base64.RawURLEncoding.EncodeToString(randomOctets(30)) }

// NewACMEDNSSubdomain returns a random label of the form of a target's (160 bits in base32).
func NewACMEDNSSubdomain() string {
	return strings.ToLower(base32.StdEncoding.EncodeToString(randomOctets(20)))
}

// registrationPrefix starts the secret of a registration key.
const registrationPrefix = "dcvreg_"

// NewRegistrationSecret returns the secret of a new registration key, in the form of NewSecret.
func NewRegistrationSecret() string { return newSecret(registrationPrefix) }

// WellFormedRegistration reports whether s has the form and checksum of the secret of a
// registration key, so that a mistyped one costs no query.
func WellFormedRegistration(s string) bool { return wellFormed(registrationPrefix, s) }

// RegistrationPrefix returns the part of the secret of a registration key that may be shown.
func RegistrationPrefix(s string) string { return s[:min(len(s), len(registrationPrefix)+6)] }

func randomOctets(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
