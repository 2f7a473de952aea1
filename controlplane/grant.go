package controlplane

import (
	"slices"
	"strings"
	"time"
)

// Grant is what a caller may do within an organization, with a token or a session.
type Grant struct {
	Scopes    []Scope
	DomainIDs []string   // the only domains that it includes; empty: all
	ExpiresAt *time.Time // nil: no expiry
	Role      Role       // of the signed-in user; empty for a token
}

// Allows reports whether the grant has the scope.
func (g *Grant) Allows(s Scope) bool { return slices.Contains(g.Scopes, s) }

// AllowsDomain reports whether the grant includes the domain.
func (g *Grant) AllowsDomain(id string) bool {
	return len(g.DomainIDs) == 0 || slices.Contains(g.DomainIDs, id)
}

// CheckDomain returns nil if the grant allows the domain, and otherwise a KindForbidden error about
// its object: the domain, or something that belongs to it, as the caller named it. domainID is
// empty for an object that belongs to no domain. The object must be in the caller's organization,
// because the error shows that it exists.
func (g *Grant) CheckDomain(noun, ref, domainID string) error {
	if g.AllowsDomain(domainID) {
		return nil
	}
	object := noun + " " + quote(ref)
	switch domainID {
	case "":
		return &Error{Kind: KindForbidden, Code: "token-restricted",
			Message: "The token is restricted to some domains, and the " + object +
				" belongs to none of them.",
			Fix: "Use a token without domain_ids."}
	case ref:
	default:
		object += " (domain " + domainID + ")"
	}
	return &Error{Kind: KindForbidden, Code: "domain-not-allowed",
		Message: "The token is restricted to some domains, and the " + object +
			" is outside of them.",
		Fix: "Use a token whose domain_ids include " + domainID + ", or one without domain_ids."}
}

// Covers reports whether the grant has every scope and domain of other.
func (g *Grant) Covers(other *Grant) bool {
	if len(g.DomainIDs) > 0 && len(other.DomainIDs) == 0 {
		return false
	}
	return g.CoversScopes(other.Scopes) &&
		!slices.ContainsFunc(other.DomainIDs, func(id string) bool { return !g.AllowsDomain(id) })
}

// CoversScopes reports whether the grant has all of the scopes.
func (g *Grant) CoversScopes(scopes []Scope) bool {
	return !slices.ContainsFunc(scopes, func(s Scope) bool { return !g.Allows(s) })
}

// Grant returns what the token may do.
func (t *Token) Grant() *Grant {
	return &Grant{Scopes: t.Scopes, DomainIDs: t.DomainIDs, ExpiresAt: t.ExpiresAt}
}

// Grant returns what a signed-in user with the role may do; nothing for an unknown role.
func (r Role) Grant() *Grant {
	g := &Grant{Role: r}
	for _, s := range Scopes() {
		if slices.Contains(rolesWith(s), r) {
			g.Scopes = append(g.Scopes, s)
		}
	}
	return g
}

// adminScopes are the scopes that an admin has in addition to those that read.
var adminScopes = []Scope{ScopeDomainsWrite, ScopeJobsWrite, ScopeCertificatesKey,
	ScopeCertificatesRevoke, ScopeTokensWrite, ScopeWebhooksWrite,
	ScopeConnectionsWrite, ScopeACMEDNSWrite}

// rolesWith returns the roles that have a scope: a member can read, an admin can also change what
// the service does, and an owner can also change who belongs to the organization, its plan, and its
// existence.
func rolesWith(s Scope) []Role {
	switch {
	case strings.HasSuffix(string(s), ":read"):
		return []Role{RoleOwner, RoleAdmin, RoleMember}
	case slices.Contains(adminScopes, s):
		return []Role{RoleOwner, RoleAdmin}
	}
	return []Role{RoleOwner}
}
