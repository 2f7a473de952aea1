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

// invite returns the link of a new invitation.
func (s *site) invite(role controlplane.Role) (link string) {
	s.t.Helper()
	_, secret, err := s.life.CreateInvitation(s.t.Context(), controlplane.System("test"), nil, s.org.ID, role, 0)
	s.must(err)
	return controlplane.InvitationPath(secret)
}

// toJoin presses the button of an invitation, and returns where that leads at GitHub.
func (s *site) toJoin(link string) string {
	s.t.Helper()
	a := s.post(link+"/github", nil).want(http.StatusOK, "On to GitHub")
	to, ok := strings.CutPrefix(a.header.Get("Refresh"), "0; url=")
	if !ok {
		s.t.Fatalf("it leads nowhere: %v", a.header)
	}
	return to
}

// organizations returns how many there are.
func (s *site) organizations() int {
	s.t.Helper()
	all, err := s.store.Organizations(s.t.Context())
	s.must(err)
	return len(all)
}

// own returns how many organizations of their own n newcomers get.
func (s *site) own(n int) int {
	if s.life.InvitedOnly {
		return 0
	}
	return n
}

// everyMode runs a test where anybody may sign up, and where only those who are invited.
func everyMode(t *testing.T, test func(*site, *devstack.GitHub)) {
	t.Parallel()
	for name, invited := range map[string]bool{"open": false, "invited": true} {
		t.Run(name, func(t *testing.T) {
			s, g := newGitHubSite(t)
			s.life.InvitedOnly = invited
			test(s, g)
		})
	}
}

// notIn fails if somebody is signed in.
func (s *site) notIn() {
	s.t.Helper()
	s.get("/organizations").to(signInTo("/organizations"))
}

// From the link to the organization by one click. A newcomer also gets an organization of their
// own if anybody can sign up.
func TestJoinBySigningIn(t *testing.T) {
	everyMode(t, func(s *site, _ *devstack.GitHub) {
		link := s.invite(controlplane.RoleAdmin)
		s.get(link).want(http.StatusOK, "Example Ltd", "role admin", "By signing in you become a member of Example Ltd", "Sign in with GitHub and join").
			hasNot("whoever reaches this page", `action="`+link+`"`)
		to := s.toJoin(link)
		s.notIn()
		s.get(s.choose(to, "&login=alice")).to("/domains")
		s.get("/domains").want(http.StatusOK, "Example Ltd", "alice", "You are a member of this organization now")
		if session := s.sessionOf(s); session.OrgID != s.org.ID || session.Role != controlplane.RoleAdmin {
			t.Errorf("%+v", session)
		}
		if got, want := s.organizations(), 1+s.own(1); got != want {
			t.Errorf("there are %d organizations, want %d", got, want)
		}
		for kind, want := range map[string]string{"invitation": "invitation.created invitation.accepted", "member": "member.added member.joined", "session": "session.started"} {
			if got := strings.Join(s.actions(s.org.ID, kind), " "); got != want {
				t.Errorf("the log has %s, want %s", got, want)
			}
		}
		// A member comes in by the usual way from then on, and stays what they are by a link.
		again := s.browser()
		again.get(again.atGitHub("", "&login=alice")).to("/domains")
		other := s.browser()
		link = s.invite(controlplane.RoleMember)
		other.get(other.choose(other.toJoin(link), "&login=alice")).to("/domains")
		other.get("/domains").want(http.StatusOK, "already; nothing was changed")
		other.browser().get(link).want(http.StatusOK, "role member")
	})
}

// Somebody who belongs to another organization joins this one, and comes here.
func TestJoinAnotherOrganization(t *testing.T) {
	everyMode(t, func(s *site, g *devstack.GitHub) {
		other := s.newOrg("Other Ltd")
		s.join(other, g.Account("carol"), controlplane.RoleOwner)
		s.get(s.atGitHub("", "&login=carol")).to("/domains")
		s.get("/domains").want(http.StatusOK, "Other Ltd")
		carol := s.browser()
		carol.get(carol.choose(carol.toJoin(s.invite(controlplane.RoleMember)), "&login=carol")).to("/domains")
		carol.get("/domains").want(http.StatusOK, "Example Ltd", "You are a member of this organization now")
		carol.get("/organizations").want(http.StatusOK, "Example Ltd", "Other Ltd")
		if a, b := s.sessionOf(s), s.sessionOf(carol); a.User.ID != b.User.ID || s.organizations() != 2 {
			t.Errorf("%+v and %+v in %d organizations", a.User, b.User, s.organizations())
		}
	})
}

// The invitation's secret goes to this site and no further.
func TestSecretOfAnInvitation(t *testing.T) {
	s, _ := newGitHubSite(t)
	link := s.invite(controlplane.RoleMember)
	secret := strings.TrimPrefix(link, controlplane.InvitationPath(""))
	for _, a := range []answer{s.get(link), s.post(link+"/github", nil)} {
		if got := a.header.Get("Referrer-Policy"); got != "strict-origin" {
			t.Errorf("Referrer-Policy is %q", got)
		}
	}
	a := s.post(link+"/github", nil).want(http.StatusOK, "Example Ltd", "role member", "Go on to GitHub").hasNot(secret)
	cookie, _, _ := strings.Cut(strings.TrimPrefix(a.header.Get("Set-Cookie"), "dcvaas_sign_in="), ".")
	kept, err := base64.RawURLEncoding.DecodeString(cookie)
	s.must(err)
	back := s.choose(s.toJoin(link), "&login=alice")
	for what, text := range map[string]string{"GitHub's address": a.header.Get("Refresh"), "the way back": back, "the cookie": string(kept), "the log": s.log.String()} {
		if strings.Contains(text, secret) {
			t.Errorf("the secret is in %s: %s", what, text)
		}
	}
}

// Of two who follow one link at once, one joins, whoever comes back from GitHub first.
func TestTwoJoinAtOnce(t *testing.T) {
	everyMode(t, func(s *site, _ *devstack.GitHub) {
		link := s.invite(controlplane.RoleMember)
		people := []*site{s.browser(), s.browser()}
		var backs []string
		for i, login := range []string{"&login=alice", "&login=bob"} {
			people[i].get(link).want(http.StatusOK)
			backs = append(backs, people[i].choose(people[i].toJoin(link), login))
		}
		answers := make(chan answer)
		for i, p := range people {
			go func() { answers <- p.get(backs[i]) }()
		}
		first, second := <-answers, <-answers
		if first.status != http.StatusSeeOther {
			first, second = second, first
		}
		first.to("/domains")
		second.want(http.StatusNotFound, "no longer open", "Ask the person who sent it for a new one")
		in := 0
		for _, p := range people {
			if p.get("/domains").status == http.StatusOK {
				in++
			}
		}
		members, _, err := s.store.ListMembers(t.Context(), s.org.ID, nil, 10)
		s.must(err)
		if in != 1 || len(members) != 2 || s.organizations() != 1+s.own(1) {
			t.Errorf("%d are in, of %d members with the owner, in %d organizations", in, len(members), s.organizations())
		}
	})
}

func TestJoinByAnInvitationThatIsGone(t *testing.T) {
	everyMode(t, func(s *site, _ *devstack.GitHub) {
		i, secret, err := s.life.CreateInvitation(t.Context(), controlplane.System("test"), nil, s.org.ID, controlplane.RoleOwner, 0)
		s.must(err)
		link := controlplane.InvitationPath(secret)
		back := s.choose(s.toJoin(link), "&login=alice")
		s.must(s.life.RevokeInvitation(t.Context(), controlplane.System("test"), nil, s.org.ID, i.ID))
		for _, path := range []string{link, controlplane.InvitationPath("x"), controlplane.InvitationPath(controlplane.NewRandomSecret())} {
			s.post(path+"/github", nil).want(http.StatusNotFound, "no longer open").hasNot("github")
		}
		s.get(back).want(http.StatusNotFound, "no longer open")
		s.notIn()
		if n := s.organizations(); n != 1 {
			t.Errorf("there are %d organizations", n)
		}
	})
}

// What is not done at GitHub, or by another browser, makes nobody join.
func TestJoiningThatIsNotOurs(t *testing.T) {
	s, _ := newGitHubSite(t)
	link := s.invite(controlplane.RoleMember)
	s.get(s.choose(s.toJoin(link), "&deny=1")).want(http.StatusForbidden, "You did not let GitHub tell", "Open the invitation’s link again")
	s.get(link + "/github").want(http.StatusMethodNotAllowed)
	back := s.choose(s.toJoin(link), "&login=alice")
	s.browser().get(back).want(http.StatusBadRequest, "did not begin in this browser")

	// Another invitation in the cookie is not what was signed.
	u, err := url.Parse(s.server.URL)
	s.must(err)
	for _, c := range s.visitor.Jar.Cookies(u) {
		if c.Name == s.dash.flowCookie() {
			var f flow
			if !verifyCookie(s.dash.flowKey, c.Value, &f) {
				t.Fatal("the cookie cannot be read")
			}
			f.Invitation = controlplane.HashSecret(strings.TrimPrefix(s.invite(controlplane.RoleOwner), controlplane.InvitationPath("")))
			forged, _, _ := strings.Cut(signCookie([]byte("another key"), f), ".")
			_, mac, _ := strings.Cut(c.Value, ".")
			thief := s.browser()
			thief.visitor.Jar.SetCookies(u, []*http.Cookie{{Name: c.Name, Value: forged + "." + mac}})
			thief.get(back).want(http.StatusBadRequest)
		}
	}
	// Who signed in meanwhile in another tab decides on the page.
	s.get(back).to("/domains")
	link = s.invite(controlplane.RoleAdmin)
	s.post(link+"/github", nil).to(link)
	if got := strings.Join(s.actions(s.org.ID, "member"), " "); got != "member.added member.joined" {
		t.Errorf("the log has %s", got)
	}
}

func TestSignUpClosed(t *testing.T) {
	s, g := newGitHubSite(t)
	s.life.InvitedOnly = true
	s.get("/login").want(http.StatusOK, "Only members come in here", "ask an owner of the organization for an invitation")
	refused := func(login string) {
		t.Helper()
		b := s.browser()
		b.get(b.atGitHub("/organizations", "&login="+login)).want(http.StatusForbidden, login+" belongs to no organization here", "Ask an owner of the organization for an invitation")
		b.notIn()
	}
	refused("mallory")
	m := s.join(s.org, g.Account("alice"), controlplane.RoleMember)
	alice := s.browser()
	alice.get(alice.atGitHub("/organizations", "&login=alice")).to("/organizations")
	s.must(s.life.RemoveMember(t.Context(), controlplane.System("test"), nil, s.org.ID, m.User.ID, false))
	alice.notIn()
	refused("alice")
	if n := s.organizations(); n != 1 {
		t.Errorf("there are %d organizations", n)
	}
	// Where anybody may sign up, the page says nothing of it.
	s.life.InvitedOnly = false
	s.get("/login").want(http.StatusOK).hasNot("Only members come in here")
	alice.get(alice.atGitHub("", "&login=alice")).to("/domains")
}

// Without GitHub the developer comes in by one click, and joins by another.
func TestInvitationInDevelopment(t *testing.T) {
	s := newSite(t)
	other := s.newOrg("Other Ltd")
	_, secret, err := s.life.CreateInvitation(t.Context(), controlplane.System("test"), nil, other.ID, controlplane.RoleAdmin, 0)
	s.must(err)
	link := controlplane.InvitationPath(secret)
	s.get(link).want(http.StatusOK, "Sign in as developer").hasNot("GitHub")
	s.post(link+"/github", nil).want(http.StatusForbidden, "No way to sign in is configured")
	s.post(link, nil).to(link)
	s.post("/login", url.Values{"next": {link}}).to(link)
	s.get(link).want(http.StatusOK, "Join as developer")
	s.post(link, nil).to("/domains")
	s.get("/domains").want(http.StatusOK, "Other Ltd")
	s.dash.config.DevSignIn = nil
	s.browser().get(s.invite(controlplane.RoleMember)).want(http.StatusOK, "No way to sign in is configured").hasNot("<button")
}

// The policy of our pages lets a real browser through to GitHub and back.
func TestBrowserJoinsByOneClick(t *testing.T) {
	s, g := newGitHubSite(t, func(c *Config) { c.DevSignIn = &developer })
	link := s.invite(controlplane.RoleMember)
	b := s.open(320, 800, false, false)
	b.run(chromedp.Navigate(s.server.URL+link), chromedp.WaitVisible(`form[action$="/github"] button`))
	b.shot("invitation")
	b.fits()
	b.contrast()
	b.key(kb.Enter) // the button has the focus
	b.run(chromedp.WaitVisible(`input[name="login"]`))
	var at string
	b.run(chromedp.Location(&at))
	if !strings.HasPrefix(at, g.URL()) {
		t.Fatalf("the button leads to %s", at)
	}
	b.run(chromedp.SendKeys(`input[name="login"]`, "alice"+kb.Enter), chromedp.WaitVisible(`.flash`))
	b.shot("joined")
	if m, err := s.store.Member(t.Context(), s.org.ID, "alice"); err != nil || m.Role != controlplane.RoleMember {
		t.Errorf("%+v, %v", m, err)
	}
}
