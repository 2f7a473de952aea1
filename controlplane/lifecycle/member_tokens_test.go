package lifecycle_test

import (
	"slices"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// token creates a token.
func (w *world) token(by controlplane.Actor, scopes ...controlplane.Scope) *controlplane.Token {
	w.t.Helper()
	t, _, err := w.CreateToken(w.t.Context(), by, nil, w.org,
		lifecycle.NewToken{Name: "x", Scopes: scopes})
	must(w.t, err)
	return t
}

func asToken(t *controlplane.Token) controlplane.Actor {
	return controlplane.Actor{Type: controlplane.ActorToken, ID: t.ID}
}

// left reports for each token whether it exists.
func (w *world) left(tokens ...*controlplane.Token) []bool {
	w.t.Helper()
	left := make([]bool, len(tokens))
	for i, t := range tokens {
		_, err := w.Store.Token(w.t.Context(), w.org, t.ID)
		if err != nil && !controlplane.IsKind(err, controlplane.KindNotFound) {
			w.t.Fatal(err)
		}
		left[i] = err == nil
	}
	return left
}

// A removed or demoted member keeps no token beyond their access, directly or indirectly created.
func TestTokensAreRevokedWithTheirCreator(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		remove func(w *world, id string) error
		// created directly, with that token, with a deleted token, by another member, by the
		// operator
		want []bool
	}{
		"removed": {func(w *world, id string) error {
			return w.RemoveMember(w.t.Context(), alice,
				nil, w.org, id, false)
		},
			[]bool{false, false, false, true, true}},
		"removed, tokens kept": {func(w *world,
			id string) error {
			return w.RemoveMember(w.t.Context(), alice, nil, w.org, id, true)
		},
			[]bool{true, true, true, true, true}},
		"demoted": {func(w *world, id string) error {
			_, err := w.SetRole(w.t.Context(), alice, nil, w.org, id, controlplane.RoleMember,
				false)
			return err
		}, []bool{false, true, false, true, true}},
		"demoted, tokens kept": {func(w *world, id string) error {
			_, err := w.SetRole(w.t.Context(), alice, nil, w.org, id, controlplane.RoleMember, true)
			return err
		}, []bool{true, true, true, true, true}},
		"ownership transferred": {func(w *world, id string) error {
			_, err := w.TransferOwnership(w.t.Context(), alice, nil, w.org, id, "user-1", false)
			return err
		}, []bool{false, true, true, true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ctx := t.Context()
			w.member(1, controlplane.RoleOwner)
			w.member(2, controlplane.RoleOwner)
			_, other := w.signIn(1)
			_, by := w.signIn(2)
			direct := w.token(by, controlplane.Scopes()...)
			reads := w.token(asToken(direct), read)
			between := w.token(asToken(direct), write, controlplane.ScopeTokensWrite)
			writes := w.token(asToken(between), write)
			must(t, w.DeleteToken(ctx, by, w.org, between.ID))
			tokens := []*controlplane.Token{direct, reads, writes,
				w.token(other, controlplane.Scopes()...),
				w.token(controlplane.System("admin"), controlplane.Scopes()...)}
			must(t, tt.remove(w, by.ID))
			if got := w.left(tokens...); !slices.Equal(got, tt.want) {
				t.Errorf("tokens left = %v, want %v", got, tt.want)
			}
			if e := w.last(direct.ID); !tt.want[0] &&
				(e.Action != controlplane.ActionTokenDeleted || e.Actor != alice ||
					e.Details["user_id"] != by.ID) {
				t.Errorf("last entry of the token = %+v, want token.deleted by %s", e, alice.ID)
			}
		})
	}
}

// A request does not revoke the token that it uses: its caller could not continue.
func TestRemovalKeepsTheCallersToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	w.member(1, controlplane.RoleOwner)
	w.member(2, controlplane.RoleAdmin)
	_, by := w.signIn(2)
	token := w.token(by, controlplane.Scopes()...)
	err := w.RemoveMember(ctx, asToken(token), nil, w.org, by.ID, false)
	wantError(t, "RemoveMember() with the member's token", err, controlplane.KindConflict,
		"token-in-use")
	if got := w.left(token); !got[0] || w.state(2) != controlplane.MemberActive {
		t.Errorf("token left: %v, state %q, want both unchanged", got, w.state(2))
	}
	must(t, w.RemoveMember(ctx, asToken(token), nil, w.org, by.ID, true))
}
