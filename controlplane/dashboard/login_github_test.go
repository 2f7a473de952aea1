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

// newGitHubSite is newSite with sign-in at a fake GitHub over HTTP.
func newGitHubSite(t *testing.T, change ...func(*Config)) (*site, *devstack.GitHub) {
	t.Helper()
	g, err := devstack.StartGitHub(t.Context(),
		devstack.GitHubConfig{ClientID: "app", Secret: "hunter2", Logins: []string{"alice"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Stop)
	client := &github.Client{ID: "app", Secret: "hunter2", WebURL: g.URL(), APIURL: g.URL()}
	s := newSite(t, append([]func(*Config){func(c *Config) { c.GitHub, c.DevSignIn = client, nil }},
		change...)...)
	client.RedirectURL = s.server.URL + CallbackPath
	return s, g
}

// signInAtGitHub signs in at GitHub and returns the path of the callback. more is added to the
// authorization URL.
func (s *site) signInAtGitHub(next, more string) (back string) {
	s.t.Helper()
	return s.authorizeAtGitHub(s.get("/login/github?"+
		url.Values{"next": {next}}.Encode()).want(http.StatusSeeOther).header.Get("Location"), more)
}

// authorizeAtGitHub authorizes at GitHub and returns the path of the callback.
func (s *site) authorizeAtGitHub(to, more string) (back string) {
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
	s.get("/login").want(http.StatusOK, "Sign in with GitHub").hasNot("development mode")
	s.get(s.signInAtGitHub("/organizations", "&login=alice")).to("/organizations")
	// She was not a member, so she has a new organization.
	s.get("/organizations").want(http.StatusOK, "alice", "owner", "free", "Current")

	// A login can change; the account ID identifies the user.
	alice := g.Account("alice")
	alice.Login, alice.Name = "alice-renamed", "Alice R."
	g.SetAccount(alice)
	again := s.newVisitor()
	again.get(again.signInAtGitHub("", "&login=alice-renamed")).to("/domains")
	again.get("/domains").want(http.StatusOK, "alice-renamed")
	again.get("/organizations").want(http.StatusOK, "Current")

	// Another account that takes over her login is another user.
	g.SetAccount(controlplane.GitHubAccount{ID: 4711, Login: "alice"})
	stranger := s.newVisitor()
	stranger.get(stranger.signInAtGitHub("", "&login=alice")).to("/domains")
	mine, theirs := s.sessionOf(again), s.sessionOf(stranger)
	if mine.User.ID == theirs.User.ID || mine.OrgID == theirs.OrgID ||
		theirs.User.Login != "alice" {
		t.Errorf("users = %+v and %+v, want different users and organizations", mine.User,
			theirs.User)
	}
}

// sessionOf returns the session of a visitor.
func (s *site) sessionOf(b *site) *controlplane.Session {
	s.t.Helper()
	session, err := s.store.Session(s.t.Context(), controlplane.HashSecret(b.cookieOf()),
		s.dash.now())
	s.must(err)
	return session
}

func TestForgedSignIn(t *testing.T) {
	s, g := newGitHubSite(t)
	notIn := func(b *site) {
		t.Helper()
		b.get("/organizations").to(signInTo("/organizations"))
	}
	back := s.signInAtGitHub("", "&login=alice")
	state := func(path, value string) string {
		u, err := url.Parse(path)
		s.must(err)
		q := u.Query()
		q.Set("state", value)
		return u.Path + "?" + q.Encode()
	}
	s.get(state(back, controlplane.NewRandomSecret())).want(http.StatusBadRequest,
		"started in another browser")
	s.get(state(back, "")).want(http.StatusBadRequest)
	notIn(s)
	other := s.newVisitor() // received the callback URL from another user
	other.get(back).want(http.StatusBadRequest, "started in another browser")
	notIn(other)

	// The same state a second time, with the cookie.
	u, err := url.Parse(s.server.URL)
	s.must(err)
	begun := s.visitor.Jar.Cookies(u)
	s.get(back).to("/domains")
	thief := s.newVisitor()
	thief.visitor.Jar.SetCookies(u, begun)
	thief.get(back).want(http.StatusBadRequest, "was already used")
	notIn(thief)

	// A code of another sign-in: PKCE rejects it.
	attacker, victim := s.newVisitor(), s.newVisitor()
	code := codeOf(t, attacker.signInAtGitHub("", "&login=mallory"))
	spliced, err := url.Parse(victim.signInAtGitHub("", "&login=alice"))
	s.must(err)
	q := spliced.Query()
	q.Set("code", code)
	victim.get(CallbackPath+"?"+q.Encode()).want(http.StatusUnauthorized,
		"GitHub rejected the sign-in")
	notIn(victim)

	denied := s.newVisitor()
	denied.get(denied.signInAtGitHub("", "&deny=1")).want(http.StatusForbidden,
		"GitHub sign-in was canceled")
	notIn(denied)

	slow := s.newVisitor()
	late := slow.signInAtGitHub("", "&login=alice")
	s.advance(flowLife + 1e9)
	slow.get(late).want(http.StatusBadRequest, "longer than 10 minutes")
	s.advance(0)

	away := s.newVisitor()
	back = away.signInAtGitHub("", "&login=alice")
	g.Stop()
	away.get(back).want(http.StatusServiceUnavailable, "GitHub is unavailable")
	notIn(away)
	for _, secret := range []string{"hunter2", "gho_", code} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log contains %s", secret)
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

func TestGitHubSignInIgnoresForeignNext(t *testing.T) {
	s, _ := newGitHubSite(t)
	s.get(s.signInAtGitHub("https://evil.example/", "&login=alice")).to("/domains")
}

func TestSignInCookie(t *testing.T) {
	s := newSite(t, func(c *Config) {
		c.Secure, c.GitHub = true, &github.Client{ID: "app", WebURL: "https://github.test"}
	})
	a := s.get("/login/github").want(http.StatusSeeOther)
	got := a.header.Get("Set-Cookie")
	for _, flag := range []string{"__Host-dcvaas_sign_in=", "Path=/", "HttpOnly", "Secure",
		"SameSite=Lax", "Max-Age=600"} {
		if !strings.Contains(got, flag) {
			t.Errorf("the cookie %q lacks %s", got, flag)
		}
	}
	for _, part := range []string{"https://github.test/login/oauth/authorize?",
		"code_challenge_method=S256", "state="} {
		if !strings.Contains(a.header.Get("Location"), part) {
			t.Errorf("%s lacks %s", a.header.Get("Location"), part)
		}
	}
}

// Two users, from the link until both work in one organization.
func TestInvitation(t *testing.T) {
	s, _ := newGitHubSite(t)
	owner := controlplane.Actor{Type: controlplane.ActorUser, ID: "usr_owner"}
	_, secret, err := s.life.CreateInvitation(t.Context(), owner, nil, s.org.ID,
		controlplane.RoleAdmin, 0)
	s.must(err)
	link := controlplane.InvitationPath(secret)

	alice, bob := s.newVisitor(), s.newVisitor()
	alice.get(alice.signInAtGitHub("", "&login=alice")).to("/domains")
	bob.get(bob.signInAtGitHub("", "&login=bob")).to("/domains")
	bob.get(link).want(http.StatusOK, "Join as bob")
	alice.get(link).want(http.StatusOK, "Join as alice")
	alice.post(link, nil, "Sec-Fetch-Site", "cross-site", "Origin",
		"https://evil.example").want(http.StatusForbidden)
	alice.post(link, nil).to("/domains")
	alice.get("/domains").want(http.StatusOK, "Example Ltd", "You joined this organization")
	alice.post("/domains", url.Values{"name": {"alice.example.com"}}).want(http.StatusSeeOther)

	// It works once.
	for _, gone := range []response{bob.get(link), bob.post(link, nil), alice.get(link),
		alice.get(controlplane.InvitationPath("x")),
		alice.get(controlplane.InvitationPath(controlplane.NewRandomSecret()))} {
		gone.want(http.StatusNotFound, "no longer valid")
	}
	bob.get("/domains").want(http.StatusOK, "bob")
	if got := strings.Join(s.actions(s.org.ID, "invitation"),
		" "); got != "invitation.created invitation.accepted" {
		t.Errorf("audit actions = %s, want invitation.created invitation.accepted", got)
	}

	// An existing member keeps the role, and the link remains valid for another user.
	_, secret, err = s.life.CreateInvitation(t.Context(), owner, nil, s.org.ID,
		controlplane.RoleMember, 0)
	s.must(err)
	link = controlplane.InvitationPath(secret)
	alice.get(link).want(http.StatusOK, "already a member of this organization", "admin")
	alice.post(link, nil).to("/domains")
	alice.get("/domains").want(http.StatusOK,
		"already a member of this organization. Nothing changed")
	if m, err := s.store.Member(t.Context(), s.org.ID, "ALICE"); err != nil ||
		m.Role != controlplane.RoleAdmin {
		t.Errorf("Member(ALICE) = %+v, %v, want role admin", m, err)
	}
	bob.post(link, nil).to("/domains")
	bob.get("/domains").want(http.StatusOK, "Example Ltd").hasNot("Add domain")

	i, secret, err := s.life.CreateInvitation(t.Context(), owner, nil, s.org.ID,
		controlplane.RoleMember, 0)
	s.must(err)
	s.must(s.life.RevokeInvitation(t.Context(), owner, nil, s.org.ID, i.ID))
	bob.get(controlplane.InvitationPath(secret)).want(http.StatusNotFound)
	_, secret, err = s.life.CreateInvitation(t.Context(), owner, nil, s.org.ID,
		controlplane.RoleMember, controlplane.InvitationMinLife)
	s.must(err)
	s.advance(controlplane.InvitationMinLife + 1e9)
	bob.get(controlplane.InvitationPath(secret)).want(http.StatusNotFound)
}

var _ GitHub = (*github.Client)(nil)

// Concurrent first sign-ins of one account create one organization.
func TestConcurrentFirstSignIns(t *testing.T) {
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
		t.Errorf("organizations = %d, want 2", len(all))
	}
}
