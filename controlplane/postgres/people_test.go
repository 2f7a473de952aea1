package postgres_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// member stores a user and makes them a member.
func (d *db) member(org string, n int64, role controlplane.Role) *controlplane.Member {
	d.t.Helper()
	m := &controlplane.Member{OrgID: org, Role: role,
		Since: start.Add(time.Duration(n) * time.Second)}
	d.must(d.InTx(d.t.Context(), func(t *postgres.Tx) error {
		u, err := t.UserOf(d.t.Context(),
			controlplane.GitHubAccount{ID: n, Login: fmt.Sprintf("user-%d", n)}, start)
		if err != nil {
			return err
		}
		m.User = *u
		_, err = t.AddMember(d.t.Context(), m)
		return err
	}))
	return m
}

// session stores a session that starts at start.
func (d *db) session(m *controlplane.Member) *controlplane.Session {
	d.t.Helper()
	s := &controlplane.Session{ID: controlplane.NewID(controlplane.PrefixSession),
		Hash: controlplane.HashSecret(controlplane.NewRandomSecret()), User: m.User, OrgID: m.OrgID,
		CreatedAt: start, LastSeenAt: start, ExpiresAt: start.Add(controlplane.SessionIdle)}
	d.must(d.InTx(d.t.Context(), func(t *postgres.Tx) error {
		return t.AddSession(d.t.Context(),
			s)
	}))
	return s
}

func TestPeopleOfOtherTenants(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	other := d.organization(10)
	m := d.member(d.org, 1, controlplane.RoleOwner)
	s := d.session(m)
	i := &controlplane.Invitation{ID: controlplane.NewID(controlplane.PrefixInvitation),
		OrgID: d.org, Role: controlplane.RoleAdmin, Hash: controlplane.HashSecret("x"),
		ExpiresAt: start.Add(time.Hour), CreatedBy: m.User.ID, CreatedAt: start}
	d.must(d.InTx(ctx, func(t *postgres.Tx) error { return t.AddInvitation(ctx, i) }))
	in := func(fn func(t *postgres.Tx) error) error { return d.InTx(ctx, fn) }
	elsewhere, elsewhereMember := *s, *m
	elsewhere.OrgID, elsewhereMember.OrgID = other, other
	for what, err := range map[string]error{
		"Member by id": func() error { _, err := d.Member(ctx, other, m.User.ID); return err }(),
		"Member by login": func() error {
			_, err := d.Member(ctx, other, m.User.Login)
			return err
		}(),
		"SetRole": in(func(t *postgres.Tx) error {
			return t.SetRole(ctx, &elsewhereMember,
				controlplane.RoleMember)
		}),
		"RemoveMember": in(func(t *postgres.Tx) error {
			return t.RemoveMember(ctx,
				&elsewhereMember)
		}),
		"SwitchSession": in(func(t *postgres.Tx) error { return t.SwitchSession(ctx, s, other) }),
		"another's session": in(func(t *postgres.Tx) error {
			return t.SwitchSession(ctx, &elsewhere, d.org)
		}),
		"DeleteInvitation": in(func(t *postgres.Tx) error {
			_, err := t.DeleteInvitation(ctx, other, i.ID)
			return err
		}),
		"LockOrganization": in(func(t *postgres.Tx) error {
			_, err := t.LockOrganization(ctx, "org_none")
			return err
		}),
	} {
		wantKind(t, what, err, controlplane.KindNotFound)
	}
	d.must(d.TouchSession(ctx, &elsewhere, start.Add(time.Hour)))
	d.must(in(func(t *postgres.Tx) error {
		if ended, err := t.DeleteSession(ctx, &elsewhere); ended || err != nil {
			return fmt.Errorf("a session of another organization ended: %w", err)
		}
		gone, members, err := t.DeleteInvitationsBy(ctx, other, m.User.ID)
		if len(gone)+len(members) > 0 {
			return fmt.Errorf("invitations of another organization are gone")
		}
		return err
	}))
	members, _, err := d.ListMembers(ctx, other, nil, 10)
	open, _, err2 := d.ListInvitations(ctx, other, start, nil, 10)
	if len(members)+len(open) > 0 || err != nil || err2 != nil {
		t.Errorf("another organization lists %v and %v (%v, %v), want none", members, open, err,
			err2)
	}
	if got, err := d.Session(ctx, s.Hash, start); err != nil || got.OrgID != d.org ||
		!got.LastSeenAt.Equal(start) || got.Role != controlplane.RoleOwner {
		t.Errorf("Session = %+v, %v, want the owner's in %s", got, err, d.org)
	}
	if got, err := d.InvitationByHash(ctx, i.Hash, start); err != nil || got.ID != i.ID {
		t.Errorf("InvitationByHash = %+v, %v, want %s", got, err, i.ID)
	}
	for org, want := range map[string]int{d.org: 1, other: 0} {
		if n, err := d.Owners(ctx, org); err != nil || n != want {
			t.Errorf("%d owners, want %d: %v", n, want, err)
		}
		if seen, err := d.LastSeen(ctx, org, []string{m.User.ID}); err != nil || len(seen) != want {
			t.Errorf("%v, want %d: %v", seen, want, err)
		}
	}
}

func TestLastSeen(t *testing.T) {
	t.Parallel()
	d := open(t)
	m, away := d.member(d.org, 1, controlplane.RoleMember),
		d.member(d.org, 2, controlplane.RoleMember)
	d.session(m)
	s := d.session(m)
	d.must(d.TouchSession(t.Context(), s, start.Add(time.Hour)))
	seen, err := d.LastSeen(t.Context(), d.org, []string{m.User.ID, away.User.ID})
	d.must(err)
	if len(seen) != 1 || !seen[m.User.ID].Equal(start.Add(time.Hour)) {
		t.Errorf("LastSeen = %v, want %s at %s", seen, m.User.ID, start.Add(time.Hour))
	}
}

// Using a session extends it, at most once a minute, and at most until its 30th day.
func TestTouchSessionExtends(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	s := d.session(d.member(d.org, 1, controlplane.RoleMember))
	for _, tt := range []struct{ at, seen, ends time.Duration }{
		{59 * time.Second, 0, controlplane.SessionIdle},
		{time.Minute, time.Minute, time.Minute + controlplane.SessionIdle},
		{10 * time.Hour, 10 * time.Hour, 10*time.Hour + controlplane.SessionIdle},
		{controlplane.SessionLife - time.Hour, controlplane.SessionLife - time.Hour,
			controlplane.SessionLife},
	} {
		d.must(d.TouchSession(ctx, s, start.Add(tt.at)))
		got, err := d.Session(ctx, s.Hash, start)
		d.must(err)
		if got.LastSeenAt.Sub(start) != tt.seen || got.ExpiresAt.Sub(start) != tt.ends {
			t.Errorf("used after %s: seen after %s, ends after %s", tt.at,
				got.LastSeenAt.Sub(start), got.ExpiresAt.Sub(start))
		}
	}
	_, err := d.Session(ctx, s.Hash, start.Add(controlplane.SessionLife))
	wantKind(t, "after its end", err, controlplane.KindNotFound)
	d.must(d.SweepSignIns(ctx, start.Add(controlplane.SessionLife)))
	if n := value[int](d, `SELECT count(*) FROM sessions`); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestUseStateOnce(t *testing.T) {
	t.Parallel()
	d := open(t)
	hash := controlplane.HashSecret("state")
	var first count
	atOnce(8, func(int) {
		if ok, err := d.UseState(t.Context(), hash, start); ok && err == nil {
			first.Add(1)
		}
	})
	if first.Load() != 1 {
		t.Errorf("it was good %d times", first.Load())
	}
}

// The organization that a user used last comes first.
func TestMemberships(t *testing.T) {
	t.Parallel()
	d := open(t)
	second, third := d.organization(1), d.organization(1)
	m := d.member(d.org, 1, controlplane.RoleOwner)
	for _, org := range []string{second, third} {
		d.member(org, 1, controlplane.RoleMember)
	}
	s := d.session(m)
	d.must(d.InTx(t.Context(), func(t *postgres.Tx) error {
		return t.SwitchSession(d.t.Context(), s,
			third)
	}))
	all, err := d.Memberships(t.Context(), m.User.ID)
	d.must(err)
	var got []string
	for _, m := range all {
		got = append(got, m.Organization.ID)
	}
	if len(got) != 3 || got[0] != third || !slices.Contains(got, d.org) ||
		!slices.Contains(got, second) {
		t.Errorf("%q, of %q, %q, %q", got, d.org, second, third)
	}
}

// A user's sessions are listed newest first, page by page, without ended ones and those of other
// users.
func TestListSessions(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	m, stranger := d.member(d.org, 1, controlplane.RoleMember),
		d.member(d.org, 2, controlplane.RoleMember)
	d.session(stranger)
	var want []string
	for range 5 {
		want = append(want, d.session(m).ID)
	}
	ended := d.session(m)
	d.exec(`UPDATE sessions SET expires_at = $2 WHERE id = $1`, ended.ID, start)
	slices.Sort(want) // all started at the same time: the IDs decide
	slices.Reverse(want)
	var got []string
	var after *postgres.Cursor
	for {
		page, next, err := d.ListSessions(ctx, m.User.ID, start, after, 2)
		d.must(err)
		for i := range page {
			got = append(got, page[i].ID)
			if s := page[i]; s.OrgID != d.org || s.OrgName == "" || !s.CreatedAt.Equal(start) ||
				!s.ExpiresAt.Equal(start.Add(controlplane.SessionIdle)) {
				t.Errorf("ListSessions has %+v, want organization and times", s)
			}
		}
		if after = next; next == nil {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("ListSessions = %q, want %q", got, want)
	}
	d.must(d.InTx(ctx, func(tx *postgres.Tx) error {
		_, err := tx.EndSession(ctx, m.User.ID, ended.ID, start)
		wantKind(t, "EndSession of one that has expired", err, controlplane.KindNotFound)
		_, err = tx.EndSession(ctx, stranger.User.ID, want[0], start)
		wantKind(t, "EndSession of another's", err, controlplane.KindNotFound)
		return nil
	}))
}
