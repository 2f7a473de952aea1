package controlplane

import (
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
	"math/big"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// Scope is one kind of access within an organization.
type Scope string

// The scopes.
const (
	ScopeDomainsRead        Scope = "domains:read"
	ScopeDomainsWrite       Scope = "domains:write"
	ScopeCertificatesRead   Scope = "certificates:read"
	ScopeCertificatesKey    Scope = "certificates:key" // download private keys
	ScopeCertificatesRevoke Scope = "certificates:revoke"
	ScopeJobsRead           Scope = "jobs:read"
	ScopeJobsWrite          Scope = "jobs:write"
	ScopeTokensRead         Scope = "tokens:read"
	ScopeTokensWrite        Scope = "tokens:write"
	ScopeAuditRead          Scope = "audit:read"
	ScopeOrganizationRead   Scope = "organization:read"
	ScopeOrganizationWrite  Scope = "organization:write"
	ScopeMembersRead        Scope = "members:read"
	ScopeMembersWrite       Scope = "members:write"
	ScopeWebhooksRead       Scope = "webhooks:read"
	ScopeWebhooksWrite      Scope = "webhooks:write"
	ScopeConnectionsRead    Scope = "dns-connections:read"
	ScopeConnectionsWrite   Scope = "dns-connections:write"
	ScopeACMEDNSRead        Scope = "acmedns:read"
	ScopeACMEDNSWrite       Scope = "acmedns:write"
)

// Scopes returns all scopes, in the order of the documentation.
func Scopes() []Scope {
	all := make([]Scope, 0, len(rules.Scopes()))
	for _, s := range rules.Scopes() {
		all = append(all, Scope(s))
	}
	return all
}

// Token is an API token as it is stored.
type Token struct {
	ID         string
	OrgID      string
	Name       string
	Secrets    Secrets
	Scopes     []Scope
	DomainIDs  []string // the only domains that it includes; empty: all
	ExpiresAt  *time.Time
	LastUsedAt *time.Time
	CreatedBy  string
	CreatedAt  time.Time

	RotatedAt *time.Time // when it got its current secret; nil for the first secret

	// Set only after a lookup by the secret, which does not set Secrets.
	Tier        Tier       // of its organization
	SecretUntil *time.Time // expiry of the secret; nil for the current one
}

const (
	tokenPrefix = "dcv_"
	tokenRandom = 30
	tokenCheck  = 6
	base62      = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// NewSecret returns the secret of a new token: "dcv_", 30 random base62 characters (178 bits), and
// 6 characters of the CRC32 of these, with which secret scanners recognize valid tokens.
func NewSecret() string { return newSecret(tokenPrefix) }

// newSecret returns a secret in the form of NewSecret with another prefix.
func newSecret(prefix string) string {
	b := make([]byte, 0, len(prefix)+tokenRandom+tokenCheck)
	b = append(b, prefix...)
	n := big.NewInt(int64(len(base62)))
	for range tokenRandom {
		i, err := rand.Int(rand.Reader, n)
		if err != nil {
			panic(err) // crypto/rand never fails
		}
		b = append(b, base62[i.Int64()])
	}
	return string(append(b, checksum(b)...))
}

// WellFormed reports whether s has the form and checksum of a token's secret, so that a mistyped
// secret costs no query.
func WellFormed(s string) bool { return wellFormed(tokenPrefix, s) }

func wellFormed(prefix, s string) bool {
	if len(s) != len(prefix)+tokenRandom+tokenCheck || !strings.HasPrefix(s, prefix) {
		return false
	}
	body := s[:len(s)-tokenCheck]
	return string(checksum([]byte(body))) == s[len(body):]
}

// HashSecret returns the stored form of a secret. One round is enough, because secrets are random.
func HashSecret(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}

// SecretPrefix returns the part of a secret that may be shown.
func SecretPrefix(s string) string { return s[:min(len(s), len(tokenPrefix)+6)] }

func checksum(b []byte) []byte {
	sum := crc32.ChecksumIEEE(b)
	out := make([]byte, tokenCheck)
	for i := tokenCheck - 1; i >= 0; i-- {
		out[i] = base62[sum%62]
		sum /= 62
	}
	return out
}
