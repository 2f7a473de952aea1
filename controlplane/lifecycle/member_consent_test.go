package lifecycle_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// inviteLogin invites the nth account by login.
func (w *world) inviteLogin(n int64, role controlplane.Role) *controlplane.Member {
	w.t.Helper()
	m, err := w.InviteMember(w.t.Context(), alice, nil, w.org, account(n), role)
	must(w.t, err)
	return m
}

// state returns the state of the nth account in the organization, empty without one.
func (w *world) state(n int64) controlplane.MemberState {
	w.t.Helper()
	m, err := w.Store.Member(w.t.Context(), w.org, account(n).Login)
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return ""
	}
	must(w.t, err)
	return m.State(w.clock.Now())
}

// An invitation does not make a user a member without consent: a new user starts in their own
// organization and sees the invitation.
func TestNewUserStartsInTheirOwnOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	m := w.inviteLogin(1, controlplane.RoleAdmin)
	if got := m.State(w.clock.Now()); got != controlplane.MemberPending {
		t.Errorf("InviteMember returned a member in state %s, want pending", got)
	}
	session, actor := w.signIn(1)
	if session.OrgID == w.org || session.Role != controlplane.RoleOwner ||
		session.User.ID != m.User.ID || session.Invitations != 1 {
		t.Errorf("the newcomer's session = %+v, want one as owner of another organization, with 1 invitation", session)
	}
	all, err := w.Store.Memberships(ctx, m.User.ID)
	if err != nil || len(all) != 1 || all[0].Organization.ID != session.OrgID {
		t.Errorf("Memberships(%s) = %+v, %v, want the newcomer's own organization only", m.User.ID,
			all, err)
	}
	open, err := w.Store.InvitedTo(ctx, m.User.ID, w.clock.Now())
	if err != nil || len(open) != 1 || open[0].Member.OrgID != w.org ||
		open[0].Member.Role != controlplane.RoleAdmin || open[0].Member.InvitedBy != alice.ID {
		t.Fatalf("InvitedTo(%s) = %+v, %v, want the invitation", m.User.ID, open, err)
	}

	must(t, w.AcceptMembership(ctx, actor, session, w.org, controlplane.RoleAdmin))
	if got := w.state(1); got != controlplane.MemberActive {
		t.Errorf("the member's state is %q after they accepted, want active", got)
	}
	if e := w.last(m.User.ID); e.Action != controlplane.ActionMemberJoined ||
		e.Actor.ID != m.User.ID || e.Details["invited_by"] != alice.ID {
		t.Errorf("last entry = %+v, want member.joined by the user", e)
	}
	err = w.AcceptMembership(ctx, actor, session, w.org, controlplane.RoleAdmin)
	wantError(t, "second acceptance", err, controlplane.KindNotFound, "not-found")
	if s, _ := w.signIn(1); s.OrgID != w.org || s.Role != controlplane.RoleAdmin {
		t.Errorf("the next session is in %s as %s, want %s as admin", s.OrgID, s.Role, w.org)
	}
}

// With sign-up by invitation only, an invitation by login shows only its page.
func TestGuest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, invitedOnly)
	ctx := t.Context()
	m := w.inviteLogin(1, controlplane.RoleMember)
	before := w.stored()
	_, _, err := w.SignIn(ctx, newcomer, "", account(1))
	wantError(t, "SignIn before consent", err, controlplane.KindForbidden, "sign-up-closed")
	if got := w.stored(); got != before {
		t.Errorf("users, organizations, sessions and log have %v rows, want %v", got, before)
	}
	user, err := w.Guest(ctx, account(1))
	if err != nil || user.ID != m.User.ID {
		t.Errorf("Guest() = %+v, %v, want %s", user, err, m.User.ID)
	}
	_, err = w.Guest(ctx, account(2))
	wantError(t, "Guest() of an unknown account", err, controlplane.KindNotFound, "not-found")
	_, _, err = w.AcceptAsGuest(ctx, newcomer, "", controlplane.NewID(controlplane.PrefixUser),
		w.org, controlplane.RoleMember)
	wantError(t, "AcceptAsGuest() of an unknown user", err, controlplane.KindNotFound, "not-found")

	// Only one of several simultaneous requests is accepted.
	var in atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, _, err := w.AcceptAsGuest(ctx, newcomer, "a browser", m.User.ID, w.org,
				controlplane.RoleMember); err == nil {
				in.Add(1)
			}
		})
	}
	wg.Wait()
	if in.Load() != 1 || value[int](w, `SELECT count(*) FROM sessions`) != 1 {
		t.Errorf("%d of 8 requests were accepted, with %d sessions, want 1", in.Load(),
			value[int](w, `SELECT count(*) FROM sessions`))
	}
	if s, _ := w.signIn(1); s.OrgID != w.org || s.User.JoinedAt == nil {
		t.Errorf("the session is in %s of a user who joined at %v, want %s", s.OrgID,
			s.User.JoinedAt, w.org)
	}
}

func TestStatesOfAMember(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	invite := func(n int64, role controlplane.Role) error {
		_, err := w.InviteMember(ctx, alice, nil, w.org, account(n), role)
		return err
	}
	m := w.inviteLogin(1, controlplane.RoleMember)
	wantError(t, "invited twice", invite(1, controlplane.RoleAdmin), controlplane.KindConflict,
		"member-exists")

	// The user accepts the role that they were shown.
	session, actor := w.signIn(1)
	got, err := w.SetRole(ctx, alice, nil, w.org, m.User.ID, controlplane.RoleAdmin, false)
	if err != nil || got.Role != controlplane.RoleAdmin ||
		got.State(w.clock.Now()) != controlplane.MemberPending {
		t.Errorf("SetRole() of a pending member = %+v, %v, want the new role", got, err)
	}
	err = w.AcceptMembership(ctx, actor, session, w.org, controlplane.RoleMember)
	wantError(t, "accepting another role", err, controlplane.KindConflict, "invitation-changed")

	must(t, w.DeclineMembership(ctx, newcomer, m.User.ID, w.org))
	if got := w.state(1); got != controlplane.MemberDeclined {
		t.Errorf("state %q after declining, want declined", got)
	}
	if e := w.last(m.User.ID); e.Action != controlplane.ActionMemberDeclined ||
		e.Actor.ID != m.User.ID {
		t.Errorf("last entry = %+v, want member.declined by the user", e)
	}
	wantError(t, "invited after declining", invite(1, controlplane.RoleMember),
		controlplane.KindConflict, "member-declined")
	err = w.AcceptMembership(ctx, actor, session, w.org, controlplane.RoleAdmin)
	wantError(t, "accepted after declining", err, controlplane.KindNotFound, "not-found")
	_, err = w.SetRole(ctx, alice, nil, w.org, m.User.ID, controlplane.RoleOwner, false)
	wantError(t, "role after declining", err, controlplane.KindConflict, "member-declined")
	must(t, w.RemoveMember(ctx, alice, nil, w.org, m.User.ID, false))
	must(t, invite(1, controlplane.RoleMember))

	w.inviteLogin(2, controlplane.RoleMember)
	w.clock.add(controlplane.MemberLife)
	if got := w.state(2); got != controlplane.MemberExpired {
		t.Errorf("state %q after %s, want expired", got, controlplane.MemberLife)
	}
	session, actor = w.signIn(2)
	err = w.AcceptMembership(ctx, actor, session, w.org, controlplane.RoleMember)
	wantError(t, "accepted too late", err, controlplane.KindNotFound, "not-found")
	_, err = w.SetRole(ctx, alice, nil, w.org, "user-2", controlplane.RoleAdmin, false)
	wantError(t, "role after expiry", err, controlplane.KindConflict, "member-expired")
	must(t, invite(2, controlplane.RoleAdmin))
	must(t, w.AcceptMembership(ctx, actor, session, w.org, controlplane.RoleAdmin))
	wantError(t, "an active member", invite(2, controlplane.RoleMember), controlplane.KindConflict,
		"member-exists")

	// Ownership is not transferred to a user who did not accept.
	w.member(3, controlplane.RoleOwner)
	_, err = w.TransferOwnership(ctx, alice, nil, w.org, "user-3", "user-1", false)
	wantError(t, "transfer to a pending member", err, controlplane.KindInvalid, "member-unknown")
}

// An invitation by login is revoked when its creator can no longer invite, even if they created it
// with a token that was revoked.
func TestInvitationsAreRevokedWithTheirCreator(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	w.member(1, controlplane.RoleOwner)
	w.member(2, controlplane.RoleOwner)
	_, by := w.signIn(2)
	token := w.token(by, controlplane.Scopes()...)
	for n, who := range map[int64]controlplane.Actor{11: by, 12: asToken(token)} {
		_, err := w.InviteMember(ctx, who, nil, w.org, account(n), controlplane.RoleMember)
		must(t, err)
		_, _, err = w.CreateInvitation(ctx, who, nil, w.org, controlplane.RoleMember, 0)
		must(t, err)
	}
	must(t, w.DeleteToken(ctx, by, w.org, token.ID))
	w.inviteLogin(13, controlplane.RoleMember) // by another user
	_, err := w.SetRole(ctx, alice, nil, w.org, "user-2", controlplane.RoleAdmin, false)
	must(t, err)
	links, _, err := w.Store.ListInvitations(ctx, w.org, w.clock.Now(), nil, 10)
	must(t, err)
	if got := []controlplane.MemberState{w.state(11), w.state(12), w.state(13)}; len(links) != 0 ||
		!slices.Equal(got, []controlplane.MemberState{"", "", controlplane.MemberPending}) {
		t.Errorf("%d links are open and the invitations are in states %q, want 0 and only the third pending", len(links), got)
	}
}

func TestOpenInvitationsAreLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for n := range int64(controlplane.MaxInvitations / 2) {
		w.inviteLogin(n+1, controlplane.RoleMember)
		w.invite(controlplane.RoleMember)
	}
	_, err := w.InviteMember(t.Context(), alice, nil, w.org, account(1000), controlplane.RoleMember)
	wantError(t, "by login", err, controlplane.KindForbidden, "plan-limit")
	_, _, err = w.CreateInvitation(t.Context(), alice, nil, w.org, controlplane.RoleMember, 0)
	wantError(t, "by link", err, controlplane.KindForbidden, "plan-limit")
	must(t, w.RemoveMember(t.Context(), alice, nil, w.org, "user-1", false))
	w.inviteLogin(1000, controlplane.RoleMember)
}

// A user is either a member or invited, after any concurrent requests.
func TestAcceptingUnderConcurrency(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	for n := range int64(5) {
		m := w.inviteLogin(n+1, controlplane.RoleMember)
		link := w.invite(controlplane.RoleAdmin)
		session, actor := w.signIn(n + 1)
		var wg sync.WaitGroup
		for _, do := range []func(context.Context) error{
			func(ctx context.Context) error {
				return w.AcceptMembership(ctx, actor, session, w.org, controlplane.RoleMember)
			},
			func(ctx context.Context) error {
				_, _, _, err := w.SignInToJoin(ctx, newcomer, "", account(n+1), link.Hash)
				return err
			},
			func(ctx context.Context) error {
				return w.DeclineMembership(ctx, newcomer, m.User.ID,
					w.org)
			},
			func(ctx context.Context) error {
				_, err := w.InviteMember(ctx, alice, nil, w.org, account(n+1),
					controlplane.RoleMember)
				return err
			},
		} {
			wg.Go(func() {
				if err := do(ctx); err != nil &&
					controlplane.IsKind(err, controlplane.KindInternal) {
					t.Errorf("internal error: %v", err)
				}
			})
		}
		wg.Wait()
		if got := value[int](w,
			`SELECT (SELECT count(*) FROM organization_members WHERE user_id = $1 AND org_id = $2) +
			(SELECT count(*) FROM member_invitations WHERE user_id = $1 AND org_id = $2)`, m.User.ID, w.org); got != 1 {
			t.Errorf("user %d has %d rows in the organization, want 1", n, got)
		}
	}
}
