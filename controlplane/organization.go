package controlplane

import "time"

// Tier is the plan of an organization.
type Tier string

// The tiers.
const (
	TierFree   Tier = "free"
	TierPro    Tier = "pro"
	TierAgency Tier = "agency"
)

// Valid reports whether t is a tier.
func (t Tier) Valid() bool { return t == TierFree || t == TierPro || t == TierAgency }

// Domains returns how many domains the tier includes.
func (t Tier) Domains() int {
	switch t {
	case TierPro:
		return 15
	case TierAgency:
		return 50
	}
	return 3
}

// Delegations returns how many delegations the tier includes.
func (t Tier) Delegations() int {
	switch t {
	case TierPro:
		return 500
	case TierAgency:
		return 5000
	}
	return 25
}

// Role is what a user may do in an organization.
type Role string

// The roles: members can read; admins can change domains, tokens, webhooks, and connections; owners
// can also change members and the plan, and delete the organization.
const (
	RoleOwner  Role = "owner"
	RoleAdmin  Role = "admin"
	RoleMember Role = "member"
)

// Valid reports whether r is a role.
func (r Role) Valid() bool { return r == RoleOwner || r == RoleAdmin || r == RoleMember }

// Organization is a tenant.
type Organization struct {
	ID          string
	Name        string
	Tier        Tier
	DomainLimit *int // overrides the tier's
	Domains     int  // how many it has

	DelegationLimit *int // overrides the tier's
	Delegations     int  // how many it has

	CreatedAt time.Time
}

// MaxDomains returns how many domains the organization may have.
func (o *Organization) MaxDomains() int {
	if o.DomainLimit != nil {
		return *o.DomainLimit
	}
	return o.Tier.Domains()
}

// MaxDelegations returns how many delegations the organization may have: at least one for each
// domain, unless its own limit is lower.
func (o *Organization) MaxDelegations() int {
	if o.DelegationLimit != nil {
		return *o.DelegationLimit
	}
	return max(o.Tier.Delegations(), o.MaxDomains())
}

// OrderBudget returns how many orders the organization may place in a BudgetPeriod, not counting
// renewals that are due.
func (o *Organization) OrderBudget() int { return max(4*o.MaxDomains(), 10) }

// CountedLive is how many domains an organization may have for its calendar of expiries and its
// certificates to be counted at each view. Those of a larger one are counted every RecountEvery.
const (
	CountedLive  = 10_000
	RecountEvery = 10 * time.Minute
)

// IssuedWindow is the period over which an organization's certificates are counted.
const IssuedWindow = 30 * 24 * time.Hour

// Counts are the quantities that an organization uses of its plan.
type Counts struct {
	Webhooks, Members, Tokens int
	Certificates              int // issued in the last IssuedWindow
}
