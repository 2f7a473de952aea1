package dashboard

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

var alice = controlplane.GitHubAccount{ID: 2, Login: "alice", Name: "Alice <b>Liddell</b>"}

func TestOrganizationPage(t *testing.T) {
	s := newSignedIn(t)
	s.add(s.org, "example.com")
	s.get("/settings").to("/settings/organization")
	s.get("/settings/organization").
		want(http.StatusOK, "Plan Pro", "Domains 1 of 15", "Webhooks 0 of 25", "API calls 1000 in 60 s", "Kept for 1 year", "0 issued", "Members 1", s.org.ID, "You are the last owner", "its domains (1)").
		has(`href="/settings" aria-current="true"`, `href="/settings/organization" aria-current="true"`, `data-copy="`+s.org.ID+`"`, `value="Example Ltd"`, `action="/settings/organization/delete"`).
		hasNot(`action="/settings/organization/leave"`)
	for span, want := range map[time.Duration]string{90: "90 days", 1: "1 day", 365: "1 year", 3 * 365: "3 years"} {
		if got := longSpan(span * 24 * time.Hour); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestRenameOrganization(t *testing.T) {
	s := newSignedIn(t)
	const hostile = `"><script>alert(1)</script>`
	rename := func(name string) answer { return s.post("/settings/organization", url.Values{"name": {name}}) }
	rename("  New & Co ").to("/settings/organization")
	s.get("/settings/organization").want(http.StatusOK, "has its new name", "New & Co").has(`value="New &amp; Co"`)
	for _, name := range []string{"", " ", strings.Repeat("a", 201), "a\x00b"} {
		rename(name).want(http.StatusUnprocessableEntity).has(`aria-describedby="name-error"`, `id="name-error"`, "autofocus")
	}
	rename(strings.Repeat("é", 201)).want(http.StatusUnprocessableEntity, "1 to 200 characters").has(strings.Repeat("é", 201))
	rename(hostile).to("/settings/organization")
	s.get("/settings/organization").want(http.StatusOK, hostile).hasNot("<script>alert")
	if got := s.actions(s.org.ID, "organization"); !slices.Equal(got, []string{controlplane.ActionOrgCreated, controlplane.ActionOrgRenamed, controlplane.ActionOrgRenamed}) {
		t.Errorf("the log has %q", got)
	}
}

// Who is no owner sees the page, without what would be refused.
func TestOrganizationOfOthers(t *testing.T) {
	s := newSignedIn(t)
	for _, path := range []string{"/settings", "/settings/organization"} {
		s.browser().get(path).to(signInTo(path))
	}
	for i, role := range []controlplane.Role{controlplane.RoleAdmin, controlplane.RoleMember} {
		account := controlplane.GitHubAccount{ID: 10 + int64(i), Login: string(role)}
		s.join(s.org, account, role)
		b := s.again(account)
		b.get("/settings/organization").want(http.StatusOK, "Example Ltd", "Your role "+string(role), "only organization that you belong to").
			has(`action="/settings/organization/leave"`).hasNot(`action="/settings/organization"`, "/settings/organization/delete", `name="name"`)
		b.post("/settings/organization", url.Values{"name": {"Mine"}}).want(http.StatusForbidden, "lacks the scope organization:write")
		b.post("/settings/organization/delete", url.Values{"confirm": {"Example Ltd"}}).want(http.StatusForbidden)
	}
	for _, path := range []string{"/settings/organization", "/settings/organization/delete", "/settings/organization/leave"} {
		s.browser().post(path, nil).to("/login")
		s.post(path, url.Values{"confirm": {"Example Ltd"}}, "Origin", "https://evil.example").want(http.StatusForbidden, "sent from another site")
	}
	if o, err := s.store.Organization(t.Context(), s.org.ID); err != nil || o.Name != "Example Ltd" {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestLeaveOrganization(t *testing.T) {
	s := newSignedIn(t)
	s.join(s.org, alice, controlplane.RoleAdmin)
	a := s.again(alice)
	a.get("/farewell").to("/domains")
	a.post("/settings/organization/leave", nil).to("/farewell")
	a.get("/farewell").want(http.StatusOK, "You have left the organization", "belong to no organization", "an organization of your own").has(`href="/login"`)
	a.notIn()
	s.life.InvitedOnly = true
	a.get("/farewell").want(http.StatusOK, "Only members come in here").hasNot("organization of your own", "You have left")

	// Who belongs to another organization finds themselves there.
	other := s.newOrg("Other Ltd")
	s.join(other, alice, controlplane.RoleMember)
	s.join(s.org, alice, controlplane.RoleOwner)
	a = s.again(alice)
	a.post("/organizations/"+s.org.ID+"/switch", nil)
	a.get("/settings/organization").want(http.StatusOK, "Example Ltd").hasNot("so you are signed out", "last owner")
	a.post("/settings/organization/leave", nil).to("/domains")
	a.get("/domains").want(http.StatusOK, "Other Ltd", "You have left the organization")
	if _, err := s.store.Member(t.Context(), s.org.ID, "alice"); !controlplane.IsKind(err, controlplane.KindNotFound) {
		t.Errorf("she is still a member: %v", err)
	}

	// The last owner stays, also where they could go elsewhere.
	s.join(other, developer, controlplane.RoleMember)
	before := s.actions(s.org.ID, "session")
	s.post("/settings/organization/leave", nil).want(http.StatusConflict, "You are the last owner, so you cannot leave", "Nothing was changed").has(`href="/settings/members"`)
	s.get("/domains").want(http.StatusOK, "Example Ltd")
	if after := s.actions(s.org.ID, "session"); len(after) != len(before) {
		t.Errorf("the session went somewhere: %q", after)
	}
}

func TestDeleteOrganization(t *testing.T) {
	s := newSignedIn(t)
	s.add(s.org, "example.com")
	other := s.newOrg("Other Ltd")
	s.join(s.org, alice, controlplane.RoleMember)
	a := s.again(alice)
	for _, typed := range []string{"", "example ltd", "Other Ltd", `<script>alert(1)</script>`} {
		s.post("/settings/organization/delete", url.Values{"confirm": {typed}}).want(http.StatusUnprocessableEntity, "nothing was deleted").
			has(`<details open>`, `aria-describedby="confirm-error"`, `id="confirm-error"`).hasNot("<script>alert")
	}
	s.join(other, developer, controlplane.RoleOwner)
	s.post("/settings/organization/delete", url.Values{"confirm": {" Example Ltd "}}).to("/domains")
	s.get("/domains").want(http.StatusOK, "Other Ltd", "The organization is deleted")
	a.notIn()
	if _, err := s.store.Organization(t.Context(), s.org.ID); !controlplane.IsKind(err, controlplane.KindNotFound) {
		t.Errorf("it is still there: %v", err)
	}
	s.post("/settings/organization/delete", url.Values{"confirm": {"Other Ltd"}}).to("/farewell")
	s.get("/farewell").want(http.StatusOK, "The organization is deleted", "You are signed out")
	s.notIn()
	if n := s.organizations(); n != 0 {
		t.Errorf("%d organizations are left", n)
	}
}

// Where the change is refused at the last moment, the session comes back.
func TestPartThatFails(t *testing.T) {
	s := newSignedIn(t)
	other := s.newOrg("Other Ltd")
	s.join(other, developer, controlplane.RoleMember)
	refused := controlplane.Invalid("/x", "refused", "Refused.", "")
	handler := s.dash.handler
	s.dash.handler = s.dash.signedIn(func(w http.ResponseWriter, v *visit) error {
		return s.dash.endMembership(w, v, "left", func() error { return refused })
	})
	s.post("/", nil).want(http.StatusUnprocessableEntity, "Refused.")
	s.dash.handler = handler
	s.get("/domains").want(http.StatusOK, "Example Ltd").hasNot("You have left")
}
