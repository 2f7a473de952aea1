package controlplane

import "time"

// DelegationState is what the last check found out about a delegation.
type DelegationState string

// The states of a delegation.
const (
	DelegationUnchecked DelegationState = "unchecked" // no check had a result yet
	DelegationVerified  DelegationState = "delegated" // the CNAME points to the target
	DelegationBroken    DelegationState = "broken"    // Diagnosis says why
)

// Valid reports whether s is a state of a delegation.
func (s DelegationState) Valid() bool {
	return s == DelegationUnchecked || s == DelegationVerified || s == DelegationBroken
}

// State returns the state of the delegation that was checked, "" if the check had no result.
func (d Diagnosis) State() DelegationState {
	switch {
	case d.Transient():
		return ""
	case d.OK():
		return DelegationVerified
	}
	return DelegationBroken
}

// DelegationResult is the result of the last check of a delegation.
type DelegationResult struct {
	State     DelegationState `json:"state"`
	Diagnosis *Diagnosis      `json:"diagnosis"` // without its evidence; nil before the first result
}

// Cause returns why the delegation is broken, nil if it is not.
func (r DelegationResult) Cause() *Diagnosis {
	if r.State != DelegationBroken {
		return nil
	}
	return r.Diagnosis
}

// MaxDelegationUsers is how many of the domains that use a delegation are listed with it.
const MaxDelegationUsers = 100

// Delegation is a name of an organization with a target in the validation zone. Domains use it for
// their names: it exists while a domain uses it or it is pinned.
type Delegation struct {
	ID     string
	OrgID  string
	Name   string // without a wildcard's "*."
	Target string // label in the validation zone, without the zone
	Pinned bool   // it stays without a domain that uses it
	// ConnectionID is the connection through which its record is created; empty: that of the oldest
	// domain that uses it and has one.
	ConnectionID string

	State     DelegationState
	Diagnosis *Diagnosis // of the last check with a result, without its evidence; nil before it

	// The checks of a pinned delegation started over at CheckSince. CheckAttempts is the number of
	// checks in a row that found no delegation.
	CheckSince    time.Time
	CheckAttempts int
	Ready         *Readiness // set if the last check found nothing at all
	LastCheckedAt *time.Time
	NextCheckAt   *time.Time // nil: no check is scheduled

	DomainIDs []string // that use it, oldest first, MaxDelegationUsers at most
	Domains   int      // how many use it

	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Result returns the result of the last check.
func (g *Delegation) Result() DelegationResult { return DelegationResult{g.State, g.Diagnosis} }
