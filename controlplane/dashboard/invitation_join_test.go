package dashboard

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// invite creates an invitation and returns the path of its link.
func (s *site) invite(role controlplane.Role) (link string) {
	s.t.Helper()
	_, secret, err := s.life.CreateInvitation(s.t.Context(), controlplane.System("test"), nil,
		s.org.ID, role, 0)
	s.must(err)
	return controlplane.InvitationPath(secret)
}

// startJoin presses the button of an invitation and returns the authorization URL at GitHub.
func (s *site) startJoin(link string) string {
	s.t.Helper()
	a := s.post(link+"/github", nil).want(http.StatusOK, "Continue to GitHub")
	to, ok := strings.CutPrefix(a.header.Get("Refresh"), "0; url=")
	if !ok {
		s.t.Fatalf("Refresh is missing: %v", a.header)
	}
	return to
}

// organizations returns the number of organizations.
func (s *site) organizations() int {
	s.t.Helper()
	all, err := s.store.Organizations(s.t.Context())
	s.must(err)
	return len(all)
}

// newOrganizations returns the number of organizations that sign-ins of n new users create.
func (s *site) newOrganizations(n int) int {
	if s.life.InvitedOnly {
		return 0
	}
	return n
}

// forEachSignUpMode runs a test with open sign-up and with sign-up by invitation only.
func forEachSignUpMode(t *testing.T, test func(*site, *devstack.GitHub)) {
	t.Parallel()
	for name, invited := range map[string]bool{"open": false, "invited": true} {
		t.Run(name, func(t *testing.T) {
			s, g := newGitHubSite(t)
			s.life.InvitedOnly = invited
			test(s, g)
		})
	}
}

// wantSignedOut fails if the visitor is signed in.
func (s *site) wantSignedOut() {
	s.t.Helper()
	s.get("/organizations").to(signInTo("/organizations"))
}

// One click leads from the link into the organization. With open sign-up, a new user also gets a
// separate organization.
func TestJoinBySignIn(t *testing.T) {
	forEachSignUpMode(t, func(s *site, _ *devstack.GitHub) {
		link := s.invite(controlplane.RoleAdmin)
		s.get(link).want(http.StatusOK, "Example Ltd", "role admin",
			"When you sign in, your GitHub account becomes a member of Example Ltd",
			"Sign in with GitHub and join").
			hasNot("development mode", `action="`+link+`"`)
		to := s.startJoin(link)
		s.wantSignedOut()
		s.get(s.authorizeAtGitHub(to, "&login=alice")).to("/domains")
		s.get("/domains").want(http.StatusOK, "Example Ltd", "alice",
			"You joined this organization")
		if session := s.sessionOf(s); session.OrgID != s.org.ID ||
			session.Role != controlplane.RoleAdmin {
			t.Errorf("session = %+v, want an admin in %s", session, s.org.ID)
		}
		if got, want := s.organizations(), 1+s.newOrganizations(1); got != want {
			t.Errorf("organizations = %d, want %d", got, want)
		}
		for kind, want := range map[string]string{
			"invitation": "invitation.created invitation.accepted",
			"member":     "member.added member.joined", "session": "session.started"} {
			if got := strings.Join(s.actions(s.org.ID, kind), " "); got != want {
				t.Errorf("audit actions = %s, want %s", got, want)
			}
		}
		// The member can then sign in as usual. Another link does not change the role.
		again := s.newVisitor()
		again.get(again.signInAtGitHub("", "&login=alice")).to("/domains")
		other := s.newVisitor()
		link = s.invite(controlplane.RoleMember)
		other.get(other.authorizeAtGitHub(other.startJoin(link), "&login=alice")).to("/domains")
		other.get("/domains").want(http.StatusOK,
			"already a member of this organization. Nothing changed")
		other.newVisitor().get(link).want(http.StatusOK, "role member")
	})
}

// A member of another organization joins this one and is switched to it.
func TestJoinAnotherOrganization(t *testing.T) {
	forEachSignUpMode(t, func(s *site, g *devstack.GitHub) {
		other := s.newOrg("Other Ltd")
		s.addMember(other, g.Account("carol"), controlplane.RoleOwner)
		s.get(s.signInAtGitHub("", "&login=carol")).to("/domains")
		s.get("/domains").want(http.StatusOK, "Other Ltd")
		carol := s.newVisitor()
		carol.get(carol.authorizeAtGitHub(carol.startJoin(s.invite(controlplane.RoleMember)),
			"&login=carol")).to("/domains")
		carol.get("/domains").want(http.StatusOK, "Example Ltd", "You joined this organization")
		carol.get("/organizations").want(http.StatusOK, "Example Ltd", "Other Ltd")
		if a, b := s.sessionOf(s), s.sessionOf(carol); a.User.ID != b.User.ID ||
			s.organizations() != 2 {
			t.Errorf("users = %+v and %+v in %d organizations, want the same user in 2", a.User,
				b.User, s.organizations())
		}
	})
}

// The invitation's secret is not sent to other sites.
func TestInvitationSecret(t *testing.T) {
	s, _ := newGitHubSite(t)
	link := s.invite(controlplane.RoleMember)
	secret := strings.TrimPrefix(link, controlplane.InvitationPath(""))
	for _, a := range []response{s.get(link), s.post(link+"/github", nil)} {
		if got := a.header.Get("Referrer-Policy"); got != "strict-origin" {
			t.Errorf("Referrer-Policy = %q, want strict-origin", got)
		}
	}
	a := s.post(link+"/github", nil).want(http.StatusOK, "Example Ltd", "role member",
		"Continue to GitHub").hasNot(secret)
	cookie, _, _ := strings.Cut(strings.TrimPrefix(a.header.Get("Set-Cookie"), "dcvaas_sign_in="),
		".")
	kept, err := base64.RawURLEncoding.DecodeString(cookie)
	s.must(err)
	back := s.authorizeAtGitHub(s.startJoin(link), "&login=alice")
	for what, text := range map[string]string{"the URL at GitHub": a.header.Get("Refresh"),
		"the callback": back, "the cookie": string(kept), "the log": s.log.String()} {
		if strings.Contains(text, secret) {
			t.Errorf("%s contains the secret: %s", what, text)
		}
	}
}

// If two users open one link concurrently, the first to return from GitHub joins.
func TestJoinConcurrently(t *testing.T) {
	forEachSignUpMode(t, func(s *site, _ *devstack.GitHub) {
		link := s.invite(controlplane.RoleMember)
		people := []*site{s.newVisitor(), s.newVisitor()}
		var backs []string
		for i, login := range []string{"&login=alice", "&login=bob"} {
			people[i].get(link).want(http.StatusOK)
			backs = append(backs, people[i].authorizeAtGitHub(people[i].startJoin(link), login))
		}
		answers := make(chan response)
		for i, p := range people {
			go func() { answers <- p.get(backs[i]) }()
		}
		first, second := <-answers, <-answers
		if first.status != http.StatusSeeOther {
			first, second = second, first
		}
		first.to("/domains")
		second.want(http.StatusNotFound, "no longer valid",
			"Ask the person who invited you for a new invitation")
		in := 0
		for _, p := range people {
			if p.get("/domains").status == http.StatusOK {
				in++
			}
		}
		members, _, err := s.store.ListMembers(t.Context(), s.org.ID, nil, 10)
		s.must(err)
		if in != 1 || len(members) != 2 || s.organizations() != 1+s.newOrganizations(1) {
			t.Errorf("%d users signed in, %d members, %d organizations; want 1, 2 with the owner, and one organization per sign-in", in, len(members), s.organizations())
		}
	})
}

func TestJoinWithInvalidInvitation(t *testing.T) {
	forEachSignUpMode(t, func(s *site, _ *devstack.GitHub) {
		i, secret, err := s.life.CreateInvitation(t.Context(), controlplane.System("test"), nil,
			s.org.ID, controlplane.RoleOwner, 0)
		s.must(err)
		link := controlplane.InvitationPath(secret)
		back := s.authorizeAtGitHub(s.startJoin(link), "&login=alice")
		s.must(s.life.RevokeInvitation(t.Context(), controlplane.System("test"), nil, s.org.ID,
			i.ID))
		for _, path := range []string{link, controlplane.InvitationPath("x"),
			controlplane.InvitationPath(controlplane.NewRandomSecret())} {
			s.post(path+"/github", nil).want(http.StatusNotFound,
				"no longer valid").hasNot("github")
		}
		s.get(back).want(http.StatusNotFound, "no longer valid")
		s.wantSignedOut()
		if n := s.organizations(); n != 1 {
			t.Errorf("organizations = %d, want 1", n)
		}
	})
}

// A canceled sign-in and another browser's callback do not join.
func TestForgedJoin(t *testing.T) {
	s, _ := newGitHubSite(t)
	link := s.invite(controlplane.RoleMember)
	s.get(s.authorizeAtGitHub(s.startJoin(link), "&deny=1")).want(http.StatusForbidden,
		"GitHub sign-in was canceled", "Open the invitation’s link again")
	s.get(link + "/github").want(http.StatusMethodNotAllowed)
	back := s.authorizeAtGitHub(s.startJoin(link), "&login=alice")
	s.newVisitor().get(back).want(http.StatusBadRequest, "started in another browser")

	// A cookie with another invitation does not match its signature.
	u, err := url.Parse(s.server.URL)
	s.must(err)
	for _, c := range s.visitor.Jar.Cookies(u) {
		if c.Name == s.dash.flowCookie() {
			var f flow
			if !verifyCookie(s.dash.flowKey, c.Value, &f) {
				t.Fatal("verifyCookie = false for the flow cookie")
			}
			f.Invitation = controlplane.HashSecret(
				strings.TrimPrefix(s.invite(controlplane.RoleOwner),
					controlplane.InvitationPath("")))
			forged, _, _ := strings.Cut(signCookie([]byte("another key"), f), ".")
			_, mac, _ := strings.Cut(c.Value, ".")
			thief := s.newVisitor()
			thief.visitor.Jar.SetCookies(u,
				[]*http.Cookie{{Name: c.Name, Value: forged + "." + mac}})
			thief.get(back).want(http.StatusBadRequest)
		}
	}
	// A user who signed in in another tab decides on the page.
	s.get(back).to("/domains")
	link = s.invite(controlplane.RoleAdmin)
	s.post(link+"/github", nil).to(link)
	if got := strings.Join(s.actions(s.org.ID, "member"),
		" "); got != "member.added member.joined" {
		t.Errorf("audit actions = %s, want member.added member.joined", got)
	}
}

func TestSignUpClosed(t *testing.T) {
	s, g := newGitHubSite(t)
	s.life.InvitedOnly = true
	s.get("/login").want(http.StatusOK, "Only invited members can sign in",
		"ask an owner of the organization for an invitation")
	refused := func(login string) {
		t.Helper()
		b := s.newVisitor()
		b.get(b.signInAtGitHub("/organizations", "&login="+login)).want(http.StatusForbidden,
			login+" is not a member of an organization",
			"Request an invitation from an owner of the organization")
		b.wantSignedOut()
	}
	refused("mallory")
	m := s.addMember(s.org, g.Account("alice"), controlplane.RoleMember)
	alice := s.newVisitor()
	alice.get(alice.signInAtGitHub("/organizations", "&login=alice")).to("/organizations")
	s.must(s.life.RemoveMember(t.Context(), controlplane.System("test"), nil, s.org.ID, m.User.ID,
		false))
	alice.wantSignedOut()
	refused("alice")
	if n := s.organizations(); n != 1 {
		t.Errorf("organizations = %d, want 1", n)
	}
	// With open sign-up, the page does not mention invitations.
	s.life.InvitedOnly = false
	s.get("/login").want(http.StatusOK).hasNot("Only invited members")
	alice.get(alice.signInAtGitHub("", "&login=alice")).to("/domains")
}

// Without GitHub, the developer signs in with one click and joins with another.
func TestInvitationWithDevSignIn(t *testing.T) {
	s := newSite(t)
	other := s.newOrg("Other Ltd")
	_, secret, err := s.life.CreateInvitation(t.Context(), controlplane.System("test"), nil,
		other.ID, controlplane.RoleAdmin, 0)
	s.must(err)
	link := controlplane.InvitationPath(secret)
	s.get(link).want(http.StatusOK, "Sign in as developer").hasNot("GitHub")
	s.post(link+"/github", nil).want(http.StatusForbidden, "Sign-in is not configured")
	s.post(link, nil).to(link)
	s.post("/login", url.Values{"next": {link}}).to(link)
	s.get(link).want(http.StatusOK, "Join as developer")
	s.post(link, nil).to("/domains")
	s.get("/domains").want(http.StatusOK, "Other Ltd")
	s.dash.config.DevSignIn = nil
	s.newVisitor().get(s.invite(controlplane.RoleMember)).want(http.StatusOK,
		"Sign-in is not configured").hasNot("<button")
}

// The CSP permits the redirects to GitHub and back in a real browser.
func TestBrowserJoin(t *testing.T) {
	s, g := newGitHubSite(t, func(c *Config) { c.DevSignIn = &developer })
	link := s.invite(controlplane.RoleMember)
	b := s.open(320, 800, false, false)
	b.run(goTo(s.server.URL+link),
		visible(`form[action$="/github"] button`))
	b.screenshot("invitation")
	b.checkFits()
	b.checkContrast()
	b.key(kb.Enter) // the button has the focus
	b.run(visible(`input[name="login"]`))
	var at string
	b.run(chromedp.Location(&at))
	if !strings.HasPrefix(at, g.URL()) {
		t.Fatalf("the button redirects to %s, want GitHub", at)
	}
	b.run(chromedp.SendKeys(`input[name="login"]`, "alice"+kb.Enter),
		visible(`.flash`))
	b.screenshot("joined")
	if m, err := s.store.Member(t.Context(), s.org.ID, "alice"); err != nil ||
		m.Role != controlplane.RoleMember {
		t.Errorf("Member(alice) = %+v, %v, want role member", m, err)
	}
}
