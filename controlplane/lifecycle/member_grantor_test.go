package lifecycle_test

import (
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// A request that was authorized before its caller lost access grants nothing afterwards.
func TestNothingIsGrantedAfterAccessEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	w.member(1, controlplane.RoleOwner)
	w.member(2, controlplane.RoleOwner)
	w.member(4, controlplane.RoleMember)
	_, user := w.signIn(2)
	target := w.token(alice, read)
	token := asToken(w.token(user, controlplane.Scopes()...))
	owner, full := controlplane.RoleOwner.Grant(),
		&controlplane.Grant{Scopes: controlplane.Scopes()}
	must(t, w.RemoveMember(ctx, alice, nil, w.org, user.ID, false))
	for _, caller := range []struct {
		actor controlplane.Actor
		by    *controlplane.Grant
		code  string
	}{{user, owner, "session-ended"}, {token, full, "token-invalid"}} {
		for name, do := range map[string]func() error{
			"CreateToken": func() error {
				_, _, err := w.CreateToken(ctx, caller.actor, caller.by, w.org,
					lifecycle.NewToken{Name: "late", Scopes: []controlplane.Scope{read}})
				return err
			},
			"RotateToken": func() error {
				_, _, err := w.RotateToken(ctx, caller.actor, caller.by, w.org, target.ID,
					lifecycle.Rotation{})
				return err
			},
			"InviteMember": func() error {
				_, err := w.InviteMember(ctx, caller.actor, caller.by, w.org, account(3),
					controlplane.RoleMember)
				return err
			},
			"CreateInvitation": func() error {
				_, _, err := w.CreateInvitation(ctx, caller.actor, caller.by, w.org,
					controlplane.RoleMember, 0)
				return err
			},
			"RemoveMember": func() error {
				return w.RemoveMember(ctx, caller.actor, caller.by, w.org, "user-4", false)
			},
			"SetRole": func() error {
				_, err := w.SetRole(ctx, caller.actor, caller.by, w.org,
					"user-1", controlplane.RoleMember, false)
				return err
			},
		} {
			// A token is rejected for the owner's role before it is checked again.
			if err := do(); !controlplane.HasCode(err, caller.code) &&
				!(name == "SetRole" && controlplane.HasCode(err, "role-exceeds")) {
				t.Errorf("%s by a %s without access = %v, want %s", name, caller.actor.Type, err,
					caller.code)
			}
		}
	}
}

func TestTokensAreLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`UPDATE organizations SET subscription_tier = 'free' WHERE id = $1`, w.org)
	w.exec(`INSERT INTO api_tokens (id, org_id, name, token_hash, token_prefix, scopes)
		SELECT 'tok_' || i, $1, 'x', sha256(i::text::bytea), '', '{}' FROM generate_series(2, $2::int) i`, w.org, controlplane.TierFree.Tokens())
	_, _, err := w.CreateToken(t.Context(), alice, nil, w.org,
		lifecycle.NewToken{Name: "the last", Scopes: []controlplane.Scope{read}})
	must(t, err)
	_, _, err = w.CreateToken(t.Context(), alice, nil, w.org,
		lifecycle.NewToken{Name: "one more", Scopes: []controlplane.Scope{read}})
	wantError(t, "CreateToken() beyond the plan", err, controlplane.KindForbidden, "plan-limit")
}
