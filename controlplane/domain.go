package controlplane

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"time"
)

// DomainStatus is where a domain stands in its life cycle (SPEC §1).
type DomainStatus string

// The statuses of a domain. What more there is to say is in its conditions.
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

// ConditionType names one thing that can be true or false of a domain.
type ConditionType string

// The conditions of a domain, in the order in which they are shown.
const (
	DNSReady         ConditionType = "DNSReady"
	CertificateReady ConditionType = "CertificateReady"
	RenewalOnTrack   ConditionType = "RenewalOnTrack"
)

// Condition says whether one thing is true of a domain, why, and when it is looked at again.
type Condition struct {
	Type          ConditionType `json:"type"`
	Status        string        `json:"status"` // "true", "false" or "unknown"
	Reason        string        `json:"reason"` // stable code
	Message       string        `json:"message"`
	Observed      string        `json:"observed,omitempty"`       // see Observed: at most 10 values of 255 characters
	ObservedCount int           `json:"observed_count,omitempty"` // of all values
	Expected      string        `json:"expected,omitempty"`
	Fix           string        `json:"fix,omitempty"`
	LastCheckedAt *time.Time    `json:"last_checked_at,omitempty"`
	NextCheckAt   *time.Time    `json:"next_check_at,omitempty"`

	ACME json.RawMessage `json:"acme,omitempty"` // the CA's problem document, where the cause is the CA's
}

// Options are what a customer may choose for a domain.
type Options struct {
	Wildcard       bool
	KeyType        KeyType
	CSRPEM         string // empty: a key is made here for every certificate
	Profile        string // ACME profile; empty: the CA's default
	PreferredChain string
	CA             string // preferred CA; empty: the configured order
	AutoIssue      bool
	AutoRenew      bool
	Labels         map[string]string
}

// Domain is a name that certificates are kept for.
type Domain struct {
	ID           string
	OrgID        string
	Name         string
	Target       string // label in the validation zone, without the zone
	Status       DomainStatus
	StatusReason string
	Options
	Conditions    []Condition
	CertificateID string
	ExpiresAt     *time.Time
	RenewAt       *time.Time
	LastIssuedAt  *time.Time
	CheckSince    time.Time // when the present round of checks began; its 30 days count from here
	CheckAttempts int       // checks in the present round
	ForbiddenCAs  []string  // by CAA, as of the last look
	Version       int64     // grows with every change; the ETag is made of it
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// Condition returns the domain's condition of type t, "unknown" if it was never set.
func (d *Domain) Condition(t ConditionType) Condition {
	for _, c := range d.Conditions {
		if c.Type == t {
			return c
		}
	}
	return Condition{Type: t, Status: "unknown"}
}

// SetCondition puts c in place of the condition of its type, in the order of display.
func (d *Domain) SetCondition(c Condition) {
	order := []ConditionType{DNSReady, CertificateReady, RenewalOnTrack}
	next := make([]Condition, 0, len(order))
	for _, t := range order {
		if t == c.Type {
			next = append(next, c)
			continue
		}
		if old := d.Condition(t); old.Reason != "" {
			next = append(next, old)
		}
	}
	d.Conditions = next
}

// HasCertificate reports whether the domain has one that is valid at now.
func (d *Domain) HasCertificate(now time.Time) bool {
	return d.CertificateID != "" && d.ExpiresAt != nil && d.ExpiresAt.After(now)
}

// How long and how often a delegation that is not there yet is looked for (SPEC §1).
const (
	CheckFirst   = 5 * time.Second
	CheckFactor  = 1.5
	CheckCeiling = 4 * time.Hour
	CheckFor     = 30 * 24 * time.Hour
)

// NextCheck returns the wait before the check after the given number of checks that found
// no delegation: 5 s, then half as much again each time up to 4 h, ±10 %.
func NextCheck(attempts int) time.Duration {
	d := float64(CheckFirst) * math.Pow(CheckFactor, float64(max(attempts-1, 0)))
	d = min(d, float64(CheckCeiling))
	return time.Duration(d * (0.9 + 0.2*rand.Float64()))
}
