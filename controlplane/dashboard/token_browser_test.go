package dashboard

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// A token is made by the keyboard alone on a narrow screen in the dark, and so is the log read.
func TestBrowserTokensAndAuditLog(t *testing.T) {
	s := newSite(t)
	d := s.add(s.org, "a-domain-with-a-long-name.example.com")
	token, _ := s.token(s.org, lifecycle.NewToken{Name: "A token of a long name, as people will give them", Scopes: controlplane.Scopes(), DomainIDs: []string{d.ID}})
	_, _, err := s.life.RotateToken(t.Context(), controlplane.System("admin"), nil, s.org.ID, token.ID, lifecycle.Rotation{Overlap: time.Hour})
	s.must(err)
	b := s.open(320, 640, true, true)
	b.key(kb.Enter)
	b.run(chromedp.WaitVisible(`#name`))
	for name, path := range map[string]string{"tokens": tokensURL, "token": tokenURL(token.ID)} {
		b.run(chromedp.Navigate(s.server.URL+path), chromedp.WaitVisible(`h1`))
		b.js(`document.querySelectorAll("main details").forEach(e => e.open = true)`)
		b.fits()
		b.contrast()
		b.shot(name + "-narrow-dark")
	}
	b.run(chromedp.Navigate(s.server.URL+"/settings/tokens/new"), chromedp.WaitVisible(`#name`))
	b.fits()
	b.contrast()
	b.shot("newtoken-narrow-dark")
	b.key("c", "i", kb.Enter)
	b.run(chromedp.WaitVisible(`#scopes-error`))
	b.fits()
	b.contrast()
	if got := b.js(`document.activeElement.id + " " + document.getElementById("name").value`); got != "scopes-error ci" {
		t.Errorf("after an error the focus and the name are %q", got)
	}
	b.key(kb.Tab, " ", kb.Enter)
	b.run(chromedp.WaitVisible(`#secret`))
	b.fits()
	b.contrast()
	b.shot("tokensecret-narrow-dark")
	b.key(kb.Enter) // the button to copy has the focus
	b.eventually(`document.getElementById("announce").textContent === "secret copied"`)
	if got := b.js(`navigator.clipboard.readText()`); !s.works(got) {
		t.Errorf("what is copied is no secret: %q", got)
	}
	b.run(chromedp.Navigate(s.server.URL+auditURL), chromedp.WaitVisible(`.log`))
	b.js(`document.querySelectorAll("main details").forEach(e => e.open = true)`)
	b.fits()
	b.contrast()
	b.shot("audit-narrow-dark")
}
