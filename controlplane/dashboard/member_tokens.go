package dashboard

import (
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// memberToken is a token that a member created, or that was created by such a token.
type memberToken struct {
	Name, URL string
	Role      string // the least role that has all of the token's scopes
	Used      moment
}

// memberTokens returns the tokens that are revoked when a member is removed, for the
// confirmation.
func (d *Dashboard) memberTokens(v *visit, userID string) ([]memberToken, error) {
	tokens, err := d.store.TokensOf(v.Context(), v.org.ID, userID)
	if err != nil {
		return nil, err
	}
	rows := make([]memberToken, len(tokens))
	for i := range tokens {
		t := &tokens[i]
		rows[i] = memberToken{Name: t.Name, URL: tokenURL(t.ID), Role: string(leastRole(t.Scopes)), Used: v.maybeAt(t.LastUsedAt)}
	}
	return rows, nil
}

// leastRole returns the role with the fewest scopes that has all of these.
func leastRole(scopes []controlplane.Scope) controlplane.Role {
	for _, r := range []controlplane.Role{controlplane.RoleMember, controlplane.RoleAdmin} {
		if r.Grant().CoversScopes(scopes) {
			return r
		}
	}
	return controlplane.RoleOwner
}
