package lifecycle_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

func invitedOnly(c *lifecycle.Config) { c.InvitedOnly = true }

// newcomer is an actor before sign-in.
var newcomer = controlplane.Actor{IP: "192.0.2.9", RequestID: "req-2"}

// stored returns the numbers of rows that a sign-in can add.
func (w *world) stored() [4]int {
	w.t.Helper()
	return [4]int{value[int](w, `SELECT count(*) FROM users`),
		value[int](w, `SELECT count(*) FROM organizations`),
		value[int](w, `SELECT count(*) FROM sessions`),
		value[int](w, `SELECT count(*) FROM audit_logs`)}
}

// invite creates an invitation.
func (w *world) invite(role controlplane.Role) *controlplane.Invitation {
	w.t.Helper()
	i, _, err := w.CreateInvitation(w.t.Context(), alice, nil, w.org, role, 0)
	must(w.t, err)
	return i
}

func TestSignUpClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, invitedOnly)
	ctx := t.Context()
	w.member(1, controlplane.RoleOwner)
	before := w.stored()
	_, _, err := w.SignIn(ctx, newcomer, "", account(9))
	wantError(t, "unknown account", err, controlplane.KindForbidden, "sign-up-closed")
	if got := w.stored(); got != before {
		t.Errorf("users, organizations, sessions and log have %v rows, want %v", got, before)
	}

	if s, _ := w.signIn(1); s.OrgID != w.org {
		t.Errorf("SignIn = %+v, want a session in the organization %s", s, w.org)
	}
	gone := w.member(2, controlplane.RoleAdmin)
	w.signIn(2)
	must(t, w.RemoveMember(ctx, alice, nil, w.org, gone.User.ID, false))
	before = w.stored()
	renamed := account(2)
	renamed.Login = "renamed"
	_, _, err = w.SignIn(ctx, newcomer, "", renamed)
	wantError(t, "removed member", err, controlplane.KindForbidden, "sign-up-closed")
	if got := w.stored(); got != before ||
		value[string](w, `SELECT login FROM users WHERE id = $1`, gone.User.ID) != "user-2" {
		t.Errorf("rows after a rejected sign-in = %v, want %v", got, before)
	}
}

func TestSignInToJoin(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*lifecycle.Config){"open": func(*lifecycle.Config) {},
		"invited": invitedOnly} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, change)
			i := w.invite(controlplane.RoleAdmin)
			s, secret, joined, err := w.SignInToJoin(t.Context(), newcomer, "a browser", account(1),
				i.Hash)
			must(t, err)
			got, err := w.Store.Session(t.Context(), controlplane.HashSecret(secret), w.clock.Now())
			must(t, err)
			if !joined || got.ID != s.ID || got.OrgID != w.org ||
				got.Role != controlplane.RoleAdmin || s.Role != controlplane.RoleAdmin ||
				s.Tier != controlplane.TierPro || got.User.JoinedAt == nil {
				t.Errorf("SignInToJoin = %+v, joined %v, stored as %+v", s, joined, got)
			}
			want := 2 // a new user also gets their own
			if name == "invited" {
				want = 1
			}
			if n := value[int](w, `SELECT count(*) FROM organizations`); n != want {
				t.Errorf("%d organizations, want %d", n, want)
			}
			by := controlplane.Actor{Type: controlplane.ActorUser, ID: s.User.ID,
				IP: "192.0.2.9", RequestID: "req-2"}
			for id, want := range map[string][]string{
				i.ID:      {controlplane.ActionInvited, controlplane.ActionInviteAccepted},
				s.User.ID: {controlplane.ActionMemberJoined},
				s.ID:      {controlplane.ActionSessionStarted},
			} {
				if got := w.events(id); !slices.Equal(got, want) {
					t.Errorf("logged actions = %q, want %q", got, want)
				}
				if e := w.last(id); e.Actor != by {
					t.Errorf("actor of %s = %+v, want %+v", e.Action, e.Actor, by)
				}
			}
			// The invitation can be used once, even by the same user.
			before := w.stored()
			for _, n := range []int64{1, 2} {
				_, _, _, err = w.SignInToJoin(t.Context(), newcomer, "", account(n), i.Hash)
				wantError(t, "second use", err, controlplane.KindNotFound, "not-found")
			}
			if got := w.stored(); got != before {
				t.Errorf("users, organizations, sessions and log have %v rows, want %v", got,
					before)
			}
		})
	}
}

// A user who was added by login, and first signs in with an invitation of another organization,
// joins both.
func TestSignInToJoinOfKnownUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, invitedOnly)
	ctx := t.Context()
	other := w.organization(1)
	m, err := w.AddMember(ctx, alice, other, account(1), controlplane.RoleMember)
	must(t, err)
	i := w.invite(controlplane.RoleMember)
	s, _, joined, err := w.SignInToJoin(ctx, newcomer, "", account(1), i.Hash)
	if err != nil || !joined || s.OrgID != w.org || s.User.ID != m.User.ID {
		t.Fatalf("SignInToJoin = %+v, %v, %v, want a session of the new member in the organization",
			s, joined, err)
	}
	for _, org := range []string{w.org, other} {
		if n := value[int](w, `SELECT count(*) FROM audit_logs WHERE org_id = $1 AND action = $2`,
			org, controlplane.ActionMemberJoined); n != 1 {
			t.Errorf("%d events member.joined, want 1", n)
		}
	}

	// A member keeps their role, and the invitation stays open.
	i = w.invite(controlplane.RoleOwner)
	s, _, joined, err = w.SignInToJoin(ctx, newcomer, "", account(1), i.Hash)
	if err != nil || joined || s.OrgID != w.org || s.Role != controlplane.RoleMember ||
		w.roles()["user-1"] != controlplane.RoleMember {
		t.Errorf("SignInToJoin of a member = %+v, %v, %v, want their role unchanged", s, joined,
			err)
	}
	if _, _, joined, err = w.SignInToJoin(ctx, newcomer, "", account(2), i.Hash); err != nil ||
		!joined {
		t.Errorf("SignInToJoin of another user: joined %v, error %v, want true", joined, err)
	}
	// A removed member can rejoin with an invitation.
	must(t, w.RemoveMember(ctx, alice, nil, w.org, "user-1", false))
	must(t, w.RemoveMember(ctx, alice, nil, other, "user-1", false))
	i = w.invite(controlplane.RoleAdmin)
	if s, _, joined, err = w.SignInToJoin(ctx, newcomer, "", account(1), i.Hash); err != nil ||
		!joined || s.Role != controlplane.RoleAdmin {
		t.Errorf("SignInToJoin = %+v, %v, %v, want a new admin", s, joined, err)
	}
}

func TestSignInToJoinWithoutAnInvitation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	i := w.invite(controlplane.RoleMember)
	must(t, w.RevokeInvitation(ctx, alice, nil, w.org, i.ID))
	expired := w.invite(controlplane.RoleMember)
	before := w.stored()
	for _, hash := range [][]byte{i.Hash, controlplane.HashSecret(controlplane.NewRandomSecret()),
		nil} {
		_, _, _, err := w.SignInToJoin(ctx, newcomer, "", account(1), hash)
		wantError(t, "unknown invitation", err, controlplane.KindNotFound, "not-found")
	}
	w.clock.add(controlplane.InvitationLife)
	_, _, _, err := w.SignInToJoin(ctx, newcomer, "", account(1), expired.Hash)
	wantError(t, "expired invitation", err, controlplane.KindNotFound, "not-found")
	if got := w.stored(); got != before {
		t.Errorf("users, organizations, sessions and log have %v rows, want %v", got, before)
	}
}

// Several users, half of them signed in, use one invitation at the same time: one joins. Nothing is
// stored of the others who are new.
func TestInvitationIsUsedOnceAtSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	i, secret, err := w.CreateInvitation(ctx, alice, nil, w.org, controlplane.RoleMember, 0)
	must(t, err)
	var joined, gone atomic.Int64
	var wg sync.WaitGroup
	count := func(ok bool, err error) {
		switch {
		case ok && err == nil:
			joined.Add(1)
		case controlplane.IsKind(err, controlplane.KindNotFound):
			gone.Add(1)
		}
	}
	for n := range int64(4) {
		session, actor := w.signIn(n + 1)
		wg.Go(func() {
			_, ok, err := w.AcceptInvitation(ctx, actor, session, secret)
			count(ok, err)
		})
		wg.Go(func() {
			_, _, ok, err := w.SignInToJoin(ctx, newcomer, "", account(n+101), i.Hash)
			count(ok, err)
		})
	}
	wg.Wait()
	roles := w.roles()
	if joined.Load() != 1 || gone.Load() != 7 || len(roles) != 1 {
		t.Errorf("%d users joined and %d were rejected, members %v", joined.Load(), gone.Load(),
			roles)
	}
	want := 0
	for login := range roles {
		if len(login) == len("user-101") {
			want = 1
		}
	}
	if n := value[int](w, `SELECT count(*) FROM users WHERE github_id > 100`); n != want {
		t.Errorf("%d new users are stored, want %d", n, want)
	}
}
