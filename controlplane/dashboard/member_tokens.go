package dashboard

import (
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// memberToken is a token that a member created, directly or with another token.
type memberToken struct {
	Name, URL string
	Role      string // the lowest role that has all scopes of the token
	Used      moment
}

// memberTokens returns the tokens that are revoked if the member is removed.
func (d *Dashboard) memberTokens(v *visit, userID string) ([]memberToken, error) {
	tokens, err := d.store.TokensOf(v.Context(), v.org.ID, userID)
	if err != nil {
		return nil, err
	}
	rows := make([]memberToken, len(tokens))
	for i := range tokens {
		t := &tokens[i]
		rows[i] = memberToken{Name: t.Name, URL: tokenURL(t.ID), Role: string(leastRole(t.Scopes)),
			Used: v.maybeAt(t.LastUsedAt)}
	}
	return rows, nil
}

// leastRole returns the lowest role that has all of the scopes.
func leastRole(scopes []controlplane.Scope) controlplane.Role {
	for _, r := range []controlplane.Role{controlplane.RoleMember, controlplane.RoleAdmin} {
		if r.Grant().CoversScopes(scopes) {
			return r
		}
	}
	return controlplane.RoleOwner
}
