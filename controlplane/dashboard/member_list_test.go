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
	s.join(s.newOrg("Other Ltd"), controlplane.GitHubAccount{ID: 9, Login: "stranger"}, controlplane.RoleOwner)
	s.get("/settings/members").want(http.StatusOK, "developer (you) The Developer owner", "No invitation is open", s.server.URL+"/invitations/k3v7").hasNot("stranger")
	m := s.join(s.org, alice, controlplane.RoleAdmin)
	s.get("/settings/members").want(http.StatusOK, "alice "+alice.Name+" admin", "Has not signed in yet").
		has(`href="/settings/members/`+m.User.ID+`"`, `href="/settings/members" aria-current="true"`, `action="/settings/members"`).hasNot(alice.Name)
	a := s.again(alice)
	s.get("/settings/members").want(http.StatusOK).hasNot("Has not signed in yet")
	a.post("/logout", nil)
	s.get("/settings/members").want(http.StatusOK, "Not signed in now")
}

// Who is no owner sees the same lists, and nothing to press.
func TestMembersOfOthers(t *testing.T) {
	s := newSignedIn(t)
	s.invite(controlplane.RoleMember)
	owner := s.sessionOf(s).User
	paths := []string{"/settings/members", "/settings/members/" + owner.ID + "/role", "/settings/members/" + owner.ID + "/transfer", "/settings/members/" + owner.ID + "/remove",
		"/settings/invitations/" + s.openInvitation().ID + "/revoke"}
	for i, role := range []controlplane.Role{controlplane.RoleAdmin, controlplane.RoleMember} {
		account := controlplane.GitHubAccount{ID: 10 + int64(i), Login: "a-" + string(role)}
		s.join(s.org, account, role)
		b := s.again(account)
		b.get("/settings/members").want(http.StatusOK, "developer", account.Login+" (you)", "Open invitations", "DCVaaS").
			hasNot("/revoke", `href="/settings/members/usr_`, `action="/settings/members`, "Invite somebody")
		b.get("/settings/members/"+owner.ID).want(http.StatusForbidden, "lacks the scope members:write")
		for _, path := range paths {
			b.post(path, url.Values{"role": {"member"}, "days": {"7"}, "confirm": {"developer"}}).want(http.StatusForbidden, "lacks the scope members:write", "with the role owner")
		}
	}
	for _, path := range paths {
		s.browser().post(path, nil).to("/login")
		s.post(path, nil, "Origin", "https://evil.example").want(http.StatusForbidden, "sent from another site")
	}
	for _, path := range []string{"/settings/members", "/settings/members/" + owner.ID} {
		s.browser().get(path).to(signInTo(path))
	}
	if got := s.actions(s.org.ID, "invitation"); len(got) != 1 {
		t.Errorf("the log has %q", got)
	}
}

// openInvitation returns the newest open invitation.
func (s *site) openInvitation() controlplane.Invitation {
	s.t.Helper()
	open, _, err := s.store.ListInvitations(s.t.Context(), s.org.ID, s.dash.now(), nil, 1)
	s.must(err)
	if len(open) == 0 {
		s.t.Fatal("no invitation is open")
	}
	return open[0]
}

// Another organization's members and invitations are not there.
func TestMembersBehindTheTenantWall(t *testing.T) {
	s := newSignedIn(t)
	other := s.newOrg("Other Ltd")
	m := s.join(other, alice, controlplane.RoleOwner)
	i, _, err := s.life.CreateInvitation(t.Context(), controlplane.System("test"), nil, other.ID, controlplane.RoleOwner, 0)
	s.must(err)
	for _, id := range []string{m.User.ID, "alice", "developer", "x", controlplane.NewID(controlplane.PrefixUser)} {
		s.get("/settings/members/" + id).want(http.StatusNotFound)
		for verb, form := range map[string]url.Values{"role": {"role": {"member"}}, "transfer": {"confirm": {"alice"}}, "remove": nil} {
			s.post("/settings/members/"+id+"/"+verb, form).want(http.StatusNotFound)
		}
	}
	for _, id := range []string{i.ID, "x", controlplane.NewID(controlplane.PrefixInvitation)} {
		s.post("/settings/invitations/"+id+"/revoke", nil).want(http.StatusNotFound)
	}
	if got := s.actions(other.ID, "member"); !slices.Equal(got, []string{controlplane.ActionMemberAdded}) {
		t.Errorf("its log has %q", got)
	}
	if got := s.actions(other.ID, "invitation"); !slices.Equal(got, []string{controlplane.ActionInvited}) {
		t.Errorf("its log has %q", got)
	}
}

var secretLink = regexp.MustCompile(`id="secret">([^<]+)<`)

func TestInviteSomebody(t *testing.T) {
	s := newSignedIn(t)
	a := s.post("/settings/members", url.Values{"role": {"admin"}, "days": {" 30 "}}).
		want(http.StatusOK, "joins as admin", "ends in", "it is not shown again", "admin By developer").has(`aria-label="Copy the invitation’s link"`)
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
	found := secretLink.FindStringSubmatch(a.body)
	if found == nil {
		t.Fatal("there is no link")
	}
	path, ours := strings.CutPrefix(found[1], s.server.URL)
	if !ours || strings.Count(a.body, path) != 2 { // to read and to copy
		t.Errorf("the link is %q", found[1])
	}
	s.get("/settings/members").want(http.StatusOK, "admin By developer").hasNot(path, `id="link"`)
	if strings.Contains(s.log.String(), path) {
		t.Error("the link is logged")
	}
	s.join(s.newOrg("Other Ltd"), alice, controlplane.RoleMember)
	s.again(alice).post(path, nil).to("/domains")
	if m, err := s.store.Member(t.Context(), s.org.ID, "alice"); err != nil || m.Role != controlplane.RoleAdmin {
		t.Errorf("%+v, %v", m, err)
	}
	s.get("/settings/members").want(http.StatusOK, "No invitation is open")

	s.dash.config.PublicURL = "https://certs.example.com"
	s.post("/settings/members", url.Values{"role": {"member"}, "days": {"1"}}).want(http.StatusOK, "https://certs.example.com/invitations/")
	s.dash.config.PublicURL, s.dash.config.Secure = "", true
	if got := s.dash.linkTo(&visit{Request: &http.Request{Host: "h:8443"}}, "/x"); got != "https://h:8443/x" {
		t.Errorf("the link is %q", got)
	}
}

func TestInviteWrongly(t *testing.T) {
	s := newSignedIn(t)
	const hostile = `"><script>alert(1)</script>`
	for _, days := range []string{"", "0", "31", "-1", "1.5", "99999999999999999999", hostile} {
		s.post("/settings/members", url.Values{"role": {"admin"}, "days": {days}}).want(http.StatusUnprocessableEntity, "An invitation lasts for 1 to 30 days").
			has(`id="days-error"`, `aria-describedby="days-error" aria-invalid="true"`, `value="admin" checked`).hasNot("<script>alert", `id="link"`)
	}
	for _, role := range []string{"", "king", hostile} {
		s.post("/settings/members", url.Values{"role": {role}, "days": {"12"}}).want(http.StatusUnprocessableEntity, "Choose one of the roles").
			has(`aria-describedby="role-error"`, `value="12"`).hasNot("checked", "<script>alert")
	}
	s.get("/settings/members").want(http.StatusOK, "No invitation is open").has(`value="member" checked`, `value="7"`)
}

func TestTakeInvitationBack(t *testing.T) {
	s := newSignedIn(t)
	link := s.invite(controlplane.RoleOwner)
	path := "/settings/invitations/" + s.openInvitation().ID + "/revoke"
	s.get("/settings/members").want(http.StatusOK, "owner By DCVaaS").has(`action="` + path + `"`)
	s.post(path, nil).to("/settings/members")
	s.get("/settings/members").want(http.StatusOK, "Invitation revoked", "No invitation is open")
	s.get(link).want(http.StatusNotFound, "no longer open")
	s.post(path, nil).want(http.StatusNotFound)
}

func TestPagesOfMembersAndInvitations(t *testing.T) {
	s := newSignedIn(t)
	for i := range peoplePerPage {
		s.join(s.org, controlplane.GitHubAccount{ID: 100 + int64(i), Login: fmt.Sprintf("user-%02d", i)}, controlplane.RoleMember)
		s.invite(controlplane.RoleMember)
	}
	s.invite(controlplane.RoleAdmin)
	next := func(a answer, list string) string {
		found := regexp.MustCompile(`href="(/settings/members\?` + list + `=[^"]+)"`).FindStringSubmatch(a.body)
		if found == nil {
			t.Fatalf("there is no further page of %s", list)
		}
		return found[1]
	}
	first := s.get("/settings/members").want(http.StatusOK, "developer", "user-48", "admin By DCVaaS").hasNot("user-49", "First page")
	members, invitations := next(first, "cursor"), strings.TrimSuffix(next(first, "invitations"), "#invitations")
	s.get(members).want(http.StatusOK, "user-49", "First page", "admin By DCVaaS").hasNot("user-48")
	s.get(invitations).want(http.StatusOK, "user-48", "First page", "member By DCVaaS").hasNot("admin By DCVaaS")
	for _, wrong := range []string{strings.Replace(members, "cursor", "invitations", 1), strings.Replace(invitations, "invitations", "cursor", 1), "/settings/members?cursor=x", "/settings/members?invitations=x"} {
		s.get(wrong).want(http.StatusBadRequest, "Begin at the first page")
	}
}

// By keyboard alone, on a narrow dark screen: a link is made, and copied.
func TestBrowserInvitesByKeyboard(t *testing.T) {
	s := newSite(t)
	m := s.join(s.org, controlplane.GitHubAccount{ID: 3, Login: "a-login-of-thirty-nine-characters-at-all", Name: "Somebody"}, controlplane.RoleMember)
	s.invite(controlplane.RoleAdmin)
	b := s.open(320, 800, true, true)
	b.key(kb.Enter) // the button has the focus
	b.run(chromedp.WaitVisible(`#name`))
	look := func(name string) {
		b.js(`document.querySelectorAll("details").forEach((d) => { d.open = true })`)
		b.shot(name)
		b.fits()
		b.contrast()
	}
	b.run(chromedp.Navigate(s.server.URL+"/settings/organization"), chromedp.WaitVisible(`#delete`))
	look("organization")
	b.run(chromedp.Navigate(s.server.URL+memberURL(m.User.ID)), chromedp.WaitVisible(`#remove`))
	look("member")
	b.run(chromedp.Navigate(s.server.URL+"/settings/members"), chromedp.WaitVisible(`#days`), chromedp.Focus(`[name="role"]:checked`))
	look("members")
	b.key(kb.ArrowDown, kb.Tab, "x", kb.Enter) // what stood there was selected
	b.run(chromedp.WaitVisible(`#days-error`))
	if got := b.js(`document.activeElement.id + " " + document.querySelector("[name=role]:checked").value`); got != "days admin" {
		t.Errorf("after an error: %q", got)
	}
	b.js(`document.activeElement.select()`)
	b.key("3", kb.Enter)
	b.run(chromedp.WaitVisible(`#secret`))
	look("invitation-link")
	b.eventually(`document.activeElement.matches("#link .copy")`)
	b.key(kb.Enter)
	b.eventually(`document.getElementById("announce").textContent === "the invitation’s link copied"`)
	if got, want := b.js(`navigator.clipboard.readText()`), b.js(`document.getElementById("secret").textContent`); got != want || !strings.HasPrefix(got, s.server.URL+"/invitations/") {
		t.Errorf("the clipboard has %q, want %q", got, want)
	}
}
