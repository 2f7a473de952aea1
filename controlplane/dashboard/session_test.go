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

func TestSignInAndOut(t *testing.T) {
	s := newSite(t)
	s.get("/").to("/domains")
	s.get("/domains").to("/login")
	s.get("/domains?q=x").to(signInTo("/domains?q=x"))
	s.get("/login").want(http.StatusOK, "Sign in as developer")
	s.post("/login", nil).to("/domains")
	s.get("/domains").want(http.StatusOK, "Example Ltd", "Sign out", "developer")
	s.get("/login").to("/domains")
	s.post("/logout", nil).to("/login")
	s.get("/domains").to("/login")
}

func TestSignInRedirect(t *testing.T) {
	s := newSite(t)
	const page = "/domains/dom_01h455vb4pex5vsknk084sn02q"
	s.get(page).to("/login?next=" + url.QueryEscape(page))
	s.get("/login?next=" + url.QueryEscape(page)).has(`name="next" value="` + page + `"`)
	s.post("/login", url.Values{"next": {page}}).to(page)
}

func TestSafeNext(t *testing.T) {
	for _, next := range []string{"", "https://evil.example", "//evil.example", `/\evil.example`,
		"/\t/evil.example", "javascript:alert(1)", "domains", "http:/x", "/%zz"} {
		if got := safeNext(next); got != "/domains" {
			t.Errorf("safeNext(%q) = %q, want /domains", next, got)
		}
	}
	if got := safeNext("/domains?q=a&status=active"); got != "/domains?q=a&status=active" {
		t.Errorf("safeNext(/domains?q=a&status=active) = %q, want it unchanged", got)
	}
}

func TestSignInNotConfigured(t *testing.T) {
	s := newSite(t, func(c *Config) { c.DevSignIn = nil })
	s.get("/login").want(http.StatusOK, "Sign-in is not configured").hasNot("<button")
	s.post("/login", nil).want(http.StatusForbidden, "Sign-in is not configured")
	s.get("/domains").to("/login")
}

// cookieOf returns the visitor's session cookie.
func (s *site) cookieOf() string {
	u, err := url.Parse(s.server.URL)
	s.must(err)
	for _, c := range s.visitor.Jar.Cookies(u) {
		if c.Name == "dcvaas_session" {
			return c.Value
		}
	}
	s.t.Fatal("no session cookie")
	return ""
}

func TestInvalidSessionCookie(t *testing.T) {
	s := newSignedIn(t)
	good := s.cookieOf()
	s.visitor.Jar = nil
	s.get("/domains", "Cookie", "dcvaas_session="+good).want(http.StatusOK)
	for name, value := range map[string]string{"another": controlplane.NewRandomSecret(),
		"half": good[:20], "empty": "", "garbage": "x.y", "more": good + "AA"} {
		if a := s.get("/domains", "Cookie", "dcvaas_session="+
			value); a.status != http.StatusSeeOther {
			t.Errorf("%s: status = %d, want 303", name, a.status)
		}
	}
}

// advance sets the dashboard's clock ahead of the real time.
func (s *site) advance(ahead time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead = ahead
}

// An unused session expires after 12 hours, a used one after 30 days.
func TestSessionExpiry(t *testing.T) {
	s := newSignedIn(t)
	s.advance(controlplane.SessionIdle - time.Minute)
	s.get("/domains").want(http.StatusOK)
	s.advance(2*controlplane.SessionIdle - 2*time.Minute)
	s.get("/domains").want(http.StatusOK)
	s.advance(3 * controlplane.SessionIdle)
	s.get("/domains").to("/login")

	s = s.signedInAs(developer)
	for at := time.Duration(
		0); at < controlplane.SessionLife; at += controlplane.SessionIdle - time.Minute {
		s.advance(at)
		s.get("/domains").want(http.StatusOK)
	}
	s.advance(controlplane.SessionLife + time.Minute)
	s.get("/domains").to("/login")
}

// Signing out ends the session and does not only delete the cookie.
func TestSignOutEndsSession(t *testing.T) {
	s := newSignedIn(t)
	good := s.cookieOf()
	s.post("/logout", nil).to("/login")
	s.visitor.Jar = nil
	s.get("/domains", "Cookie", "dcvaas_session="+good).to("/login")
	if got := s.actions(s.org.ID, "session"); !slices.Equal(got,
		[]string{controlplane.ActionSessionStarted, controlplane.ActionSessionEnded}) {
		t.Errorf("audit actions = %q, want session.started and session.ended", got)
	}
}

func TestSignInReplacesSession(t *testing.T) {
	s := newSignedIn(t)
	before := s.cookieOf()
	s.post("/login", nil).to("/domains")
	if s.cookieOf() == before {
		t.Fatal("the sign-in did not create a new session")
	}
	s.visitor.Jar = nil
	s.get("/domains", "Cookie", "dcvaas_session="+before).to("/login")
}

// A removed member is signed out immediately, but not of other organizations.
func TestRemovalEndsSessions(t *testing.T) {
	s := newSite(t)
	other := s.newOrg("Other Ltd")
	alice := controlplane.GitHubAccount{ID: 2, Login: "alice"}
	m := s.addMember(s.org, alice, controlplane.RoleAdmin)
	here := s.signedInAs(alice)
	s.addMember(other, alice, controlplane.RoleMember)
	there := s.signedInAs(alice)
	there.post("/organizations/"+other.ID+"/switch", nil).to("/domains")
	here.get("/domains").want(http.StatusOK, "Example Ltd")
	s.must(s.life.RemoveMember(t.Context(), controlplane.System("test"), nil, s.org.ID, m.User.ID,
		false))
	here.get("/domains").to("/login")
	there.get("/domains").want(http.StatusOK, "Other Ltd")
}

func TestSwitchOrganization(t *testing.T) {
	s := newSignedIn(t)
	other := s.newOrg("Other Ltd")
	s.add(other, "other.example.com")
	s.post("/organizations/"+other.ID+"/switch", nil).want(http.StatusNotFound)
	s.get("/domains").want(http.StatusOK, "Example Ltd")
	s.addMember(other, developer, controlplane.RoleMember)
	s.get("/organizations").want(http.StatusOK, "Example Ltd", "Current", "Other Ltd", "Switch")
	s.post("/organizations/"+other.ID+"/switch", nil).to("/domains")
	s.get("/domains").want(http.StatusOK, "Other Ltd", "other.example.com")
	// The next sign-in opens the last organization.
	s.signedInAs(developer).get("/domains").want(http.StatusOK, "Other Ltd")
}

// A member can view pages only and sees no buttons.
func TestMemberIsReadOnly(t *testing.T) {
	s := newSite(t)
	d := s.add(s.org, "example.com")
	j := s.deadLetter(d)
	alice := controlplane.GitHubAccount{ID: 2, Login: "alice"}
	s.addMember(s.org, alice, controlplane.RoleMember)
	member := s.signedInAs(alice)
	member.get("/domains").want(http.StatusOK, "example.com").hasNot("Add domain", `class="add"`)
	member.get("/domains/"+d.ID).want(http.StatusOK, "example.com").hasNot("/check", "/issue",
		"/retry")
	for _, path := range []string{"/domains", "/domains/" + d.ID + "/check", "/domains/" + d.ID +
		"/issue", "/domains/" + d.ID + "/renew", "/jobs/" + j.ID + "/retry"} {
		member.post(path, url.Values{"name": {"example.org"}}).want(http.StatusForbidden,
			"The role member does not include the permission", "owner or admin")
	}
	if n, err := s.store.DomainCount(t.Context(), s.org.ID); err != nil || n != 1 {
		t.Errorf("DomainCount = %d, %v, want 1", n, err)
	}
}

func TestCookieFlags(t *testing.T) {
	s := newSite(t, func(c *Config) { c.Secure = true })
	a := s.post("/login", nil)
	got := a.header.Get("Set-Cookie")
	for _, flag := range []string{"__Host-dcvaas_session=", "Path=/", "HttpOnly", "Secure",
		"SameSite=Lax", "Max-Age=2592000"} {
		if !strings.Contains(got, flag) {
			t.Errorf("Set-Cookie = %q, lacks %s", got, flag)
		}
	}
}

func TestInvalidConfig(t *testing.T) {
	s := newSite(t)
	for name, change := range map[string]func(*Config){
		"no store":     func(c *Config) { c.Store = nil },
		"no lifecycle": func(c *Config) { c.Lifecycle = nil },
		"short key":    func(c *Config) { c.SessionKey = []byte("short") },
		"no account":   func(c *Config) { c.DevSignIn = &controlplane.GitHubAccount{Login: "x"} },
		"no URL":       func(c *Config) { c.PublicURL = "localhost" },
	} {
		c := s.dash.config
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: New = nil error, want an error", name)
		}
	}
}
