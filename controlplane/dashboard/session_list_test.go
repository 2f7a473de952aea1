package dashboard

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	firefoxAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
	iPhoneAgent  = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1"
)

func TestBrowserTitle(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		firefoxAgent: "Firefox on Linux",
		iPhoneAgent:  "Safari on iPhone",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0": "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36":         "Chrome on macOS",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36":               "Chrome on Android",
		"curl/8.5.0": "curl/8.5.0",
		"":           "Unknown browser",
	} {
		if got := browserTitle(agent); got != want {
			t.Errorf("browserTitle(%q) = %q, want %q", agent, got, want)
		}
	}
}

// signedInWith returns a visitor who is signed in as the account with this User-Agent.
func (s *site) signedInWith(
	account controlplane.GitHubAccount, ip, agent string,
) (*site, *controlplane.Session) {
	s.t.Helper()
	b := s.newVisitor()
	session, secret, err := s.life.SignIn(s.t.Context(), controlplane.Actor{IP: ip}, agent, account)
	s.must(err)
	u, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.server.URL, nil)
	s.must(err)
	b.visitor.Jar.SetCookies(u.URL, []*http.Cookie{{Name: "dcvaas_session", Value: secret}})
	return b, session
}

func TestSessionList(t *testing.T) {
	s := newSite(t)
	s.addMember(s.org, alice, controlplane.RoleMember)
	_, theirs := s.signedInWith(alice, "198.51.100.9", "curl/8.5.0")
	phone, phones := s.signedInWith(developer, "192.0.2.7", iPhoneAgent)
	s, mine := s.signedInWith(developer, "192.0.2.8", firefoxAgent)
	s.get("/domains").has(`href="/settings/sessions"`)
	s.get(sessionsPath).want(http.StatusOK,
		"Firefox on Linux (this browser) 192.0.2.8 In Example Ltd", "Safari on iPhone 192.0.2.7",
		"End all other sessions").
		has(`action="`+sessionsPath+"/"+phones.ID+`/end"`, `href="`+sessionsPath+
			`" aria-current="true"`, `aria-label="End: Safari on iPhone, 192.0.2.7, signed in `).
		hasNot(mine.ID, theirs.ID, "198.51.100.9")

	// Sessions of other users do not end and look like ended ones.
	for _, id := range []string{theirs.ID, controlplane.NewID(controlplane.PrefixSession), "x"} {
		s.post(sessionsPath+"/"+id+"/end", nil).to(sessionsPath)
		s.get(sessionsPath).want(http.StatusOK, "The session had already ended.")
	}
	s.post(sessionsPath+"/"+phones.ID+"/end", nil, "Origin",
		"https://evil.example").want(http.StatusForbidden, "sent from another site")
	s.newVisitor().post(sessionsPath+"/"+phones.ID+"/end", nil).to(signInTo(sessionsPath))
	phone.get("/domains").want(http.StatusOK)
	if _, err := s.store.Session(t.Context(), theirs.Hash, time.Now()); err != nil {
		t.Errorf("session of another user: %v, want it valid", err)
	}

	s.post(sessionsPath+"/"+phones.ID+"/end", nil).to(sessionsPath)
	s.get(sessionsPath).want(http.StatusOK, "Session ended.", "Firefox on Linux").hasNot("iPhone",
		"end-others")
	phone.get("/domains").to("/login")
	want := []string{controlplane.ActionSessionStarted, controlplane.ActionSessionStarted,
		controlplane.ActionSessionStarted, controlplane.ActionSessionEnded}
	if got := s.actions(s.org.ID, "session"); !slices.Equal(got, want) {
		t.Errorf("audit actions = %q, want %q", got, want)
	}

	// Ending the current session signs out.
	s.post(sessionsPath+"/"+mine.ID+"/end", nil).to("/login")
	s.get("/domains").to("/login")
}

func TestEndOtherSessions(t *testing.T) {
	s := newSignedIn(t)
	others := []*site{s.signedInAs(developer), s.signedInAs(developer)}
	s.post(sessionsPath+"/end-others", nil).to(sessionsPath)
	s.get(sessionsPath).want(http.StatusOK, "2 other sessions ended.",
		"(this browser)").hasNot("end-others")
	for _, b := range others {
		b.get("/domains").to("/login")
	}
	s.post(sessionsPath+"/end-others", nil).to(sessionsPath)
	s.get("/domains").want(http.StatusOK)
}

// After 61 sign-ins, 20 sessions remain, and the log records the end of each other session.
func TestSessionMaximum(t *testing.T) {
	s := newSignedIn(t)
	first := s.cookieOf()
	for range 60 {
		b := s.newVisitor()
		b.post("/login", nil).to("/domains")
	}
	sessions, _, err := s.store.ListSessions(t.Context(),
		s.sessionOf(s.signedInAs(developer)).User.ID, time.Now(), nil, 200)
	s.must(err)
	if len(sessions) != controlplane.MaxSessions {
		t.Errorf("open sessions = %d, want %d", len(sessions), controlplane.MaxSessions)
	}
	s.visitor.Jar = nil
	s.get("/domains", "Cookie", "dcvaas_session="+first).to("/login")
	n := 0
	for _, action := range s.actions(s.org.ID, "session") {
		if action == controlplane.ActionSessionEnded {
			n++
		}
	}
	if n != 62-controlplane.MaxSessions {
		t.Errorf("session ends in the log = %d, want %d", n, 62-controlplane.MaxSessions)
	}
}

// Lists and ends sessions with the keyboard: on a wide screen, on a narrow dark one, and without
// JavaScript.
func TestBrowserSessions(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		name          string
		width, height int64
		dark, scripts bool
	}{{"wide", 1200, 800, false, true}, {"narrow-dark", 320, 640, true, true},
		{"no-scripts", 1200, 800, false, false}} {
		t.Run(c.name, func(t *testing.T) {
			phone, _ := s.signedInWith(developer,
				"2001:db8:1234:5678:9abc:def0:1234:5678", iPhoneAgent)
			s.signedInWith(developer, "192.0.2.7",
				"An agent with a very long name, which continues for longer than most readers would read it, for a browser test: "+firefoxAgent[:60])
			s.signedInWith(developer, "192.0.2.7", firefoxAgent)
			b := s.open(c.width, c.height, c.dark, c.scripts)
			b.key(kb.Enter)
			b.run(visible(`#name`), goTo(s.server.URL+sessionsPath),
				visible(`main table`))
			if c.scripts {
				b.checkFits()
				b.checkContrast()
			}
			b.screenshot("sessions-" + c.name)
			b.run(chromedp.Focus(`[aria-label^="End: Safari on iPhone"]`))
			b.key(kb.Enter)
			b.run(visible(`.flash`))
			phone.get("/domains").to("/login")
			b.run(chromedp.Focus(`form.last button`))
			b.key(kb.Enter)
			b.run(chromedp.WaitNotPresent(`form.last`), visible(`.flash`))
			b.screenshot("sessions-ended-" + c.name)
		})
	}
}
