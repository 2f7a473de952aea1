package dashboard

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// inviteLogin invites an account by login to the site's organization, as its owner.
func (s *site) inviteLogin(
	account controlplane.GitHubAccount, role controlplane.Role,
) *controlplane.Member {
	s.t.Helper()
	owner, err := s.store.Member(s.t.Context(), s.org.ID, developer.Login)
	s.must(err)
	m, err := s.life.InviteMember(s.t.Context(),
		controlplane.Actor{Type: controlplane.ActorUser, ID: owner.User.ID}, owner.Role.Grant(),
		s.org.ID, account, role)
	s.must(err)
	return m
}

// A user who is invited by login decides on a page that shows the organization, the inviter, and
// the role. With open sign-up, a new user first has a separate organization; with closed sign-up,
// they see only this page.
func TestInvitedByLogin(t *testing.T) {
	forEachSignUpMode(t, func(s *site, g *devstack.GitHub) {
		m := s.inviteLogin(g.Account("alice"), controlplane.RoleAdmin)
		back := s.signInAtGitHub("", "&login=alice")
		s.get(back).to("/invitations")
		s.get("/invitations").want(http.StatusOK,
			"developer invites you to join Example Ltd with the role admin",
			"Accept and go to Example Ltd", "Decline", s.org.ID)
		if s.life.InvitedOnly {
			s.get("/domains").to("/login")
			s.get("/organizations").to(signInTo("/organizations"))
			s.get("/invitations").want(http.StatusOK, "you can see only this page")
		} else {
			s.get("/domains").want(http.StatusOK, "1 invitation").hasNot("Example Ltd")
		}
		s.newVisitor().get("/invitations").to(signInTo("/invitations"))
		s.post("/invitations/"+s.org.ID+
			"/accept", url.Values{"role": {"owner"}}).want(http.StatusConflict, "is now admin")
		s.post("/invitations/"+s.org.ID+"/accept", url.Values{"role": {"admin"}}, "Origin",
			"https://evil.example").want(http.StatusForbidden)
		s.post("/invitations/"+controlplane.NewID(controlplane.PrefixOrganization)+
			"/accept", url.Values{"role": {"admin"}}).want(http.StatusNotFound, "no longer valid")
		s.post("/invitations/"+s.org.ID+"/accept", url.Values{"role": {"admin"}}).to("/domains")
		s.get("/domains").want(http.StatusOK, "Example Ltd", "alice",
			"You joined this organization").hasNot("1 invitation")
		if got := s.sessionOf(s); got.OrgID != s.org.ID || got.User.ID != m.User.ID ||
			got.Role != controlplane.RoleAdmin {
			t.Errorf("the session = %+v, want one of %s as admin in %s", got, m.User.ID, s.org.ID)
		}
		if got, want := s.organizations(), 1+s.newOrganizations(1); got != want {
			t.Errorf("organizations = %d, want %d", got, want)
		}
		s.get("/invitations").want(http.StatusOK, "No open invitations for alice")
	})
}

func TestDeclineInvitedByLogin(t *testing.T) {
	forEachSignUpMode(t, func(s *site, g *devstack.GitHub) {
		m := s.inviteLogin(g.Account("alice"), controlplane.RoleMember)
		s.get(s.signInAtGitHub("", "&login=alice")).to("/invitations")
		s.post("/invitations/"+s.org.ID+"/decline", nil).to("/invitations")
		s.get("/invitations").want(http.StatusOK, "Invitation declined", "No open invitations")
		if got, err := s.store.Member(t.Context(), s.org.ID, m.User.ID); err != nil ||
			got.DeclinedAt == nil {
			t.Errorf("Member(%s) = %+v, %v, want a declined one", m.User.ID, got, err)
		}
		again := s.newVisitor()
		if a := again.get(again.signInAtGitHub("", "&login=alice")); s.life.InvitedOnly {
			a.want(http.StatusForbidden, "is not a member of an organization")
		} else {
			a.to("/domains")
		}
		owner := s.signedInAs(developer)
		owner.get("/settings/members").want(http.StatusOK, "Alice Declined", "Not yet a member")
		owner.get("/settings/members/"+m.User.ID).want(http.StatusOK, "Declined", "by developer",
			"can no longer be accepted", "Delete the invitation").hasNot("Transfer ownership")
		owner.post("/settings/members/"+m.User.ID+"/remove", nil).to("/settings/members")
		owner.get("/settings/members").want(http.StatusOK, "Invitation deleted").hasNot("alice")
	})
}

// A guest pass is signed and expires.
func TestGuestPass(t *testing.T) {
	s, g := newGitHubSite(t)
	s.life.InvitedOnly = true
	m := s.inviteLogin(g.Account("alice"), controlplane.RoleMember)
	forged := signCookie([]byte("another key"),
		guestPass{User: m.User.ID, Expires: s.dash.now().Unix() + 100})
	s.newVisitor().get("/invitations", "Cookie", "dcvaas_guest="+
		forged).to(signInTo("/invitations"))
	s.get(s.signInAtGitHub("", "&login=alice")).to("/invitations")
	s.get("/invitations").want(http.StatusOK, "Example Ltd")
	s.advance(guestLife)
	s.get("/invitations").to(signInTo("/invitations"))
	s.post("/invitations/"+s.org.ID+"/accept", url.Values{"role": {"member"}}).to(signInTo(invitedPath))
}

// The member's page lists the tokens that a removal revokes; they can be kept.
func TestMemberTokens(t *testing.T) {
	s := newSignedIn(t)
	m := s.addMember(s.org, alice, controlplane.RoleAdmin)
	by := controlplane.Actor{Type: controlplane.ActorUser, ID: m.User.ID}
	_, kept, err := s.life.CreateToken(t.Context(), by, nil, s.org.ID,
		lifecycle.NewToken{Name: "deploys",
			Scopes: []controlplane.Scope{controlplane.ScopeDomainsWrite}})
	s.must(err)
	page := "/settings/members/" + m.User.ID
	s.get(page).want(http.StatusOK, "deploys requires the role admin, never used",
		"and API tokens that", "Keep these tokens")
	s.post(page+"/role", url.Values{"role": {"member"}, "tokens": {"keep"}}).to("/settings/members")
	if !s.tokenWorks(kept) {
		t.Error("the token was revoked, want it kept")
	}
	s.post(page+"/role", url.Values{"role": {"admin"}}).to("/settings/members")
	s.signedInAs(alice).get("/settings/organization").want(http.StatusOK,
		"and API tokens that you created are revoked", "deploys requires the role admin")
	s.post(page+"/remove", nil).to("/settings/members")
	if s.tokenWorks(kept) {
		t.Error("the token of a removed member works, want it revoked")
	}
}

// A user invites another one and gives their organization the name of the other's login. The other
// user signs in for the first time, sees the current organization on every page, and accepts.
func TestBrowserInvitedNewcomer(t *testing.T) {
	s, g := newGitHubSite(t, func(c *Config) { c.DevSignIn = &developer })
	_, err := s.life.RenameOrganization(t.Context(), controlplane.System("test"), s.org.ID, "alice")
	s.must(err)
	s.inviteLogin(g.Account("alice"), controlplane.RoleAdmin)
	for _, width := range []int64{320, 1280} {
		b := s.open(width, 800, false, false)
		b.run(goTo(s.server.URL+"/login"), chromedp.Click(`a.button.primary`),
			visible(`input[name="login"]`),
			chromedp.SendKeys(`input[name="login"]`, "alice\r"),
			visible(`form[action$="/accept"] button`))
		b.screenshot("invited")
		b.checkFits()
		b.checkContrast()
		for _, path := range []string{"/invitations", "/domains", "/settings/members"} {
			b.run(goTo(s.server.URL+path), chromedp.Click(`.account summary`),
				visible(`.sheet a[href="/organizations"]`))
			shown := b.js(`document.querySelector(".sheet a[href='/organizations'] bdi").textContent`)
			if shown != "alice" {
				t.Errorf("%s at width %d shows the organization %q, want alice's own", path, width,
					shown)
			}
		}
	}
	alice, err := s.store.Member(t.Context(), s.org.ID, "alice")
	s.must(err)
	all, err := s.store.Memberships(t.Context(), alice.User.ID)
	s.must(err)
	if len(all) != 1 || all[0].Organization.ID == s.org.ID || alice.Active() {
		t.Errorf("Memberships(alice) = %+v, want her own organization only before she accepts", all)
	}
	b := s.open(1280, 800, true, false)
	b.run(goTo(s.server.URL+"/login"), chromedp.Click(`a.button.primary`),
		visible(`input[name="login"]`),
		chromedp.SendKeys(`input[name="login"]`, "alice\r"),
		visible(`form[action$="/accept"] button`),
		chromedp.Click(`form[action$="/accept"] button`),
		visible(`.flash`))
	b.checkContrast()
	if m, err := s.store.Member(t.Context(), s.org.ID, "alice"); err != nil || !m.Active() ||
		m.Role != controlplane.RoleAdmin {
		t.Errorf("Member(alice) = %+v, %v, want an active admin", m, err)
	}
}
