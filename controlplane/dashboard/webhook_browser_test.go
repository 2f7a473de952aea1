package dashboard

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Adds a webhook, copies its secret, and reads a hostile response with the keyboard on a narrow
// dark screen.
func TestBrowserWebhook(t *testing.T) {
	s := newWebhookSite(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Evil", strings.Repeat("x", 300))
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, `<script>document.title = "evil"</script>`+
			strings.Repeat("y", 300))
	})
	b := s.open(320, 640, true, true)
	b.key(kb.Enter)
	b.run(visible(`#name`), goTo(s.server.URL+"/webhooks"),
		visible(`#url`))
	if got := b.js(
		`[...document.querySelectorAll(".some")].some(e => e.checkVisibility())`); got != "false" {
		t.Error("the event types are visible although all events are selected")
	}
	b.run(chromedp.Focus(`#all`))
	b.key(" ")
	b.eventually(`[...document.querySelectorAll(".some")].every(e => e.checkVisibility())`)
	b.checkFits()
	b.checkContrast()
	b.screenshot("webhooks-form")
	b.key(" ")
	b.run(chromedp.Focus(`#url`))
	b.key(s.receiver.URL+"/hooks/dcvaas", kb.Enter)
	b.run(visible(`#secret`), chromedp.Focus(`[aria-label="Copy Secret"]`))
	b.key(kb.Enter)
	b.eventually(`document.getElementById("announce").textContent === "Secret copied"`)
	if got, want := b.js(`navigator.clipboard.readText()`),
		b.js(`document.getElementById("secret").textContent`); got != want ||
		!strings.HasPrefix(got, "whsec_") {
		t.Error("the clipboard does not contain the secret")
	}
	b.checkFits()
	b.checkContrast()
	b.screenshot("webhook-secret")
	hooks, _, err := s.store.ListWebhooks(t.Context(), s.org.ID, nil, 1)
	s.must(err)
	s.add(s.org, "example.com")
	var shown *controlplane.Delivery
	for _, d := range s.deliverPending(&hooks[0]) {
		shown = &d
	}
	b.run(goTo(s.server.URL+webhookURL(hooks[0].ID)),
		visible(`[role="tab"]`))
	b.js(`document.querySelectorAll("main details:not([role])").forEach(e => { e.open = true })`)
	b.checkFits()
	b.checkContrast()
	b.screenshot("webhook")
	b.run(goTo(s.server.URL+deliveryURL(shown)),
		visible(`#attempt-1-response summary`),
		chromedp.Focus(`#attempt-1-response summary`))
	b.key(kb.Enter)
	b.run(visible(`#attempt-1-response pre`))
	b.js(`document.querySelectorAll("main details").forEach(e => { e.open = true })`)
	if got := b.js(
		`document.title + document.querySelectorAll("main script").length`); got != "Domain added · DCVaaS0" {
		t.Errorf("title and number of scripts = %q, want no injected title or script", got)
	}
	b.checkFits()
	b.checkContrast()
	b.screenshot("delivery")
	b.run(goTo(s.server.URL+"/webhooks"), visible(`table`))
	b.checkFits()
	b.checkContrast()
	b.screenshot("webhooks")
}
