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
	m := s.join(s.org, alice, controlplane.RoleMember)
	path := "/settings/members/" + m.User.ID
	s.get(path).want(http.StatusOK, "alice", alice.Name, "Role member", "Has not signed in yet", m.User.ID, "Danger zone").
		has(`value="member" checked`, `action="`+path+`/remove"`, `action="`+path+`/transfer"`).hasNot(alice.Name)
	for _, role := range []string{"", "king", `"><script>alert(1)</script>`} {
		s.post(path+"/role", url.Values{"role": {role}}).want(http.StatusUnprocessableEntity, "Choose one of them").has(`aria-describedby="role-error"`, `id="role-error"`).hasNot("<script>alert")
	}
	s.post(path+"/role", url.Values{"role": {"owner"}}).to("/settings/members")
	s.get("/settings/members").want(http.StatusOK, "The role is as you chose it", "owner")
	if got := s.roleOf("alice"); got != controlplane.RoleOwner {
		t.Errorf("her role is %s", got)
	}
	if got := s.actions(s.org.ID, "member"); !slices.Equal(got, []string{controlplane.ActionMemberAdded, controlplane.ActionMemberJoined, controlplane.ActionMemberAdded, controlplane.ActionMemberRoleChanged}) {
		t.Errorf("the log has %q", got)
	}
	// With another owner there, one may step back, and sees no more than others then.
	own := "/settings/members/" + s.sessionOf(s).User.ID
	s.post(own+"/role", url.Values{"role": {"admin"}}).to("/settings/members")
	s.get("/settings/members").want(http.StatusOK, "The role is as you chose it").hasNot("Invite somebody")
	s.get(own).want(http.StatusForbidden)
}

func TestLastOwnerStays(t *testing.T) {
	s := newSignedIn(t)
	s.join(s.newOrg("Other Ltd"), developer, controlplane.RoleOwner)
	own := "/settings/members/" + s.sessionOf(s).User.ID
	s.get(own).want(http.StatusOK, "You are the organization’s last owner", "To leave the organization").hasNot("<fieldset", "/remove", "/transfer")
	s.post(own+"/role", url.Values{"role": {"member"}}).want(http.StatusConflict, "developer is the organization's last owner", "Make somebody else an owner first")
	s.post(own+"/remove", nil).want(http.StatusConflict, "You are the last owner, so you cannot leave")
	s.post(own+"/transfer", url.Values{"confirm": {"developer"}}).want(http.StatusUnprocessableEntity)
	if got := s.roleOf("developer"); got != controlplane.RoleOwner {
		t.Errorf("the role is %s", got)
	}
}

func TestRemoveMember(t *testing.T) {
	s := newSignedIn(t)
	m := s.join(s.org, alice, controlplane.RoleOwner)
	a := s.again(alice)
	path := "/settings/members/" + m.User.ID
	s.post(path+"/remove", nil).to("/settings/members")
	s.get("/settings/members").want(http.StatusOK, "Member removed").hasNot("alice")
	a.notIn()
	s.get(path).want(http.StatusNotFound)
	s.post(path+"/remove", nil).want(http.StatusNotFound)

	// Who removes themselves leaves.
	s.join(s.org, alice, controlplane.RoleOwner)
	s.post("/settings/members/"+s.sessionOf(s).User.ID+"/remove", nil).to("/farewell")
	s.notIn()
}

func TestTransferOwnership(t *testing.T) {
	s := newSignedIn(t)
	m := s.join(s.org, alice, controlplane.RoleMember)
	path := "/settings/members/" + m.User.ID
	by := controlplane.Actor{Type: controlplane.ActorUser, ID: s.sessionOf(s).User.ID}
	secrets := map[string]string{}
	for name, scope := range map[string]controlplane.Scope{"members": controlplane.ScopeMembersWrite, "domains": controlplane.ScopeDomainsWrite} {
		var err error
		_, secrets[name], err = s.life.CreateToken(t.Context(), by, nil, s.org.ID, lifecycle.NewToken{Name: name + "-token", Scopes: []controlplane.Scope{scope}})
		s.must(err)
	}
	s.get(path).want(http.StatusOK, "that you created exceed an admin, and are revoked: members-token needs the role owner").hasNot("domains-token")
	for _, typed := range []string{"", "developer", m.User.ID, `<script>alert(1)</script>`} {
		s.post(path+"/transfer", url.Values{"confirm": {typed}}).want(http.StatusUnprocessableEntity, "nothing was changed. Type alice.").
			has("<details open>", `aria-describedby="confirm-error"`, `id="confirm-error"`).hasNot("<script>alert")
	}
	if got := s.roleOf("alice"); got != controlplane.RoleMember {
		t.Errorf("her role is %s", got)
	}
	s.post(path+"/transfer", url.Values{"confirm": {" Alice "}}).to("/settings/members")
	s.get("/settings/members").want(http.StatusOK, "The organization is handed over. You are an admin now.").hasNot("Invite somebody")
	if a, d := s.roleOf("alice"), s.roleOf("developer"); a != controlplane.RoleOwner || d != controlplane.RoleAdmin {
		t.Errorf("alice is %s, and who gave it %s", a, d)
	}
	if s.works(secrets["members"]) || !s.works(secrets["domains"]) {
		t.Errorf("after the transfer members-token works: %v, domains-token: %v; want only the second", s.works(secrets["members"]), s.works(secrets["domains"]))
	}
	s.post(path+"/transfer", url.Values{"confirm": {"alice"}}).want(http.StatusForbidden)
}
