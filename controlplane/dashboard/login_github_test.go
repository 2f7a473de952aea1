package dashboard

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/github"
)

// newGitHubSite is newSite with sign-in at a stand-in for GitHub, over HTTP.
func newGitHubSite(t *testing.T, change ...func(*Config)) (*site, *devstack.GitHub) {
	t.Helper()
	g, err := devstack.StartGitHub(t.Context(), devstack.GitHubConfig{ClientID: "app", Secret: "hunter2", Logins: []string{"alice"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Stop)
	client := &github.Client{ID: "app", Secret: "hunter2", WebURL: g.URL(), APIURL: g.URL()}
	s := newSite(t, append([]func(*Config){func(c *Config) { c.GitHub, c.DevSignIn = client, nil }}, change...)...)
	client.RedirectURL = s.server.URL + CallbackPath
	return s, g
}

// atGitHub follows the way to GitHub and signs in there; the answer leads back. more is what
// is chosen there.
func (s *site) atGitHub(next, more string) (back string) {
	s.t.Helper()
	return s.choose(s.get("/login/github?"+url.Values{"next": {next}}.Encode()).want(http.StatusSeeOther).header.Get("Location"), more)
}

// choose chooses an account at GitHub; the answer leads back.
func (s *site) choose(to, more string) (back string) {
	s.t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(s.request(to + more))
	s.must(err)
	defer func() { _ = resp.Body.Close() }()
	address, err := resp.Location()
	s.must(err)
	return address.RequestURI()
}

func (s *site) request(address string) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, address, nil)
	s.must(err)
	return r
}

func TestSignInWithGitHub(t *testing.T) {
	s, g := newGitHubSite(t)
	s.get("/login").want(http.StatusOK, "Sign in with GitHub").hasNot("whoever reaches this page")
	s.get(s.atGitHub("/organizations", "&login=alice")).to("/organizations")
	// Nobody had made her a member, so she has an organization of her own.
	s.get("/organizations").want(http.StatusOK, "alice", "owner", "free", "You are here")

	// A login is a name that changes; the account is who she is.
	alice := g.Account("alice")
	alice.Login, alice.Name = "alice-renamed", "Alice R."
	g.SetAccount(alice)
	again := s.browser()
	again.get(again.atGitHub("", "&login=alice-renamed")).to("/domains")
	again.get("/domains").want(http.StatusOK, "alice-renamed")
	again.get("/organizations").want(http.StatusOK, "You are here")

	// Who takes her login over is somebody else.
	g.SetAccount(controlplane.GitHubAccount{ID: 4711, Login: "alice"})
	stranger := s.browser()
	stranger.get(stranger.atGitHub("", "&login=alice")).to("/domains")
	mine, theirs := s.sessionOf(again), s.sessionOf(stranger)
	if mine.User.ID == theirs.User.ID || mine.OrgID == theirs.OrgID || theirs.User.Login != "alice" {
		t.Errorf("%+v and %+v", mine.User, theirs.User)
	}
}

// sessionOf returns who is signed in in a browser.
func (s *site) sessionOf(b *site) *controlplane.Session {
	s.t.Helper()
	session, err := s.store.Session(s.t.Context(), controlplane.HashSecret(b.cookieOf()), s.dash.now())
	s.must(err)
	return session
}

func TestSignInThatIsNotOurs(t *testing.T) {
	s, g := newGitHubSite(t)
	notIn := func(b *site) {
		t.Helper()
		b.get("/organizations").to(signInTo("/organizations"))
	}
	back := s.atGitHub("", "&login=alice")
	state := func(path, value string) string {
		u, err := url.Parse(path)
		s.must(err)
		q := u.Query()
		q.Set("state", value)
		return u.Path + "?" + q.Encode()
	}
	s.get(state(back, controlplane.NewRandomSecret())).want(http.StatusBadRequest, "did not begin in this browser")
	s.get(state(back, "")).want(http.StatusBadRequest)
	notIn(s)
	other := s.browser() // to whom somebody sent the address
	other.get(back).want(http.StatusBadRequest, "did not begin in this browser")
	notIn(other)

	// The same state a second time, cookie and all.
	u, err := url.Parse(s.server.URL)
	s.must(err)
	begun := s.visitor.Jar.Cookies(u)
	s.get(back).to("/domains")
	thief := s.browser()
	thief.visitor.Jar.SetCookies(u, begun)
	thief.get(back).want(http.StatusBadRequest, "was used before")
	notIn(thief)

	// A code that was given out for another sign-in: PKCE.
	attacker, victim := s.browser(), s.browser()
	code := codeOf(t, attacker.atGitHub("", "&login=mallory"))
	spliced, err := url.Parse(victim.atGitHub("", "&login=alice"))
	s.must(err)
	q := spliced.Query()
	q.Set("code", code)
	victim.get(CallbackPath+"?"+q.Encode()).want(http.StatusUnauthorized, "GitHub did not confirm")
	notIn(victim)

	denied := s.browser()
	denied.get(denied.atGitHub("", "&deny=1")).want(http.StatusForbidden, "You did not let GitHub tell")
	notIn(denied)

	slow := s.browser()
	late := slow.atGitHub("", "&login=alice")
	s.at(flowLife + 1e9)
	slow.get(late).want(http.StatusBadRequest, "longer than 10 minutes")
	s.at(0)

	away := s.browser()
	back = away.atGitHub("", "&login=alice")
	g.Stop()
	away.get(back).want(http.StatusServiceUnavailable, "GitHub is unavailable")
	notIn(away)
	for _, secret := range []string{"hunter2", "gho_", code} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
}

func codeOf(t *testing.T, path string) string {
	t.Helper()
	u, err := url.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("code")
}

func TestSignInWithGitHubLeadsNowhereElse(t *testing.T) {
	s, _ := newGitHubSite(t)
	s.get(s.atGitHub("https://evil.example/", "&login=alice")).to("/domains")
}

func TestCookiesOfASignIn(t *testing.T) {
	s := newSite(t, func(c *Config) {
		c.Secure, c.GitHub = true, &github.Client{ID: "app", WebURL: "https://github.test"}
	})
	a := s.get("/login/github").want(http.StatusSeeOther)
	got := a.header.Get("Set-Cookie")
	for _, flag := range []string{"__Host-dcvaas_sign_in=", "Path=/", "HttpOnly", "Secure", "SameSite=Lax", "Max-Age=600"} {
		if !strings.Contains(got, flag) {
			t.Errorf("the cookie %q lacks %s", got, flag)
		}
	}
	for _, part := range []string{"https://github.test/login/oauth/authorize?", "code_challenge_method=S256", "state="} {
		if !strings.Contains(a.header.Get("Location"), part) {
			t.Errorf("%s lacks %s", a.header.Get("Location"), part)
		}
	}
}

// Two people, from the link to both working in one organization.
func TestInvitation(t *testing.T) {
	s, _ := newGitHubSite(t)
	owner := controlplane.Actor{Type: controlplane.ActorUser, ID: "usr_owner"}
	_, secret, err := s.life.CreateInvitation(t.Context(), owner, nil, s.org.ID, controlplane.RoleAdmin, 0)
	s.must(err)
	link := controlplane.InvitationPath(secret)

	alice, bob := s.browser(), s.browser()
	alice.get(alice.atGitHub("", "&login=alice")).to("/domains")
	bob.get(bob.atGitHub("", "&login=bob")).to("/domains")
	bob.get(link).want(http.StatusOK, "Join as bob")
	alice.get(link).want(http.StatusOK, "Join as alice")
	alice.post(link, nil, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example").want(http.StatusForbidden)
	alice.post(link, nil).to("/domains")
	alice.get("/domains").want(http.StatusOK, "Example Ltd", "You are a member of this organization now")
	alice.post("/domains", url.Values{"name": {"alice.example.com"}}).want(http.StatusSeeOther)

	// It was good once.
	for _, gone := range []answer{bob.get(link), bob.post(link, nil), alice.get(link), alice.get(controlplane.InvitationPath("x")), alice.get(controlplane.InvitationPath(controlplane.NewRandomSecret()))} {
		gone.want(http.StatusNotFound, "no longer open")
	}
	bob.get("/domains").want(http.StatusOK, "bob")
	if got := strings.Join(s.actions(s.org.ID, "invitation"), " "); got != "invitation.created invitation.accepted" {
		t.Errorf("the log has %s", got)
	}

	// Who is a member already keeps the role, and the link stays good for somebody else.
	_, secret, err = s.life.CreateInvitation(t.Context(), owner, nil, s.org.ID, controlplane.RoleMember, 0)
	s.must(err)
	link = controlplane.InvitationPath(secret)
	alice.get(link).want(http.StatusOK, "belong to this organization already", "admin")
	alice.post(link, nil).to("/domains")
	alice.get("/domains").want(http.StatusOK, "already; nothing was changed")
	if m, err := s.store.Member(t.Context(), s.org.ID, "ALICE"); err != nil || m.Role != controlplane.RoleAdmin {
		t.Errorf("%+v, %v", m, err)
	}
	bob.post(link, nil).to("/domains")
	bob.get("/domains").want(http.StatusOK, "Example Ltd").hasNot("Add domain")

	i, secret, err := s.life.CreateInvitation(t.Context(), owner, nil, s.org.ID, controlplane.RoleMember, 0)
	s.must(err)
	s.must(s.life.RevokeInvitation(t.Context(), owner, nil, s.org.ID, i.ID))
	bob.get(controlplane.InvitationPath(secret)).want(http.StatusNotFound)
	_, secret, err = s.life.CreateInvitation(t.Context(), owner, nil, s.org.ID, controlplane.RoleMember, controlplane.InvitationMinLife)
	s.must(err)
	s.at(controlplane.InvitationMinLife + 1e9)
	bob.get(controlplane.InvitationPath(secret)).want(http.StatusNotFound)
}

var _ GitHub = (*github.Client)(nil)

// A sign-in that GitHub vouches for makes no second organization when it comes twice at once.
func TestFirstSignInTwiceAtOnce(t *testing.T) {
	s := newSite(t)
	carol := controlplane.GitHubAccount{ID: 77, Login: "carol"}
	done := make(chan error)
	for range 8 {
		go func() {
			_, _, err := s.life.SignIn(t.Context(), controlplane.Actor{}, "", carol)
			done <- err
		}()
	}
	for range 8 {
		s.must(<-done)
	}
	all, err := s.store.Organizations(t.Context())
	s.must(err)
	if len(all) != 2 {
		t.Errorf("there are %d organizations", len(all))
	}
}
