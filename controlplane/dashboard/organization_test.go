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
		want(http.StatusOK, "Plan Pro", "Domains 1 of 15", "Webhooks 0 of 25",
			"API calls 1000 per 60 s", "Kept for 1 year", "0 issued", "Members 1", s.org.ID,
			"You are the last owner", "its domains (1)").
		has(`href="/settings" aria-current="true"`,
			`href="/settings/organization" aria-current="true"`, `data-copy="`+s.org.ID+`"`,
			`value="Example Ltd"`, `action="/settings/organization/delete"`).
		hasNot(`action="/settings/organization/leave"`)
	for span, want := range map[time.Duration]string{90: "90 days", 1: "1 day", 365: "1 year",
		3 * 365: "3 years"} {
		if got := longSpan(span * 24 * time.Hour); got != want {
			t.Errorf("longSpan(%d days) = %q, want %q", span, got, want)
		}
	}
}

func TestRenameOrganization(t *testing.T) {
	s := newSignedIn(t)
	const hostile = `"><script>alert(1)</script>`
	rename := func(name string) response {
		return s.post("/settings/organization",
			url.Values{"name": {name}})
	}
	rename("  New & Co ").to("/settings/organization")
	s.get("/settings/organization").want(http.StatusOK, "Organization renamed.",
		"New & Co").has(`value="New &amp; Co"`)
	for _, name := range []string{"", " ", strings.Repeat("a", 201), "a\x00b"} {
		rename(name).want(http.StatusUnprocessableEntity).has(`aria-describedby="name-error"`,
			`id="name-error"`, "autofocus")
	}
	rename(strings.Repeat("é", 201)).want(http.StatusUnprocessableEntity,
		"at most 200 characters").has(strings.Repeat("é", 201))
	rename(hostile).to("/settings/organization")
	s.get("/settings/organization").want(http.StatusOK, hostile).hasNot("<script>alert")
	if got := s.actions(s.org.ID, "organization"); !slices.Equal(got,
		[]string{controlplane.ActionOrgCreated, controlplane.ActionOrgRenamed,
			controlplane.ActionOrgRenamed}) {
		t.Errorf("audit actions = %q, want two renames", got)
	}
}

// Other roles see the page without the owner's forms.
func TestOrganizationByRole(t *testing.T) {
	s := newSignedIn(t)
	for _, path := range []string{"/settings", "/settings/organization"} {
		s.newVisitor().get(path).to(signInTo(path))
	}
	for i, role := range []controlplane.Role{controlplane.RoleAdmin, controlplane.RoleMember} {
		account := controlplane.GitHubAccount{ID: 10 + int64(i), Login: string(role)}
		s.addMember(s.org, account, role)
		b := s.signedInAs(account)
		b.get("/settings/organization").want(http.StatusOK, "Example Ltd", "Your role "+
			string(role), "your only organization").
			has(`action="/settings/organization/leave"`).hasNot(`action="/settings/organization"`,
			"/settings/organization/delete", `name="name"`)
		b.post("/settings/organization", url.Values{"name": {"Mine"}}).want(http.StatusForbidden,
			"does not include the permission organization:write")
		b.post("/settings/organization/delete", url.Values{"confirm": {"Example Ltd"}}).want(
			http.StatusForbidden)
	}
	for _, path := range []string{"/settings/organization", "/settings/organization/delete",
		"/settings/organization/leave"} {
		s.newVisitor().post(path, nil).to(signInTo(organizationPath))
		s.post(path, url.Values{"confirm": {"Example Ltd"}}, "Origin",
			"https://evil.example").want(http.StatusForbidden, "sent from another site")
	}
	if o, err := s.store.Organization(t.Context(), s.org.ID); err != nil ||
		o.Name != "Example Ltd" {
		t.Errorf("Organization = %+v, %v, want the name Example Ltd", o, err)
	}
}

func TestLeaveOrganization(t *testing.T) {
	s := newSignedIn(t)
	s.addMember(s.org, alice, controlplane.RoleAdmin)
	a := s.signedInAs(alice)
	a.get("/farewell").to("/domains")
	a.post("/settings/organization/leave", nil).to("/farewell")
	a.get("/farewell").want(http.StatusOK, "You left the organization",
		"no longer belong to an organization", "you get a new organization").has(`href="/login"`)
	a.wantSignedOut()
	s.life.InvitedOnly = true
	a.get("/farewell").want(http.StatusOK,
		"Only invited members can sign in").hasNot("you get a new organization", "You left")

	// A user with another organization is switched to it.
	other := s.newOrg("Other Ltd")
	s.addMember(other, alice, controlplane.RoleMember)
	s.addMember(s.org, alice, controlplane.RoleOwner)
	a = s.signedInAs(alice)
	a.post("/organizations/"+s.org.ID+"/switch", nil)
	a.get("/settings/organization").want(http.StatusOK,
		"Example Ltd").hasNot("so you are signed out", "last owner")
	a.post("/settings/organization/leave", nil).to("/domains")
	a.get("/domains").want(http.StatusOK, "Other Ltd", "You left the organization")
	if _, err := s.store.Member(t.Context(), s.org.ID, "alice"); !controlplane.IsKind(err,
		controlplane.KindNotFound) {
		t.Errorf("Member(alice) after leaving = %v, want not found", err)
	}

	// The last owner cannot leave, even with another organization.
	s.addMember(other, developer, controlplane.RoleMember)
	before := s.actions(s.org.ID, "session")
	s.post("/settings/organization/leave", nil).want(http.StatusConflict,
		"You are the last owner, so you cannot leave",
		"Nothing was changed").has(`href="/settings/members"`)
	s.get("/domains").want(http.StatusOK, "Example Ltd")
	if after := s.actions(s.org.ID, "session"); len(after) != len(before) {
		t.Errorf("session actions = %q, want no new ones", after)
	}
}

func TestDeleteOrganization(t *testing.T) {
	s := newSignedIn(t)
	s.add(s.org, "example.com")
	other := s.newOrg("Other Ltd")
	s.addMember(s.org, alice, controlplane.RoleMember)
	a := s.signedInAs(alice)
	for _, typed := range []string{"", "example ltd", "Other Ltd", `<script>alert(1)</script>`} {
		s.post("/settings/organization/delete", url.Values{"confirm": {typed}}).want(
			http.StatusUnprocessableEntity, "Nothing was deleted").
			has(`<details open>`, `aria-describedby="confirm-error"`,
				`id="confirm-error"`).hasNot("<script>alert")
	}
	s.addMember(other, developer, controlplane.RoleOwner)
	s.post("/settings/organization/delete", url.Values{"confirm": {" Example Ltd "}}).to("/domains")
	s.get("/domains").want(http.StatusOK, "Other Ltd", "Organization deleted")
	a.wantSignedOut()
	if _, err := s.store.Organization(t.Context(), s.org.ID); !controlplane.IsKind(err,
		controlplane.KindNotFound) {
		t.Errorf("Organization after the deletion = %v, want not found", err)
	}
	s.post("/settings/organization/delete", url.Values{"confirm": {"Other Ltd"}}).to("/farewell")
	s.get("/farewell").want(http.StatusOK, "Organization deleted", "You are signed out")
	s.wantSignedOut()
	if n := s.organizations(); n != 0 {
		t.Errorf("organizations = %d, want 0", n)
	}
}

// If leaving fails, the session switches back.
func TestLeaveFails(t *testing.T) {
	s := newSignedIn(t)
	other := s.newOrg("Other Ltd")
	s.addMember(other, developer, controlplane.RoleMember)
	refused := controlplane.Invalid("/x", "refused", "Refused.", "")
	handler := s.dash.handler
	s.dash.handler = s.dash.page(signedIn(func(w http.ResponseWriter, v *visit) error {
		return s.dash.endMembership(w, v, "left", func() error { return refused })
	}))
	s.post("/", nil).want(http.StatusUnprocessableEntity, "Refused.")
	s.dash.handler = handler
	s.get("/domains").want(http.StatusOK, "Example Ltd").hasNot("You left")
}
