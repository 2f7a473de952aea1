package dashboard

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

func TestSecurityHeaders(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	for _, path := range []string{"/login", "/domains", "/domains/" + d.ID, "/nowhere"} {
		a := s.get(path)
		csp := a.header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "style-src 'self'",
			"frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: Content-Security-Policy = %q, lacks %s", path, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") {
			t.Errorf("%s: Content-Security-Policy = %q, want no unsafe source", path, csp)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "same-origin", "Cache-Control": "no-store"} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: header %s = %q, want %q", path, name, got, want)
			}
		}
		for _, script := range regexp.MustCompile(`<script[^>]*>`).FindAllString(a.body, -1) {
			nonce := regexp.MustCompile(`nonce="([^"]+)"`).FindStringSubmatch(script)
			if nonce == nil || !strings.Contains(csp, "'nonce-"+nonce[1]+"'") {
				t.Errorf("%s: %s is not permitted by %q", path, script, csp)
			}
		}
		if m := regexp.MustCompile(`\s(style|on[a-z]+)="`).FindString(a.body); m != "" {
			t.Errorf("%s: the page has an inline%s", path, m)
		}
	}
	first, second := s.get("/login"), s.get("/login")
	if first.header.Get("Content-Security-Policy") == second.header.Get("Content-Security-Policy") {
		t.Error("the nonce was used twice")
	}
}

func TestCrossOriginForms(t *testing.T) {
	s := newSignedIn(t, func(c *Config) { c.PublicURL = "https://certs.example.com" })
	d := s.add(s.org, "example.com")
	j := s.deadLetter(d)
	for _, path := range []string{"/login", "/logout", "/domains", "/domains/" + d.ID + "/check",
		"/domains/" + d.ID + "/issue", "/domains/" + d.ID + "/renew", "/jobs/" + j.ID + "/retry",
		controlplane.InvitationPath("x"), controlplane.InvitationPath("x") + "/github"} {
		s.post(path, url.Values{"name": {"example.org"}}, "Sec-Fetch-Site", "cross-site", "Origin",
			"https://evil.example").want(http.StatusForbidden, "sent from another site")
		s.post(path, url.Values{"name": {"example.org"}}, "Origin",
			"https://evil.example").want(http.StatusForbidden)
	}
	if n, err := s.store.DomainCount(t.Context(), s.org.ID); err != nil || n != 1 {
		t.Errorf("DomainCount = %d, %v, want 1", n, err)
	}
	// The public URL is accepted, even if a proxy changed the Host header.
	s.post("/domains", url.Values{"name": {"example.org"}}, "Origin", "https://certs.example.com",
		"Sec-Fetch-Site", "cross-site").want(http.StatusSeeOther)
}

func TestStaticFiles(t *testing.T) {
	s := newSite(t)
	page := s.get("/login")
	files := regexp.MustCompile(`"(/static/[^"]+)"`).FindAllStringSubmatch(page.body, -1)
	if len(files) < 6 {
		t.Fatalf("the page uses %d static files, want at least 6", len(files))
	}
	for _, f := range files {
		a := s.get(f[1]).want(http.StatusOK)
		if got := a.header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control = %q, want immutable", f[1], got)
		}
	}
	s.get("/static/app.css").want(http.StatusNotFound)
	s.get("/static/app.0000000000000000.css").want(http.StatusNotFound)
	s.get("/static/").want(http.StatusNotFound)
}

func TestUnknownPages(t *testing.T) {
	s := newSite(t)
	s.get("/nowhere").want(http.StatusNotFound, "Page not found")
	s.do(http.MethodDelete, "/domains", nil).want(http.StatusMethodNotAllowed)
	s.get("/logout").want(http.StatusMethodNotAllowed)
	s.do(http.MethodHead, "/login", nil).want(http.StatusOK)
}

func TestInternalErrors(t *testing.T) {
	s := newSignedIn(t)
	broken, err := postgres.Open(t.Context(), postgres.Config{DSN: postgrestest.DSN(t)})
	s.must(err)
	broken.Close()
	s.dash.store = broken
	a := s.get("/domains", "Request-Id", "req-42")
	if a.status < 500 {
		t.Fatalf("status with a closed store = %d, want 5xx", a.status)
	}
	a.want(a.status, "req-42").hasNot("pool", "pgx", "postgres")
	if !strings.Contains(s.log.String(), "req-42") {
		t.Errorf("the log lacks the request ID: %s", s.log.String())
	}
	secret := controlplane.NewRandomSecret()
	s.get(controlplane.InvitationPath(secret))
	if strings.Contains(s.log.String(), secret) {
		t.Error("the log contains an invitation's secret")
	}
}
