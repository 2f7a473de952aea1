package dashboard

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// roleOf returns a member's role.
func (s *site) roleOf(login string) controlplane.Role {
	s.t.Helper()
	m, err := s.store.Member(s.t.Context(), s.org.ID, login)
	s.must(err)
	return m.Role
}

func TestChangeRole(t *testing.T) {
	s := newSignedIn(t)
	m := s.addMember(s.org, alice, controlplane.RoleMember)
	path := "/settings/members/" + m.User.ID
	s.get(path).want(http.StatusOK, "alice", alice.Name, "Role member", "Never signed in",
		m.User.ID, "Danger zone").
		has(`value="member" checked`, `action="`+path+`/remove"`, `action="`+path+
			`/transfer"`).hasNot(alice.Name)
	for _, role := range []string{"", "king", `"><script>alert(1)</script>`} {
		s.post(path+"/role", url.Values{"role": {role}}).want(http.StatusUnprocessableEntity,
			"Choose one of the roles").has(`aria-describedby="role-error"`,
			`id="role-error"`).hasNot("<script>alert")
	}
	s.post(path+"/role", url.Values{"role": {"owner"}}).to("/settings/members")
	s.get("/settings/members").want(http.StatusOK, "Role changed", "owner")
	if got := s.roleOf("alice"); got != controlplane.RoleOwner {
		t.Errorf("roleOf(alice) = %s, want unchanged or as selected", got)
	}
	if got := s.actions(s.org.ID, "member"); !slices.Equal(got,
		[]string{controlplane.ActionMemberAdded, controlplane.ActionMemberJoined,
			controlplane.ActionMemberAdded, controlplane.ActionMemberRoleChanged}) {
		t.Errorf("audit actions = %q, want one role change", got)
	}
	// With another owner, an owner can become an admin, with the permissions of one.
	own := "/settings/members/" + s.sessionOf(s).User.ID
	s.post(own+"/role", url.Values{"role": {"admin"}}).to("/settings/members")
	s.get("/settings/members").want(http.StatusOK, "Role changed").hasNot("Invite a member")
	s.get(own).want(http.StatusForbidden)
}

func TestLastOwner(t *testing.T) {
	s := newSignedIn(t)
	s.addMember(s.newOrg("Other Ltd"), developer, controlplane.RoleOwner)
	own := "/settings/members/" + s.sessionOf(s).User.ID
	s.get(own).want(http.StatusOK, "You are the organization’s last owner",
		"You can leave the organization").hasNot("<fieldset", "/remove", "/transfer")
	s.post(own+"/role", url.Values{"role": {"member"}}).want(http.StatusConflict,
		"developer is the organization's last owner", "Make another member an owner first")
	s.post(own+"/remove", nil).want(http.StatusConflict,
		"You are the last owner, so you cannot leave")
	s.post(own+"/transfer", url.Values{"confirm": {"developer"}}).want(
		http.StatusUnprocessableEntity)
	if got := s.roleOf("developer"); got != controlplane.RoleOwner {
		t.Errorf("roleOf(developer) = %s, want owner", got)
	}
}

func TestRemoveMember(t *testing.T) {
	s := newSignedIn(t)
	m := s.addMember(s.org, alice, controlplane.RoleOwner)
	a := s.signedInAs(alice)
	path := "/settings/members/" + m.User.ID
	s.post(path+"/remove", nil).to("/settings/members")
	s.get("/settings/members").want(http.StatusOK, "Member removed").hasNot("alice")
	a.wantSignedOut()
	s.get(path).want(http.StatusNotFound)
	s.post(path+"/remove", nil).want(http.StatusNotFound)

	// Removing oneself is leaving.
	s.addMember(s.org, alice, controlplane.RoleOwner)
	s.post("/settings/members/"+s.sessionOf(s).User.ID+"/remove", nil).to("/farewell")
	s.wantSignedOut()
}

func TestTransferOwnership(t *testing.T) {
	s := newSignedIn(t)
	m := s.addMember(s.org, alice, controlplane.RoleMember)
	path := "/settings/members/" + m.User.ID
	by := controlplane.Actor{Type: controlplane.ActorUser, ID: s.sessionOf(s).User.ID}
	secrets := map[string]string{}
	for name, scope := range map[string]controlplane.Scope{
		"members": controlplane.ScopeMembersWrite, "domains": controlplane.ScopeDomainsWrite} {
		var err error
		_, secrets[name], err = s.life.CreateToken(t.Context(), by, nil, s.org.ID,
			lifecycle.NewToken{Name: name + "-token", Scopes: []controlplane.Scope{scope}})
		s.must(err)
	}
	s.get(path).want(http.StatusOK,
		"that you created exceed the admin role and are revoked: members-token requires the role owner").hasNot("domains-token")
	for _, typed := range []string{"", "developer", m.User.ID, `<script>alert(1)</script>`} {
		s.post(path+"/transfer", url.Values{"confirm": {typed}}).want(
			http.StatusUnprocessableEntity, "Nothing was changed. Type alice.").
			has("<details open>", `aria-describedby="confirm-error"`,
				`id="confirm-error"`).hasNot("<script>alert")
	}
	if got := s.roleOf("alice"); got != controlplane.RoleMember {
		t.Errorf("roleOf(alice) = %s, want unchanged or as selected", got)
	}
	s.post(path+"/transfer", url.Values{"confirm": {" Alice "}}).to("/settings/members")
	s.get("/settings/members").want(http.StatusOK,
		"Ownership transferred. You are now an admin.").hasNot("Invite a member")
	if a, d := s.roleOf("alice"), s.roleOf("developer"); a != controlplane.RoleOwner ||
		d != controlplane.RoleAdmin {
		t.Errorf("roleOf(alice) = %s and roleOf(developer) = %s, want owner and admin", a, d)
	}
	if s.tokenWorks(secrets["members"]) || !s.tokenWorks(secrets["domains"]) {
		t.Errorf("after the transfer members-token works: %v, domains-token: %v; want only the second", s.tokenWorks(secrets["members"]), s.tokenWorks(secrets["domains"]))
	}
	s.post(path+"/transfer", url.Values{"confirm": {"alice"}}).want(http.StatusForbidden)
}
