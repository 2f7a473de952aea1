package dashboard

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// The first domain becomes active through a connection: add it, see what changes, create the
// record, and watch the page.
func TestBrowserConnection(t *testing.T) {
	s := newSite(t, withSealer(t))
	b := s.open(1200, 800, false, true)
	b.key(kb.Enter)
	b.run(visible(`#name`), goTo(s.server.URL+connectionsPath), visible(`#server`))
	b.checkFits()
	b.checkContrast()
	b.screenshot("connections-empty")
	for _, field := range []struct{ id, text string }{{"name", "ns1.example.net"},
		{"server", "ns1.example.net"}, {"key-name", "dcvaas"}, {"key-secret", "short"},
		{"zones", "example.com"}} {
		b.run(chromedp.Focus("#" + field.id))
		b.key(field.text)
	}
	b.js(`document.querySelector("#add button").click()`)
	b.run(visible(`#key-secret-error`))
	b.eventually(`document.activeElement.id === "key-secret"`)
	if got := b.js(`document.getElementById("key-secret").value +
		document.getElementById("server").value`); got != "ns1.example.net" {
		t.Errorf("secret and server after an error = %q, want only the server", got)
	}
	b.screenshot("connections-error")
	b.key(connectionSecret, kb.Enter)
	b.run(visible(`#rename`))
	b.checkFits()
	b.checkContrast()
	b.screenshot("connection")

	b.run(goTo(s.server.URL+"/domains"), visible(`#name`), chromedp.Focus(`#name`))
	b.key("example.com", kb.Enter)
	b.run(visible(`#create-records`), chromedp.Focus(`#create-records`))
	b.key(kb.Enter)
	b.run(visible(`#create`))
	if got := b.js(`document.querySelector("main").innerText`); !strings.Contains(got,
		"_acme-challenge.example.com") || !strings.Contains(got, "Is created") {
		t.Errorf("the plan = %s, want the record to be created", got)
	}
	b.checkFits()
	b.checkContrast()
	b.screenshot("plan")
	b.run(chromedp.Focus(`#create`))
	b.key(kb.Enter)
	b.run(visible(`#through`))
	b.eventually(`document.getElementById("status").innerText.includes("CNAME is being created")`)
	b.eventually(
		`document.getElementById("live-note").textContent.includes("updates automatically")`)
	b.screenshot("applying")

	d, err := s.store.Domain(t.Context(), s.org.ID, "example.com")
	s.must(err)
	c, err := s.store.Connection(t.Context(), s.org.ID, d.ConnectionID)
	s.must(err)
	s.runApply(c)
	r := s.life.DelegationOf(d)
	if got := s.hosts().has[r.Name]; len(got) != 1 || !got[0].Is(r.Target) {
		t.Errorf("%s has %v, want the CNAME", r.Name, got)
	}
	s.change(d, func(d *controlplane.Domain) {
		d.SetCondition(controlplane.Condition{Type: controlplane.DNSReady, Status: "true",
			Reason: controlplane.ReasonDelegated, Message: "The CNAME points to its target."})
	})
	s.issue(d)
	b.eventually(`document.getElementById("pill").textContent.includes("Active")`)
	b.screenshot("active-through")

	// On a narrow dark screen, the pages fit.
	b = s.open(320, 640, true, true)
	b.key(kb.Enter)
	b.run(visible(`#name`))
	for _, path := range []string{connectionsPath, connectionURL(c.ID), domainURL(d.ID) + "/dns"} {
		b.run(goTo(s.server.URL+path), visible(`main h1`))
		b.js(`document.querySelectorAll("main details").forEach(e => { e.open = true })`)
		b.checkFits()
		b.checkContrast()
		b.screenshot("narrow" + strings.ReplaceAll(path, "/", "-"))
	}
}
