package lifecycle_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// account returns the nth GitHub account.
func account(n int64) controlplane.GitHubAccount {
	return controlplane.GitHubAccount{ID: n, Login: fmt.Sprintf("user-%d", n),
		Name: fmt.Sprintf("User %d", n)}
}

func (w *world) member(n int64, role controlplane.Role) *controlplane.Member {
	w.t.Helper()
	m, err := w.AddMember(w.t.Context(), alice, w.org, account(n), role)
	must(w.t, err)
	return m
}

// signIn returns a session and its actor.
func (w *world) signIn(n int64) (*controlplane.Session, controlplane.Actor) {
	w.t.Helper()
	s, secret, err := w.SignIn(w.t.Context(),
		controlplane.Actor{IP: "192.0.2.9", RequestID: "req-2"}, "a browser", account(n))
	must(w.t, err)
	got, err := w.Store.Session(w.t.Context(), controlplane.HashSecret(secret), w.clock.Now())
	must(w.t, err)
	return got, controlplane.Actor{Type: controlplane.ActorUser, ID: s.User.ID}
}

func (w *world) roles() map[string]controlplane.Role {
	w.t.Helper()
	all, _, err := w.Store.ListMembers(w.t.Context(), w.org, nil, 100)
	must(w.t, err)
	roles := map[string]controlplane.Role{}
	for _, m := range all {
		roles[m.User.Login] = m.Role
	}
	return roles
}

func (w *world) owners() int {
	n := 0
	for _, r := range w.roles() {
		if r == controlplane.RoleOwner {
			n++
		}
	}
	return n
}

func TestMembers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	m := w.member(1, controlplane.RoleMember)
	if e := w.last(m.User.ID); e.Action != controlplane.ActionMemberAdded || e.Actor != alice ||
		e.After["role"] != "member" || e.After["login"] != "user-1" {
		t.Errorf("last entry = %+v, want member.added by alice with the role member", e)
	}
	_, err := w.AddMember(ctx, alice, w.org, account(1), controlplane.RoleOwner)
	if e := wantError(t, "twice", err, controlplane.KindConflict,
		"member-exists"); e.ExistingID != m.User.ID {
		t.Errorf("existing ID = %q, want %q", e.ExistingID, m.User.ID)
	}
	_, err = w.AddMember(ctx, alice, w.org, account(2), "king")
	wantError(t, "no role", err, controlplane.KindInvalid, "role-unknown")
	_, err = w.AddMember(ctx, alice, controlplane.NewID("org"), account(2), controlplane.RoleAdmin)
	wantError(t, "no organization", err, controlplane.KindNotFound, "not-found")

	got, err := w.SetRole(ctx, alice, nil, w.org, "USER-1", controlplane.RoleAdmin, false)
	if err != nil || got.Role != controlplane.RoleAdmin {
		t.Errorf("SetRole(admin) = %+v, %v, want the role admin", got, err)
	}
	if e := w.last(m.User.ID); e.Action != controlplane.ActionMemberRoleChanged ||
		e.Before["role"] != "member" || e.After["role"] != "admin" {
		t.Errorf("last entry = %+v, want member.role_changed from member to admin", e)
	}
	other := w.organization(1)
	_, err = w.SetRole(ctx, alice, nil, other, m.User.ID, controlplane.RoleOwner, false)
	wantError(t, "another organization", err, controlplane.KindNotFound, "not-found")
	wantError(t, "another organization", w.RemoveMember(ctx, alice, nil, other, m.User.ID, false),
		controlplane.KindNotFound, "not-found")
	must(t, w.RemoveMember(ctx, alice, nil, w.org, m.User.ID, false))
	if e := w.last(m.User.ID); e.Action != controlplane.ActionMemberRemoved ||
		e.Before["role"] != "admin" {
		t.Errorf("last entry = %+v, want member.removed with the role admin", e)
	}
	wantError(t, "twice", w.RemoveMember(ctx, alice, nil, w.org, m.User.ID, false),
		controlplane.KindNotFound, "not-found")
}

func TestLastOwnerStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	owner, admin := w.member(1, controlplane.RoleOwner), w.member(2, controlplane.RoleAdmin)
	_, err := w.SetRole(ctx, alice, nil, w.org, owner.User.ID, controlplane.RoleAdmin, false)
	wantError(t, "demoted", err, controlplane.KindConflict, "last-owner")
	wantError(t, "removed", w.RemoveMember(ctx, alice, nil, w.org, owner.User.Login, false),
		controlplane.KindConflict, "last-owner")
	if _, err := w.SetRole(ctx, alice, nil, w.org, owner.User.ID, controlplane.RoleOwner,
		false); err != nil {
		t.Errorf("SetRole(owner) of the last owner: %v", err)
	}
	must(t, w.RemoveMember(ctx, alice, nil, w.org, admin.User.ID, false))
}

// One owner remains after any concurrent removals, role changes, and transfers.
func TestLastOwnerStaysUnderConcurrency(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	for round := range int64(5) {
		ids := make([]string, 6)
		for i := range ids {
			ids[i] = w.member(100*round+int64(i)+1, controlplane.RoleOwner).User.ID
		}
		var refused atomic.Int64
		var wg sync.WaitGroup
		for i, id := range ids {
			wg.Go(func() {
				var err error
				switch i % 3 {
				case 0:
					err = w.RemoveMember(ctx, alice, nil, w.org, id, false)
				case 1:
					_, err = w.SetRole(ctx, alice, nil, w.org, id, controlplane.RoleMember, false)
				case 2:
					_, err = w.TransferOwnership(ctx, alice, nil, w.org, id, ids[(i+1)%len(ids)],
						false)
				}
				if controlplane.HasCode(err, "last-owner") {
					refused.Add(1)
				}
			})
		}
		wg.Wait()
		if n := w.owners(); n < 1 {
			t.Fatalf("round %d: %d owners, want at least 1", round, n)
		}
		// All remaining owners leave at the same time.
		for _, id := range ids {
			wg.Go(func() { _ = w.RemoveMember(ctx, alice, nil, w.org, id, false) })
		}
		wg.Wait()
		if n := w.owners(); n < 1 {
			t.Fatalf("round %d: %d owners after all left, want 1", round, n)
		}
	}
}

func TestTransferOwnership(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	w.member(1, controlplane.RoleOwner)
	w.member(2, controlplane.RoleMember)
	for name, tt := range map[string]struct{ from, to, code string }{
		"to unknown":    {"user-1", "user-9", "member-unknown"},
		"from unknown":  {"user-9", "user-2", "member-unknown"},
		"from a member": {"user-2", "user-1", "not-an-owner"},
		"to themselves": {"user-1", "USER-1", "transfer-to-self"},
	} {
		_, err := w.TransferOwnership(ctx, alice, nil, w.org, tt.from, tt.to, false)
		wantError(t, name, err, controlplane.KindInvalid, tt.code)
	}
	m, err := w.TransferOwnership(ctx, alice, nil, w.org, "user-1", "user-2", false)
	if err != nil || m.User.Login != "user-2" || m.Role != controlplane.RoleOwner {
		t.Errorf("TransferOwnership = %+v, %v, want user-2 as the owner", m, err)
	}
	if got := w.roles(); got["user-1"] != controlplane.RoleAdmin ||
		got["user-2"] != controlplane.RoleOwner {
		t.Errorf("roles = %v, want user-1 as an admin and user-2 as an owner", got)
	}
	if e := w.last(w.org); e.Action != controlplane.ActionOrgTransferred ||
		e.After["owner"] != m.User.ID {
		t.Errorf("last entry = %+v, want organization.transferred to %s", e, m.User.ID)
	}
}

// One of several users who open the same link at the same time joins.
func TestInvitationCanBeUsedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	i, secret, err := w.CreateInvitation(ctx, alice, nil, w.org, controlplane.RoleAdmin, 0)
	must(t, err)
	if i.ExpiresAt != start.Add(controlplane.InvitationLife) || i.CreatedBy != alice.ID ||
		value[int](w, `SELECT count(*) FROM audit_logs a WHERE a::text LIKE '%' || $1 || '%'`,
			secret) != 0 {
		t.Errorf("invitation = %+v, want one of alice for %s, and no secret in the audit log", i,
			controlplane.InvitationLife)
	}
	var joined, gone atomic.Int64
	var wg sync.WaitGroup
	for n := range int64(8) {
		session, actor := w.signIn(n + 1)
		wg.Go(func() {
			switch _, ok, err := w.AcceptInvitation(ctx, actor, session, secret); {
			case ok && err == nil:
				joined.Add(1)
			case controlplane.IsKind(err, controlplane.KindNotFound):
				gone.Add(1)
			}
		})
	}
	wg.Wait()
	if joined.Load() != 1 || gone.Load() != 7 || len(w.roles()) != 1 {
		t.Errorf("%d users joined and %d were rejected, members %v, want 1 joined", joined.Load(),
			gone.Load(), w.roles())
	}
	for _, life := range []time.Duration{time.Second, controlplane.InvitationMaxLife +
		time.Second} {
		_, _, err = w.CreateInvitation(ctx, alice, nil, w.org, controlplane.RoleAdmin, life)
		wantError(t, "life out of range", err, controlplane.KindInvalid, "out-of-range")
	}
}

// A member who can no longer invite cannot rejoin with their own invitation.
func TestInvitationsAreRevokedWithTheRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	w.member(1, controlplane.RoleOwner)
	for n, end := range map[int64]func(id string) error{
		2: func(id string) error { return w.RemoveMember(ctx, alice, nil, w.org, id, false) },
		3: func(id string) error {
			_, err := w.SetRole(ctx, alice, nil, w.org, id, controlplane.RoleAdmin, false)
			return err
		},
		4: func(id string) error {
			_, err := w.TransferOwnership(ctx, alice, nil, w.org, id, "user-1", false)
			return err
		},
	} {
		m := w.member(n, controlplane.RoleOwner)
		by := controlplane.Actor{Type: controlplane.ActorUser, ID: m.User.ID}
		i, secret, err := w.CreateInvitation(ctx, by, nil, w.org, controlplane.RoleOwner, 0)
		must(t, err)
		must(t, end(m.User.ID))
		if e := w.last(i.ID); e.Action != controlplane.ActionInviteRevoked {
			t.Errorf("last entry = %+v, want invitation.revoked", e)
		}
		session, actor := w.signIn(n + 100)
		_, _, err = w.AcceptInvitation(ctx, actor, session, secret)
		wantError(t, "their own invitation", err, controlplane.KindNotFound, "not-found")
	}
}

func TestSignInOfAnAddedMember(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.member(1, controlplane.RoleAdmin)
	if m.User.JoinedAt != nil {
		t.Error("the member has joined before their first sign-in")
	}
	for range 2 {
		s, _ := w.signIn(1)
		if s.OrgID != w.org || s.Role != controlplane.RoleAdmin || s.User.ID != m.User.ID ||
			s.User.JoinedAt == nil || s.IP != "192.0.2.9" || s.UserAgent != "a browser" {
			t.Errorf("session = %+v, want one of user %s as an admin, with address and browser", s,
				m.User.ID)
		}
		if e := w.last(s.ID); e.Action != controlplane.ActionSessionStarted ||
			e.Actor.ID != m.User.ID || e.Actor.IP != "192.0.2.9" || e.Actor.RequestID != "req-2" {
			t.Errorf("last entry = %+v, want session.started by user %s from 192.0.2.9", e,
				m.User.ID)
		}
	}
	if n := w.count(m.User.ID, controlplane.ActionMemberJoined); n != 1 {
		t.Errorf("%d events member.joined, want 1", n)
	}
	if n := value[int](w, `SELECT count(*) FROM organizations`); n != 1 {
		t.Errorf("%d organizations, want 1", n)
	}
}

// Deleting an organization deletes everything except its audit log, and notifies the name servers.
func TestDeleteOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	other := w.organization(10)
	_, err := w.AddDomain(ctx, alice, other, lifecycle.NewDomain{Name: "other.example.com"})
	must(t, err)
	d := w.active("example.com")
	_, _, err = w.CreateToken(ctx, alice, nil, w.org,
		lifecycle.NewToken{Name: "t", Scopes: controlplane.Scopes()})
	must(t, err)
	w.member(1, controlplane.RoleOwner)
	session, _ := w.signIn(1)
	_, _, err = w.CreateInvitation(ctx, alice, nil, w.org, controlplane.RoleOwner, 0)
	must(t, err)
	w.exec(`LISTEN dcvaas_zone`)

	wantError(t, "wrong name", w.DeleteOrganization(ctx, alice, w.org, "example"),
		controlplane.KindInvalid, "confirm-mismatch")
	must(t, w.DeleteOrganization(ctx, alice, w.org, "Example"))
	// All access ends at once, even before a row is removed.
	if _, err := w.Store.Organization(ctx, w.org); !controlplane.IsKind(err,
		controlplane.KindNotFound) {
		t.Errorf("Organization after the deletion = %v, want not found", err)
	}
	for _, table := range []string{"api_tokens", "organization_members", "sessions", "invitations",
		"challenges"} {
		if n := value[int](w, `SELECT count(*) FROM `+table+` WHERE org_id = $1`, w.org); n != 0 {
			t.Errorf("%s has %d rows after the deletion, want 0", table, n)
		}
	}
	if exists, _, err := w.Store.LookupTarget(ctx, d.Target, w.clock.Now()); exists || err != nil {
		t.Errorf("LookupTarget after the deletion = %v, %v, want false", exists, err)
	}
	_, err = w.AddDomain(ctx, alice, w.org, lifecycle.NewDomain{Name: "late.example.com"})
	wantError(t, "adding a domain", err, controlplane.KindNotFound, "not-found")
	j := w.job(d, controlplane.JobStartIssuance)
	w.exec(`UPDATE jobs SET status = 'queued' WHERE id = $1`, j.ID)
	if _, err := w.Store.ClaimJob(ctx, j.ID, j.Generation, "w", time.Minute,
		w.clock.Now()); !errors.Is(err, postgres.ErrStale) {
		t.Errorf("ClaimJob after the deletion = %v, want ErrStale", err)
	}
	if n, err := w.RemoveDeleted(ctx); n != 1 || err != nil {
		t.Errorf("RemoveDeleted = %d, %v, want 1", n, err)
	}
	if n, err := w.RemoveDeleted(ctx); n != 0 || err != nil {
		t.Errorf("a second RemoveDeleted = %d, %v, want 0", n, err)
	}
	if n := value[int](w, `SELECT count(*) FROM organizations WHERE id = $1`, w.org); n != 0 {
		t.Error("the organization was not removed")
	}
	for _, table := range []string{"domains", "jobs", "certificates", "acme_orders", "api_tokens",
		"organization_members", "sessions", "invitations"} {
		if n := value[int](w, `SELECT count(*) FROM `+table+` WHERE org_id = $1`, w.org); n != 0 {
			t.Errorf("%s has %d rows, want 0", table, n)
		}
	}
	if n := value[int](w, `SELECT count(*) FROM domains`); n != 1 {
		t.Errorf("%d domains are left, want the other organization's", n)
	}
	note, err := w.own.WaitForNotification(ctx)
	if err != nil || note.Payload != "-t "+d.Target {
		t.Errorf("notification of the name servers = %+v, %v", note, err)
	}
	if _, err := w.Store.Session(ctx, session.Hash, w.clock.Now()); !controlplane.IsKind(err,
		controlplane.KindNotFound) {
		t.Errorf("reading a session of the organization: %v, want not found", err)
	}
	if e := w.last(w.org); e.Action != controlplane.ActionOrgDeleted ||
		e.Before["name"] != "Example" || e.Before["domains"] != 1.0 {
		t.Errorf("last entry = %+v, want organization.deleted with its name and number of domains",
			e)
	}
	if w.count(d.ID, controlplane.ActionCertificateIssued) != 1 {
		t.Error("the audit log was deleted")
	}
	wantError(t, "twice", w.DeleteOrganization(ctx, alice, w.org, "Example"),
		controlplane.KindNotFound, "not-found")
}

func TestRenameOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o, err := w.RenameOrganization(t.Context(), alice, w.org, " Example Ltd ")
	if err != nil || o.Name != "Example Ltd" {
		t.Errorf("RenameOrganization = %+v, %v, want the name Example Ltd", o, err)
	}
	if e := w.last(w.org); e.Action != controlplane.ActionOrgRenamed ||
		e.Before["name"] != "Example" || e.After["name"] != "Example Ltd" {
		t.Errorf("last entry = %+v, want organization.renamed from Example to Example Ltd", e)
	}
	_, err = w.RenameOrganization(t.Context(), alice, w.org, " ")
	wantError(t, "no name", err, controlplane.KindInvalid, "name-invalid")
}

// A login belongs to one user at a time.
func TestLoginIsReassigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	first := w.member(1, controlplane.RoleMember)
	second, err := w.AddMember(ctx, alice, w.org,
		controlplane.GitHubAccount{ID: 2, Login: "USER-1"}, controlplane.RoleMember)
	must(t, err)
	logins := func() []string {
		all, _, err := w.Store.ListMembers(ctx, w.org, nil, 10)
		must(t, err)
		var out []string
		for _, m := range all {
			out = append(out, m.User.ID+" "+m.User.Login)
		}
		slices.Sort(out)
		return out
	}
	want := []string{first.User.ID + " ", second.User.ID + " USER-1"}
	slices.Sort(want)
	if got := logins(); !slices.Equal(got, want) {
		t.Errorf("logins = %q, want %q", got, want)
	}
	if m, err := w.Store.Member(ctx, w.org, "user-1"); err != nil || m.User.ID != second.User.ID {
		t.Errorf("Member(user-1) = %+v, %v, want user %s", m, err, second.User.ID)
	}
	renamed := account(1)
	renamed.Login = "somebody"
	_, _, err = w.SignIn(ctx, controlplane.Actor{}, "", renamed)
	must(t, err)
	if m, err := w.Store.Member(ctx, w.org, first.User.ID); err != nil ||
		m.User.Login != "somebody" {
		t.Errorf("Member(%s) = %+v, %v, want the login somebody", first.User.ID, m, err)
	}
}
