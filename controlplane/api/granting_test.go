package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// granters are the kinds of callers, by the letters of the table in TestGranting.
const granters = "OAMFPXDRT"

// newGranter returns a caller of a kind in an organization.
func (w *world) newGranter(kind rune, org string) option {
	w.t.Helper()
	tokenOf := func(scopes []controlplane.Scope, change func(*lifecycle.NewToken)) option {
		in := lifecycle.NewToken{Name: string(kind), Scopes: scopes}
		if change != nil {
			change(&in)
		}
		_, secret, err := w.service.CreateToken(w.t.Context(), controlplane.System("test"), nil,
			org, in)
		if err != nil {
			w.t.Fatal(err)
		}
		return as(secret)
	}
	all := controlplane.Scopes()
	switch kind {
	case 'O', 'A', 'M':
		return w.person(org, map[rune]controlplane.Role{'O': controlplane.RoleOwner,
			'A': controlplane.RoleAdmin, 'M': controlplane.RoleMember}[kind]).cookie
	case 'F': // every scope, all domains, no expiry
		return tokenOf(all, nil)
	case 'P': // members and tokens only
		return tokenOf([]controlplane.Scope{controlplane.ScopeMembersRead,
			controlplane.ScopeMembersWrite, controlplane.ScopeTokensRead,
			controlplane.ScopeTokensWrite}, nil)
	case 'X': // every scope, expires in 10 minutes
		return tokenOf(all,
			func(in *lifecycle.NewToken) {
				at := time.Now().Add(
					10 * time.Minute)
				in.ExpiresAt = &at
			})
	case 'D': // every scope, one domain
		d, err := w.service.AddDomain(w.t.Context(), controlplane.System("test"), org,
			lifecycle.NewDomain{Name: "granter.example.com"})
		if err != nil {
			w.t.Fatal(err)
		}
		return tokenOf(all, func(in *lifecycle.NewToken) { in.DomainIDs = []string{d.ID} })
	case 'R': // every scope that reads
		return tokenOf(controlplane.RoleMember.Grant().Scopes, nil)
	}
	// T: tokens only
	return tokenOf([]controlplane.Scope{controlplane.ScopeTokensRead,
		controlplane.ScopeTokensWrite}, nil)
}

// TestGranting checks each operation on members, invitations, roles, and tokens, and the callers
// that it accepts. All others get 403 or, for a token that exceeds its creator, 422.
func TestGranting(t *testing.T) {
	t.Parallel()
	member := func(role controlplane.Role) func(*world, string) string {
		return func(w *world, org string) string { return "/api/members/" + w.person(org, role).id }
	}
	pending := func(role controlplane.Role) func(*world, string) string {
		return func(w *world, org string) string {
			m, err := w.service.InviteMember(w.t.Context(), controlplane.System("test"), nil, org,
				account(), role)
			if err != nil {
				w.t.Fatal(err)
			}
			return "/api/members/" + m.User.ID
		}
	}
	link := func(role controlplane.Role) func(*world, string) string {
		return func(w *world, org string) string {
			i, _, err := w.service.CreateInvitation(w.t.Context(), controlplane.System("test"), nil,
				org, role, 0)
			if err != nil {
				w.t.Fatal(err)
			}
			return "/api/invitations/" + i.ID
		}
	}
	token := func(suffix string, in lifecycle.NewToken) func(*world, string) string {
		return func(w *world, org string) string {
			in.Name = "target"
			k, _, err := w.service.CreateToken(w.t.Context(), controlplane.System("test"), nil, org,
				in)
			if err != nil {
				w.t.Fatal(err)
			}
			return "/api/tokens/" + k.ID + suffix
		}
	}
	at := func(path string) func(*world, string) string {
		return func(*world, string) string { return path }
	}
	role := func(r controlplane.Role) map[string]any { return map[string]any{"role": r} }
	invite := func(r controlplane.Role) map[string]any {
		return map[string]any{"login": "octocat",
			"role": r}
	}
	create := func(scopes []controlplane.Scope, expires any) map[string]any {
		return map[string]any{"name": "x", "scopes": scopes, "expires_at": expires}
	}
	const (
		owner, admin, plain = controlplane.RoleOwner, controlplane.RoleAdmin,
			controlplane.RoleMember
		post, patch, del = http.MethodPost, http.MethodPatch, http.MethodDelete
	)
	all, reads := controlplane.Scopes(), []controlplane.Scope{controlplane.ScopeTokensRead}
	soon := time.Now().Add(5 * time.Minute).UTC().Format(time.RFC3339)
	for _, tt := range []struct {
		what, method string
		path         func(*world, string) string
		body         map[string]any
		allowed      string // the callers of granters that it lets through
	}{
		{"invite an owner by login", post, at("/api/members"), invite(owner), "O"},
		{"invite an admin by login", post, at("/api/members"), invite(admin), "OF"},
		{"invite a member by login", post, at("/api/members"), invite(plain), "OFPX"},
		{"invite an owner by link", post, at("/api/invitations"), role(owner), "O"},
		{"invite an admin by link", post, at("/api/invitations"), role(admin), "OF"},
		{"invite a member by link", post, at("/api/invitations"), role(plain), "OFPX"},
		{"revoke an owner's link", del, link(owner), nil, "O"},
		{"revoke an admin's link", del, link(admin), nil, "OF"},
		{"revoke a member's link", del, link(plain), nil, "OFPX"},
		{"make a member an owner", patch, member(plain), role(owner), "O"},
		{"make a member an admin", patch, member(plain), role(admin), "OF"},
		{"make an admin an owner", patch, member(admin), role(owner), "O"},
		{"make an admin a member", patch, member(admin), role(plain), "OF"},
		{"make an owner an admin", patch, member(owner), role(admin), "O"},
		{"make an owner a member", patch, member(owner), role(plain), "O"},
		{"invite to owner instead", patch, pending(plain), role(owner), "O"},
		{"invite to admin instead", patch, pending(plain), role(admin), "OF"},
		{"invite to member instead", patch, pending(admin), role(plain), "OF"},
		{"remove an owner", del, member(owner), nil, "O"},
		{"remove an admin", del, member(admin), nil, "OF"},
		{"remove a member", del, member(plain), nil, "OFPX"},
		{"delete a pending owner", del, pending(owner), nil, "O"},
		{"delete a pending admin", del, pending(admin), nil, "OF"},
		{"delete a pending member", del, pending(plain), nil, "OFPX"},
		{"create a token with every scope", post, at("/api/tokens"), create(all, nil), "OF"},
		{"create a token with every scope, expiring", post, at("/api/tokens"), create(all, soon),
			"OFX"},
		{"create a token that reads", post, at("/api/tokens"), create(reads, nil), "OAFPT"},
		{"create a token that reads, expiring", post, at("/api/tokens"), create(reads, soon),
			"OAFPXT"},
		{"rotate a token with every scope", post, token("/rotate", lifecycle.NewToken{Scopes: all}),
			map[string]any{}, "OF"},
		{"rotate a token that reads", post, token("/rotate", lifecycle.NewToken{Scopes: reads}),
			map[string]any{}, "OAFPT"},
		{"rename a token", patch, token("", lifecycle.NewToken{Scopes: reads}),
			map[string]any{"name": "y"}, "OAFPXT"},
		{"revoke a token", del, token("", lifecycle.NewToken{Scopes: all}), nil, "OAFPXT"},
		{"revoke all tokens", post, at("/api/tokens/revoke-all"), map[string]any{}, "OAFPXT"},
		{"transfer the ownership", post, at("/api/organization/transfer"),
			map[string]any{"to": "heir", "from": "giver"}, "O"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, kind := range granters {
				org := w.newOrg("Granting")
				w.person(org, controlplane.RoleOwner) // never the last one
				body := tt.body
				if body["to"] != nil {
					body = map[string]any{"to": w.person(org, controlplane.RoleAdmin).id,
						"from": w.person(org, controlplane.RoleOwner).id}
				}
				got := w.do(tt.method, tt.path(w, org), body, w.newGranter(kind, org))
				if allowed := strings.ContainsRune(tt.allowed, kind); allowed && got.status >= 300 {
					t.Errorf("%s as %c: %d %s, want success", tt.what, kind, got.status, got.body)
				} else if !allowed && !slices.Contains([]int{http.StatusForbidden,
					http.StatusUnprocessableEntity, http.StatusNotFound}, got.status) {
					t.Errorf("%s as %c: %d %s, want 403", tt.what, kind, got.status, got.body)
				}
			}
		})
	}
}
