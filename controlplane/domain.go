package controlplane

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// DomainStatus is the state of a domain.
type DomainStatus string

// The statuses of a domain. Its conditions state the details.
const (
	DomainPendingCNAME DomainStatus = "pending_cname"
	DomainIssuing      DomainStatus = "issuing"
	DomainActive       DomainStatus = "active"
	DomainError        DomainStatus = "error"
)

// Valid reports whether s is a domain's status.
func (s DomainStatus) Valid() bool {
	switch s {
	case DomainPendingCNAME, DomainIssuing, DomainActive, DomainError:
		return true
	}
	return false
}

// Options are the settings of a domain.
type Options struct {
	Wildcard bool
	// AdditionalNames are further names in the certificate, canonical and sorted; a wildcard has
	// the prefix "*.".
	AdditionalNames []string
	IssuePartial    bool // order with the names that are delegated
	KeyType         KeyType
	CSRPEM          string // empty: the service generates a key for each certificate
	Profile         string // ACME profile; empty: the CA's default
	PreferredChain  string
	CA              string // preferred CA; empty: the configured order
	AutoIssue       bool
	AutoRenew       bool
	Labels          map[string]string
	// ConnectionID is the default for the delegations that the domain uses; empty: none.
	ConnectionID string
}

// Domain is a name with certificates that the service keeps valid.
type Domain struct {
	ID     string
	OrgID  string
	Name   string
	Target string // label in the validation zone, without the zone
	// Targets are the labels of the additional names, by name without "*.". Names that have the
	// domain's name as their base have no entry.
	Targets map[string]string
	// Delegations are the results of the last checks of the delegations that the domain uses, by
	// name without "*.". Only reads of single domains and of lists fill it.
	Delegations  map[string]DelegationResult
	Status       DomainStatus
	StatusReason Reason
	Options
	Conditions    []Condition
	CertificateID string
	ExpiresAt     *time.Time
	RenewAt       *time.Time
	// RetryAt is the earliest automatic renewal after one was dead-lettered; nil if the last one
	// was not.
	RetryAt      *time.Time
	LastIssuedAt *time.Time
	// OptionsRevision starts at 1 and rises with every change of an option that the certificate
	// depends on. CertificateRevision is the one that the current certificate was ordered for, and
	// has no meaning without a certificate.
	OptionsRevision, CertificateRevision int64
	// ReissueAt is when a certificate with the current options is ordered automatically; nil if it
	// is not needed, or is ordered only by request.
	ReissueAt     *time.Time
	CheckSince    time.Time // start of the current round of checks; its 30 days count from here
	CheckAttempts int       // checks in the current round
	// CAs that CAA forbids, and AccountRefs of accounts at other CAs, as of the last check
	ForbiddenCAs []string
	Version      int64 // grows with every change; the ETag contains it
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Names returns the names in the domain's certificate, see CertificateNames.
func (d *Domain) Names() []string { return CertificateNames(d.Name, d.Options) }

// Bases returns the names whose delegations the domain uses: its name, then the base names of its
// additional names, sorted.
func (d *Domain) Bases() []string {
	return append([]string{d.Name}, slices.Sorted(maps.Keys(d.Targets))...)
}

// TargetOf returns the label that the CNAME of one of the domain's names points to. A wildcard has
// that of its base name.
func (d *Domain) TargetOf(name string) string {
	return cmp.Or(d.Targets[strings.TrimPrefix(name, "*.")], d.Target)
}

// HasCertificate reports whether the domain has a certificate that has not expired at now.
func (d *Domain) HasCertificate(now time.Time) bool {
	return d.CertificateID != "" && d.ExpiresAt != nil && d.ExpiresAt.After(now)
}

// IsOutdated reports whether the options have changed since the current certificate was ordered.
// The properties of certificates are not compared: a CA may lack a profile or chain that the domain
// prefers, and would be asked for it again and again.
func (d *Domain) IsOutdated() bool {
	return d.CertificateID != "" && d.CertificateRevision < d.OptionsRevision
}

// The schedule of checks for a missing delegation.
const (
	CheckFirst   = 5 * time.Second
	CheckFactor  = 1.5
	CheckCeiling = 4 * time.Hour
	CheckFor     = 30 * 24 * time.Hour
)

// NextCheck returns the wait before the check after the given number of checks that found no
// delegation: 5 s, then 1.5 times as long each time, up to 4 h, ±10%. draw, in [0,1), picks the
// place within these bounds.
func NextCheck(attempts int, draw float64) time.Duration {
	d := float64(CheckFirst) * math.Pow(CheckFactor, float64(max(attempts-1, 0)))
	d = min(d, float64(CheckCeiling))
	return time.Duration(d * (0.9 + 0.2*draw))
}
