package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// gate counts the forms that a site receives, and can hold them, as a slow server does.
type gate struct {
	next http.Handler

	mu    sync.Mutex
	posts int
	held  chan struct{}
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		g.mu.Lock()
		g.posts++
		held := g.held
		g.mu.Unlock()
		if held != nil {
			<-held
		}
	}
	g.next.ServeHTTP(w, r)
}

// hold makes forms wait until release is called.
func (g *gate) hold() (release func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.posts, g.held = 0, make(chan struct{})
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		close(g.held)
		g.held = nil
	})
}

func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.posts
}

func newGate(s *site) *gate {
	g := &gate{next: s.dash.handler}
	s.dash.handler = g
	return g
}

// pressTwice fills in a form, presses its button twice, and returns the state of the button.
const pressTwice = `((action, input) => {
  const form = [...document.forms].find((f) => f.method === "post" && f.getAttribute("action") === action);
  if (!form) return "no form " + action;
  for (const [name, values] of Object.entries(input)) {
    for (const e of form.elements) {
      if (e.name !== name) continue;
      if (["checkbox", "radio"].includes(e.type)) e.checked = values.includes(e.value);
      else e.value = values[0];
    }
  }
  const button = form.querySelector("button:not([type=button])");
  button.click();
  button.click();
  return button.getAttribute("aria-busy") + " " + document.getElementById("announce").textContent.endsWith(": in progress");
})(%s, %s)`

// signInBrowser gives the browser the session of a visitor.
func (t *tab) signInBrowser(visitor *site) {
	t.t.Helper()
	t.run(network.ClearBrowserCookies(), network.SetCookie("dcvaas_session", visitor.cookieOf()).
		WithURL(t.server.URL).WithHTTPOnly(true))
}

// leave runs an action that navigates, and waits for the next page.
func (t *tab) leave(action func()) {
	t.t.Helper()
	before := t.js(`String(performance.timeOrigin)`)
	action()
	t.run(chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := complete(ctx, before)
		return err
	}))
}

// For every form, on a slow server: a double click submits it once, and its button shows the
// progress. Reloading the page that follows, and going back, submit nothing.
func TestBrowserFormsAreSubmittedOnce(t *testing.T) {
	s := newSite(t, withSealer(t))
	g := newGate(s)
	b := s.open(1000, 800, false, true)
	for _, route := range slices.Sorted(maps.Keys(formCases)) {
		c := formCases[route]
		p := s.newTenant("browser")
		action, page := c.at(p, route)
		b.signInBrowser(p.owner)
		b.run(goTo(s.server.URL+page), visible(`main`))
		before := s.actionsOf(p)
		release := g.hold()
		at, _ := json.Marshal(action)
		input := c.input(p)
		if input == nil {
			input = url.Values{}
		}
		fill, _ := json.Marshal(input)
		b.leave(func() {
			if got := b.js(fmt.Sprintf(pressTwice, at, fill)); got != "true true" {
				t.Errorf("%s: aria-busy and announcement = %s, want true true", route, got)
			}
			release()
		})
		after := s.actionsOf(p)
		for action, n := range newActions(before, after) {
			if n > recordedBy(route) {
				t.Errorf("%s: %s was recorded %d times, want once", route, action, n)
			}
		}
		b.leave(func() { b.js(`location.reload()`) })
		b.leave(func() { b.js(`history.back()`) })
		if n := g.count(); n != 1 {
			t.Errorf("%s: %d submissions, want 1", route, n)
		}
		if again := s.actionsOf(p); !slices.Equal(again, after) {
			t.Errorf("%s: audit log = %v after reload and back, want %v", route, again, after)
		}
	}
}

// A session ends in a form: after the sign-in, the form has its input, and the secret that it
// creates is shown once.
func TestBrowserSessionLostInForm(t *testing.T) {
	s := newSite(t)
	b := s.open(320, 640, true, true)
	b.key(kb.Enter)
	b.run(visible(`#name`),
		goTo(s.server.URL+tokensURL+"/new"), visible(`#name`),
		chromedp.SendKeys(`#name`, "deploy"),
		chromedp.Click(`input[value="domains:read"]`), chromedp.SendKeys(`#domains`, "x.example.com"))
	s.endSessions(developer)
	b.leave(func() { b.js(`document.querySelector("main form").requestSubmit()`) })
	b.run(visible(`main form[action="/login"] button`))
	b.leave(func() { b.run(chromedp.Click(`main form[action="/login"] button`)) })
	b.run(visible(`#input-notice`))
	b.checkFits()
	b.checkContrast()
	b.screenshot("form-filled-again")
	if got := b.js(`document.getElementById("name").value + " " +
		document.querySelector('input[value="domains:read"]').checked + " " +
		document.getElementById("domains").value`); got != "deploy true x.example.com" {
		t.Errorf("form after the sign-in = %q, want the input", got)
	}
	if n := s.queryText(`SELECT count(*)::text FROM api_tokens`); n != "0" {
		t.Errorf("%s tokens before the form was submitted again, want 0", n)
	}
	b.js(`document.getElementById("domains").value = ""`)
	b.leave(func() { b.js(`document.querySelector("main form").requestSubmit()`) })
	b.run(visible(`#secret`))
	secret := b.js(`document.getElementById("secret").textContent`)
	if !s.tokenWorks(secret) {
		t.Errorf("secret = %q, want one that works", secret)
	}
	b.leave(func() { b.js(`location.reload()`) })
	b.run(visible(`#gone-title`))
	b.checkFits()
	b.checkContrast()
	b.screenshot("secret-shown-before")
	if n := s.queryText(`SELECT count(*)::text FROM api_tokens`); n != "1" {
		t.Errorf("%s tokens after a reload, want 1", n)
	}
}

// Two tabs edit one object: the later save shows both values, and the user decides.
func TestBrowserTwoTabs(t *testing.T) {
	s := newSite(t, withSealer(t))
	token, _ := s.token(s.org, lifecycle.NewToken{Name: "ci"})
	b := s.open(320, 640, true, true)
	b.key(kb.Enter)
	b.run(visible(`#name`))
	second, cancel := chromedp.NewContext(b.ctx)
	defer cancel()
	other := &tab{s, second}
	for _, t := range []*tab{b, other} {
		t.run(goTo(s.server.URL+tokenURL(token.ID)), visible(`#name`))
	}
	rename := func(t *tab, name string) {
		t.leave(func() {
			t.js(`document.getElementById("name").value = "` + name +
				`"; document.getElementById("name").form.requestSubmit()`)
		})
	}
	rename(other, "theirs")
	rename(b, "mine")
	b.run(visible(`#save-mine`))
	b.checkFits()
	b.checkContrast()
	b.screenshot("form-conflict-narrow-dark")
	stored := func() string { return s.queryText(`SELECT name FROM api_tokens`) }
	if got := stored(); got != "theirs" {
		t.Errorf("name after a stale save = %q, want theirs", got)
	}
	b.leave(func() { b.run(chromedp.Click(`#save-mine`)) })
	if got := stored(); got != "mine" {
		t.Errorf("name after the choice = %q, want mine", got)
	}
}
