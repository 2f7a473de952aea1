package controlplane

import (
	"slices"
	"strings"
	"time"
)

// Grant is what a caller may do within an organization, whether it comes by a token or is
// signed in.
type Grant struct {
	Scopes    []Scope
	DomainIDs []string   // the only domains it may touch; empty: all
	ExpiresAt *time.Time // nil: it does not end by itself
}

// Allows reports whether the grant has the scope.
func (g *Grant) Allows(s Scope) bool { return slices.Contains(g.Scopes, s) }

// AllowsDomain reports whether the domain may be touched.
func (g *Grant) AllowsDomain(id string) bool {
	return len(g.DomainIDs) == 0 || slices.Contains(g.DomainIDs, id)
}

// Covers reports whether the grant has every scope and domain of another one.
func (g *Grant) Covers(other *Grant) bool {
	if len(g.DomainIDs) > 0 && len(other.DomainIDs) == 0 {
		return false
	}
	return !slices.ContainsFunc(other.Scopes, func(s Scope) bool { return !g.Allows(s) }) &&
		!slices.ContainsFunc(other.DomainIDs, func(id string) bool { return !g.AllowsDomain(id) })
}

// Grant returns what the token may do.
func (t *Token) Grant() *Grant {
	return &Grant{Scopes: t.Scopes, DomainIDs: t.DomainIDs, ExpiresAt: t.ExpiresAt}
}

// Grant returns what the role may do; nothing where it is none.
func (r Role) Grant() *Grant {
	g := &Grant{}
	for _, s := range Scopes() {
		if slices.Contains(rolesWith(s), r) {
			g.Scopes = append(g.Scopes, s)
		}
	}
	return g
}

// adminScopes are those that an admin has beyond the ones that read.
var adminScopes = []Scope{ScopeDomainsWrite, ScopeJobsWrite, ScopeCertificatesKey, ScopeCertificatesRevoke, ScopeTokensWrite, ScopeWebhooksWrite}

// rolesWith is the one table of roles and scopes: a member sees, an admin changes what the
// service does, an owner also who belongs to the organization and what becomes of it.
func rolesWith(s Scope) []Role {
	switch {
	case strings.HasSuffix(string(s), ":read"):
		return []Role{RoleOwner, RoleAdmin, RoleMember}
	case slices.Contains(adminScopes, s):
		return []Role{RoleOwner, RoleAdmin}
	}
	return []Role{RoleOwner}
}
