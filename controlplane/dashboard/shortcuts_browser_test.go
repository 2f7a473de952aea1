package dashboard

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// press sends a key to the page, also if nothing has the focus.
func (t *tab) press(keys ...string) {
	t.t.Helper()
	for _, k := range keys {
		t.run(until(`document.readyState === "complete"`), chromedp.KeyEvent(k))
	}
}

func TestBrowserShortcuts(t *testing.T) {
	s := newSignedIn(t)
	s.add(s.org, "a.example.com")
	s.add(s.org, "b.example.com")
	b := s.open(1280, 900, false, true)
	b.signInBrowser(s)
	b.run(goTo(s.server.URL+"/domains?sort=name"), visible(`table`))
	focused := func() string {
		return b.js(`document.activeElement.id || document.activeElement.textContent.trim()`)
	}
	for _, c := range []struct{ key, want string }{{"j", "a.example.com"}, {"j", "b.example.com"},
		{"j", "b.example.com"}, {"k", "a.example.com"}, {"/", "q"}, {"k", "q"}} {
		if c.key == "k" { // the protocol sends the character of “/” apart from its key
			b.js(`document.getElementById("q").value = ""`)
		}
		b.press(c.key)
		if got := focused(); got != c.want {
			t.Errorf("focus after %q = %q, want %q", c.key, got, c.want)
		}
	}
	if got := b.js(`document.getElementById("q").value`); got != "k" {
		t.Errorf("field = %q, want the key that was typed in it", got)
	}
	b.js(`document.activeElement.blur()`)
	b.leave(func() { b.press("g", "e") })
	if got := b.js(`location.pathname`); got != "/expiry" {
		t.Errorf("page after g e = %s, want /expiry", got)
	}
	b.press("?")
	b.run(visible(`#shortcuts`))
	b.checkContrast()
	b.run(chromedp.Focus(`#shortcuts-on`))
	b.key(" ", kb.Escape)
	b.run(until(`!document.getElementById("shortcuts").open`))
	b.press("?", "g", "d")
	b.run(goTo(s.server.URL+"/domains"), visible(`table`)) // it is remembered
	b.press("j")
	if got := b.js(`document.activeElement.closest("tr") === null &&
		!document.getElementById("shortcuts").open`); got != "true" {
		t.Error("a shortcut works although shortcuts are off")
	}
	// The menu has the sheet, so that they can be turned on again.
	b.run(chromedp.Focus(`.account summary`))
	b.key(kb.Enter)
	b.run(visible(`#shortcuts-open`), chromedp.Focus(`#shortcuts-open`))
	b.key(kb.Enter)
	b.run(visible(`#shortcuts-on`))
	if got := b.js(`document.getElementById("shortcuts-on").checked`); got != "false" {
		t.Errorf("checked = %s, want false", got)
	}
}

// On a phone, the header is one row, and its menu has every page, the organization, and the user,
// with and without scripts.
func TestBrowserMenuOnPhones(t *testing.T) {
	for name, scripts := range map[string]bool{"with scripts": true, "without scripts": false} {
		t.Run(name, func(t *testing.T) {
			s := newSignedIn(t)
			b := s.open(320, 640, false, scripts)
			b.signInBrowser(s)
			b.run(goTo(s.server.URL+"/jobs"), visible(`.account summary`))
			if got := b.js(`document.querySelector("header").offsetHeight < 64`); got != "true" {
				t.Errorf("the header is %s pixels high, want one row",
					b.js(`document.querySelector("header").offsetHeight`))
			}
			b.run(chromedp.Focus(`.account summary`))
			b.key(kb.Enter)
			for _, link := range []string{"/domains", "/settings", "/organizations",
				sessionsPath} {
				b.run(visible(`.sheet a[href="` + link + `"]`))
			}
			b.run(visible(`.sheet form[action="/logout"] button`))
			b.checkFits()
			b.checkContrast()
			b.screenshot("menu-" + name)
			if scripts {
				b.key(kb.Escape)
				b.run(until(`!document.querySelector(".account").open &&
					document.activeElement.tagName === "SUMMARY"`))
				return
			}
			b.leave(func() { b.run(chromedp.Click(`.sheet a[href="/organizations"]`)) })
			if got := b.js(`location.pathname`); got != "/organizations" {
				t.Errorf("page = %s, want /organizations", got)
			}
		})
	}
}
