package dashboard

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestSignInAndOut(t *testing.T) {
	s := newSite(t)
	s.get("/").to("/domains")
	s.get("/domains").to("/login")
	s.get("/domains?q=x").to("/login")
	s.get("/login").want(http.StatusOK, "Sign in as developer")
	s.post("/login", nil).to("/domains")
	s.get("/domains").want(http.StatusOK, "Example Ltd", "Sign out", "developer")
	s.get("/login").to("/domains")
	s.post("/logout", nil).to("/login")
	s.get("/domains").to("/login")
}

func TestSignInLeadsBack(t *testing.T) {
	s := newSite(t)
	const page = "/domains/dom_01h455vb4pex5vsknk084sn02q"
	s.get(page).to("/login?next=" + url.QueryEscape(page))
	s.get("/login?next=" + url.QueryEscape(page)).has(`name="next" value="` + page + `"`)
	s.post("/login", url.Values{"next": {page}}).to(page)
}

func TestSignInLeadsNowhereElse(t *testing.T) {
	for _, next := range []string{"", "https://evil.example", "//evil.example", `/\evil.example`, "/\t/evil.example", "javascript:alert(1)", "domains", "http:/x", "/%zz"} {
		if got := safeNext(next); got != "/domains" {
			t.Errorf("safeNext(%q) = %q", next, got)
		}
	}
	if got := safeNext("/domains?q=a&status=active"); got != "/domains?q=a&status=active" {
		t.Errorf("safeNext keeps no query: %q", got)
	}
}

func TestWithoutAnySignIn(t *testing.T) {
	s := newSite(t, func(c *Config) { c.DevSignIn = nil })
	s.get("/login").want(http.StatusOK, "No way to sign in is configured").hasNot("<button")
	s.post("/login", nil).want(http.StatusForbidden, "No way to sign in is configured")
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
	s.t.Fatal("there is no session cookie")
	return ""
}

func TestCookieThatIsNotOurs(t *testing.T) {
	s := newSignedIn(t)
	good := s.cookieOf()
	body, mac, _ := strings.Cut(good, ".")
	other := s.newOrg("Other Ltd")
	raw, err := base64.RawURLEncoding.DecodeString(body)
	s.must(err)
	forged := base64.RawURLEncoding.EncodeToString(bytes.Replace(raw, []byte(s.org.ID), []byte(other.ID), 1))
	s.visitor.Jar = nil
	s.get("/domains", "Cookie", "dcvaas_session="+good).want(http.StatusOK)
	for name, value := range map[string]string{
		"another body":   forged + "." + mac,
		"another MAC":    body + "." + strings.Repeat("A", len(mac)),
		"no MAC":         body,
		"empty":          "",
		"garbage":        "x.y",
		"trailing bytes": good + "AA",
	} {
		if a := s.get("/domains", "Cookie", "dcvaas_session="+value); a.status != http.StatusSeeOther {
			t.Errorf("%s: status %d", name, a.status)
		}
	}
}

func TestSessionExpires(t *testing.T) {
	s := newSignedIn(t)
	good := s.cookieOf()
	s.visitor.Jar = nil
	at := func(ahead time.Duration) answer {
		s.mu.Lock()
		s.ahead = ahead
		s.mu.Unlock()
		return s.get("/domains", "Cookie", "dcvaas_session="+good)
	}
	at(sessionLife - time.Minute).want(http.StatusOK)
	at(sessionLife + time.Minute).to("/login")
}

func TestSessionEndsWithItsWayIn(t *testing.T) {
	s := newSignedIn(t)
	good := s.cookieOf()
	for name, dev := range map[string]*DevSignIn{"closed": nil, "another organization": {OrgID: s.newOrg("Other").ID, UserName: "developer"}} {
		c := s.dash.config
		c.DevSignIn = dev
		d, err := New(c)
		s.must(err)
		r := httptest.NewRequest(http.MethodGet, "/domains", nil)
		r.AddCookie(&http.Cookie{Name: "dcvaas_session", Value: good})
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		if w.Code != http.StatusSeeOther {
			t.Errorf("%s: status %d", name, w.Code)
		}
	}
}

func TestOrganizationIsGone(t *testing.T) {
	s := newSignedIn(t, func(c *Config) { c.DevSignIn.OrgID = controlplane.NewID(controlplane.PrefixOrganization) })
	s.get("/domains").to("/login")
}

func TestCookieFlags(t *testing.T) {
	s := newSite(t, func(c *Config) { c.Secure = true })
	a := s.post("/login", nil)
	got := a.header.Get("Set-Cookie")
	for _, flag := range []string{"__Host-dcvaas_session=", "Path=/", "HttpOnly", "Secure", "SameSite=Lax", "Max-Age=43200"} {
		if !strings.Contains(got, flag) {
			t.Errorf("the cookie %q lacks %s", got, flag)
		}
	}
	if a.header.Get("Strict-Transport-Security") == "" {
		t.Error("there is no Strict-Transport-Security")
	}
}

func TestConfigThatLacksSomething(t *testing.T) {
	s := newSite(t)
	for name, change := range map[string]func(*Config){
		"no store":     func(c *Config) { c.Store = nil },
		"no lifecycle": func(c *Config) { c.Lifecycle = nil },
		"short key":    func(c *Config) { c.SessionKey = []byte("short") },
		"no user":      func(c *Config) { c.DevSignIn = &DevSignIn{OrgID: "org_x"} },
		"no URL":       func(c *Config) { c.PublicURL = "localhost" },
	} {
		c := s.dash.config
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
