package dashboard

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// Creates a token with the keyboard and reads the audit log on a narrow dark screen.
func TestBrowserTokensAndAuditLog(t *testing.T) {
	s := newSite(t)
	d := s.add(s.org, "a-domain-with-a-long-name.example.com")
	token, _ := s.token(s.org,
		lifecycle.NewToken{Name: "A token with a long name, as users give them",
			Scopes: controlplane.Scopes(), DomainIDs: []string{d.ID}})
	_, _, err := s.life.RotateToken(t.Context(), controlplane.System("admin"), nil, s.org.ID,
		token.ID, lifecycle.Rotation{Overlap: time.Hour})
	s.must(err)
	b := s.open(320, 640, true, true)
	b.key(kb.Enter)
	b.run(visible(`#name`))
	for name, path := range map[string]string{"tokens": tokensURL, "token": tokenURL(token.ID)} {
		b.run(goTo(s.server.URL+path), visible(`h1`))
		b.js(`document.querySelectorAll("main details").forEach(e => e.open = true)`)
		b.checkFits()
		b.checkContrast()
		b.screenshot(name + "-narrow-dark")
	}
	b.run(goTo(s.server.URL+"/settings/tokens/new"), visible(`#name`))
	b.checkFits()
	b.checkContrast()
	b.screenshot("newtoken-narrow-dark")
	b.key("c", "i", kb.Enter)
	b.run(visible(`#scopes-error`))
	b.checkFits()
	b.checkContrast()
	b.eventually(`document.activeElement.id === "scopes-error"`)
	if got := b.js(
		`document.activeElement.id + " " + document.getElementById("name").value`); got != "scopes-error ci" {
		t.Errorf("focus and name after an error = %q, want scopes-error ci", got)
	}
	b.key(kb.Tab, " ", kb.Enter)
	b.run(visible(`#secret`))
	b.checkFits()
	b.checkContrast()
	b.screenshot("tokensecret-narrow-dark")
	b.key(kb.Enter) // the button to copy has the focus
	b.eventually(`document.getElementById("announce").textContent === "secret copied"`)
	if got := b.js(`navigator.clipboard.readText()`); !s.tokenWorks(got) {
		t.Errorf("clipboard = %q, want a valid secret", got)
	}
	b.run(goTo(s.server.URL+auditURL), visible(`.log`))
	b.js(`document.querySelectorAll("main details").forEach(e => e.open = true)`)
	b.checkFits()
	b.checkContrast()
	b.screenshot("audit-narrow-dark")
}
