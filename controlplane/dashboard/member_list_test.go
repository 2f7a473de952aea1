package dashboard

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestMembersPage(t *testing.T) {
	s := newSignedIn(t)
	s.addMember(s.newOrg("Other Ltd"), controlplane.GitHubAccount{ID: 9, Login: "stranger"},
		controlplane.RoleOwner)
	s.get("/settings/members").want(http.StatusOK, "developer (you) The Developer owner",
		"No open invitations", s.server.URL+"/invitations/k3v7").hasNot("stranger")
	m := s.addMember(s.org, alice, controlplane.RoleAdmin)
	s.get("/settings/members").want(http.StatusOK, "alice "+alice.Name+" admin", "Never signed in").
		has(`href="/settings/members/`+m.User.ID+`"`,
			`href="/settings/members" aria-current="true"`,
			`action="/settings/members"`).hasNot(alice.Name)
	a := s.signedInAs(alice)
	s.get("/settings/members").want(http.StatusOK).hasNot("Never signed in")
	a.post("/logout", nil)
	s.get("/settings/members").want(http.StatusOK, "Signed out")
}

// Other roles see the same lists without buttons.
func TestMembersByRole(t *testing.T) {
	s := newSignedIn(t)
	s.invite(controlplane.RoleMember)
	owner := s.sessionOf(s).User
	paths := []string{"/settings/members", "/settings/members/" + owner.ID + "/role",
		"/settings/members/" + owner.ID + "/transfer", "/settings/members/" + owner.ID + "/remove",
		"/settings/invitations/" + s.openInvitation().ID + "/revoke"}
	for i, role := range []controlplane.Role{controlplane.RoleAdmin, controlplane.RoleMember} {
		account := controlplane.GitHubAccount{ID: 10 + int64(i), Login: "a-" + string(role)}
		s.addMember(s.org, account, role)
		b := s.signedInAs(account)
		b.get("/settings/members").want(http.StatusOK, "developer", account.Login+" (you)",
			"Open invitations", "DCVaaS").
			hasNot("/revoke", `href="/settings/members/usr_`, `action="/settings/members`,
				"Invite a member")
		b.get("/settings/members/"+owner.ID).want(http.StatusForbidden,
			"does not include the permission members:write")
		for _, path := range paths {
			b.post(path, url.Values{"role": {"member"}, "days": {"7"},
				"confirm": {"developer"}}).want(http.StatusForbidden,
				"does not include the permission members:write", "with the role owner")
		}
	}
	for _, path := range paths {
		s.newVisitor().post(path, nil).toSignIn()
		s.post(path, nil, "Origin", "https://evil.example").want(http.StatusForbidden,
			"sent from another site")
	}
	for _, path := range []string{"/settings/members", "/settings/members/" + owner.ID} {
		s.newVisitor().get(path).to(signInTo(path))
	}
	if got := s.actions(s.org.ID, "invitation"); len(got) != 1 {
		t.Errorf("audit actions = %q, want 1", got)
	}
}

// openInvitation returns the newest open invitation.
func (s *site) openInvitation() controlplane.Invitation {
	s.t.Helper()
	open, _, err := s.store.ListInvitations(s.t.Context(), s.org.ID, s.dash.now(), nil, 1)
	s.must(err)
	if len(open) == 0 {
		s.t.Fatal("no open invitations, want one")
	}
	return open[0]
}

// Members and invitations of another organization are not found.
func TestMembersOfOtherOrganization(t *testing.T) {
	s := newSignedIn(t)
	other := s.newOrg("Other Ltd")
	m := s.addMember(other, alice, controlplane.RoleOwner)
	i, _, err := s.life.CreateInvitation(t.Context(), controlplane.System("test"), nil, other.ID,
		controlplane.RoleOwner, 0)
	s.must(err)
	for _, id := range []string{m.User.ID, "alice", "developer",
		"x", controlplane.NewID(controlplane.PrefixUser)} {
		s.get("/settings/members/" + id).want(http.StatusNotFound)
		for verb, form := range map[string]url.Values{"role": {"role": {"member"}},
			"transfer": {"confirm": {"alice"}}, "remove": nil} {
			s.post("/settings/members/"+id+"/"+verb, form).want(http.StatusNotFound)
		}
	}
	for _, id := range []string{i.ID, "x", controlplane.NewID(controlplane.PrefixInvitation)} {
		s.post("/settings/invitations/"+id+"/revoke", nil).want(http.StatusNotFound)
	}
	if got := s.actions(other.ID, "member"); !slices.Equal(got,
		[]string{controlplane.ActionMemberAdded}) {
		t.Errorf("audit actions of the other organization = %q, want only the setup", got)
	}
	if got := s.actions(other.ID, "invitation"); !slices.Equal(got,
		[]string{controlplane.ActionInvited}) {
		t.Errorf("audit actions of the other organization = %q, want only the setup", got)
	}
}

var invitationLinkPattern = regexp.MustCompile(`id="secret">([^<]+)<`)

func TestCreateInvitation(t *testing.T) {
	s := newSignedIn(t)
	a := s.follow(s.post("/settings/members", url.Values{"role": {"admin"}, "days": {" 30 "}})).
		want(http.StatusOK, "joins as admin", "expires in", "it is not shown again",
			"admin By developer").has(`aria-label="Copy invitation link"`)
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q, want no-store", got)
	}
	found := invitationLinkPattern.FindStringSubmatch(a.body)
	if found == nil {
		t.Fatal("the page has no invitation link")
	}
	path, ours := strings.CutPrefix(found[1], s.server.URL)
	if !ours || strings.Count(a.body, path) != 2 { // as text and in data-copy
		t.Errorf("link = %q, want one of this site, twice on the page", found[1])
	}
	s.get("/settings/members").want(http.StatusOK, "admin By developer").hasNot(path, `id="link"`)
	if strings.Contains(s.log.String(), path) {
		t.Error("the log contains the link")
	}
	s.addMember(s.newOrg("Other Ltd"), alice, controlplane.RoleMember)
	s.signedInAs(alice).post(path, nil).to("/domains")
	if m, err := s.store.Member(t.Context(), s.org.ID, "alice"); err != nil ||
		m.Role != controlplane.RoleAdmin {
		t.Errorf("Member(alice) = %+v, %v, want role admin", m, err)
	}
	s.get("/settings/members").want(http.StatusOK, "No open invitations")

	s.dash.config.PublicURL = "https://certs.example.com"
	s.follow(s.post("/settings/members", url.Values{"role": {"member"},
		"days": {"1"}})).want(http.StatusOK, "https://certs.example.com/invitations/")
	s.dash.config.PublicURL, s.dash.config.Secure = "", true
	if got := s.dash.linkTo(&visit{Request: &http.Request{Host: "h:8443"}},
		"/x"); got != "https://h:8443/x" {
		t.Errorf("linkTo(/x) = %q, want https://h:8443/x", got)
	}
}

func TestCreateInvalidInvitation(t *testing.T) {
	s := newSignedIn(t)
	const hostile = `"><script>alert(1)</script>`
	for _, days := range []string{"", "0", "31", "-1", "1.5", "99999999999999999999", hostile} {
		s.post("/settings/members", url.Values{"role": {"admin"}, "days": {days}}).want(
			http.StatusUnprocessableEntity, "Enter a whole number of days from 1 to 30.").
			has(`id="days-error"`, `aria-describedby="days-error" aria-invalid="true"`,
				`value="admin" checked`).hasNot("<script>alert", `id="link"`)
	}
	for _, role := range []string{"", "king", hostile} {
		s.post("/settings/members", url.Values{"role": {role}, "days": {"12"}}).want(
			http.StatusUnprocessableEntity, "Choose one of the roles").
			has(`aria-describedby="role-error"`, `value="12"`).hasNot(`admin" checked`, `member" checked`, `owner" checked`,
			"<script>alert")
	}
	s.get("/settings/members").want(http.StatusOK,
		"No open invitations").has(`value="member" checked`, `value="7"`)
}

func TestRevokeInvitation(t *testing.T) {
	s := newSignedIn(t)
	link := s.invite(controlplane.RoleOwner)
	path := "/settings/invitations/" + s.openInvitation().ID + "/revoke"
	s.get("/settings/members").want(http.StatusOK, "owner By DCVaaS").has(`action="` + path + `"`)
	s.post(path, nil).to("/settings/members")
	s.get("/settings/members").want(http.StatusOK, "Invitation revoked", "No open invitations")
	s.get(link).want(http.StatusNotFound, "no longer valid")
	s.post(path, nil).want(http.StatusNotFound)
}

func TestMemberListPages(t *testing.T) {
	s := newSignedIn(t)
	for i := range peoplePerPage {
		s.addMember(s.org, controlplane.GitHubAccount{ID: 100 + int64(i),
			Login: fmt.Sprintf("user-%02d", i)}, controlplane.RoleMember)
		s.invite(controlplane.RoleMember)
	}
	s.invite(controlplane.RoleAdmin)
	next := func(a response, list string) string {
		found := regexp.MustCompile(`href="(/settings/members\?` + list +
			`=[^"]+)"`).FindStringSubmatch(a.body)
		if found == nil {
			t.Fatalf("the page has no link to more %s", list)
		}
		return found[1]
	}
	first := s.get("/settings/members").want(http.StatusOK, "developer", "user-48",
		"admin By DCVaaS").hasNot("user-49", "First page")
	members, invitations := next(first, "cursor"),
		strings.TrimSuffix(next(first, "invitations"), "#invitations")
	s.get(members).want(http.StatusOK, "user-49", "First page", "admin By DCVaaS").hasNot("user-48")
	s.get(invitations).want(http.StatusOK, "user-48", "First page",
		"member By DCVaaS").hasNot("admin By DCVaaS")
	for _, wrong := range []string{strings.Replace(members, "cursor", "invitations", 1),
		strings.Replace(invitations, "invitations", "cursor", 1), "/settings/members?cursor=x",
		"/settings/members?invitations=x"} {
		s.get(wrong).want(http.StatusBadRequest)
	}
}

// Creates and copies an invitation link with the keyboard on a narrow dark screen.
func TestBrowserInviteByKeyboard(t *testing.T) {
	s := newSite(t)
	m := s.addMember(s.org, controlplane.GitHubAccount{ID: 3,
		Login: "a-login-of-thirty-nine-characters-at-all", Name: "Somebody"},
		controlplane.RoleMember)
	s.invite(controlplane.RoleAdmin)
	b := s.open(320, 800, true, true)
	b.key(kb.Enter) // the button has the focus
	b.run(visible(`#name`))
	look := func(name string) {
		b.js(`document.querySelectorAll("details").forEach((d) => { d.open = true })`)
		b.screenshot(name)
		b.checkFits()
		b.checkContrast()
	}
	b.run(goTo(s.server.URL+"/settings/organization"), visible(`#delete`))
	look("organization")
	b.run(goTo(s.server.URL+memberURL(m.User.ID)), visible(`#remove`))
	look("member")
	b.run(goTo(s.server.URL+"/settings/members"), visible(`#days`),
		chromedp.Focus(`[name="role"]:checked`))
	look("members")
	b.key(kb.ArrowDown, kb.Tab, "x", kb.Enter) // the old text was selected
	b.run(visible(`#days-error`))
	b.eventually(`document.activeElement.id === "days"`)
	if got := b.js(
		`document.activeElement.id + " " + document.querySelector("[name=role]:checked").value`); got != "days admin" {
		t.Errorf("focus and role after an error = %q, want days admin", got)
	}
	b.js(`document.activeElement.select()`)
	b.key("3", kb.Enter)
	b.run(visible(`#secret`))
	look("invitation-link")
	b.eventually(`document.activeElement.matches("#link .copy")`)
	b.key(kb.Enter)
	b.eventually(`document.getElementById("announce").textContent === "invitation link copied"`)
	if got, want := b.js(`navigator.clipboard.readText()`),
		b.js(`document.getElementById("secret").textContent`); got != want ||
		!strings.HasPrefix(got, s.server.URL+"/invitations/") {
		t.Errorf("clipboard = %q, want %q", got, want)
	}
}
