package dashboard

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// The page shows what each resolver and each name server answers, and the cause first.
func TestDiagnosis(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "shop.example.org")
	record, path := s.life.DelegationOf(d), diagnosisURL(d.ID)
	before := s.queryText(`SELECT row_to_json(d) || '' FROM domains d WHERE id = $1`, d.ID)
	s.get(domainURL(d.ID)).want(http.StatusOK, "Diagnose now").has(`action="` + path + `"`)

	s.get(path).want(http.StatusOK, "Most likely cause CNAME not found",
		"ns1.example.org (192.0.2.1:53) TXT over UDP None CNAME not found NXDOMAIN",
		"ns2.example.org (192.0.2.2:53) TXT over TCP None", "TXT over HTTPS None", "Not signed",
		"so every CA may issue", "letsencrypt Allowed", "zerossl Allowed")

	s.dns.serve(record.Name + ". 300 IN CNAME old.example.net.")
	wrong := s.get(path).want(http.StatusOK, "Most likely cause CNAME points elsewhere",
		"Expected "+record.Name, "ns1.example.org (192.0.2.1:53) TXT over TCP "+record.Name+
			" → old.example.net CNAME points elsewhere")
	if n := strings.Count(wrong.text, "Expected "); n != 1 {
		t.Errorf("the page states the expected record %d times, want once: %s", n, wrong.text)
	}
	if after := s.queryText(`SELECT row_to_json(d) || '' FROM domains d WHERE id = $1`,
		d.ID); after != before {
		t.Errorf("row after a diagnosis = %s, want %s", after, before)
	}
}

func TestDiagnosisFindsNothing(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "fine.example.com")
	s.delegate(d, d.Name)
	record, path := s.life.DelegationOf(d), diagnosisURL(d.ID)
	s.get(path).want(http.StatusOK, "Result Verified DNS allows a CA to issue the certificate.",
		"TXT over UDP "+record.Name+" → "+record.Target+" Verified",
		"DNS zone example.com", "All answers").hasNot("cause", "Warnings")

	// One CA is forbidden, so the certificate can be issued with a warning.
	s.dns.serve(`fine.example.com. 300 IN CAA 0 issue "letsencrypt.org"`)
	s.get(path).want(http.StatusOK, "DNS allows a CA", "Warnings CA forbidden by CAA records",
		`CAA records fine.example.com 0 issue "letsencrypt.org"`, "letsencrypt Allowed",
		"zerossl CA forbidden by CAA records")
	s.dns.disconnect()
	s.get(path).want(http.StatusOK, "Most likely cause Resolvers unreachable",
		"TXT over HTTPS None No answer returned HTTP 503")
}

func TestDiagnosisOfForbiddenCAs(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "fine.example.com")
	s.delegate(d, d.Name)
	s.dns.serve(`fine.example.com. 300 IN CAA 0 issue "other-ca.example"`)
	s.get(diagnosisURL(d.ID)).want(http.StatusOK,
		"Most likely cause CA forbidden by CAA records", "How to fix it",
		`CAA records fine.example.com 0 issue "other-ca.example"`,
		"zerossl CA forbidden by CAA records All answers")
}

func TestDiagnosisOfSeveralNames(t *testing.T) {
	s := newSignedIn(t)
	d := s.addNames("several.example.com", "www.example.net")
	s.delegate(d, d.Name)
	s.get(diagnosisURL(d.ID)).want(http.StatusOK,
		"Most likely cause CNAME not found www.example.net",
		"several.example.com Verified", "www.example.net CNAME not found").has(
		`id="name-2" aria-label="www.example.net"`)
}

// The API and the dashboard share the limits. The error page offers a retry.
func TestDiagnosisIsBounded(t *testing.T) {
	limits := edge.NewDiagnoses()
	s := newSignedIn(t, func(c *Config) { c.Diagnoses = limits })
	d := s.add(s.org, "busy.example.com")
	path := diagnosisURL(d.ID)
	var leave []func()
	for range edge.DiagnosesOfOne {
		l, ok := limits.Gate.Enter(s.org.ID)
		if !ok {
			t.Fatalf("Enter failed before %d diagnoses", edge.DiagnosesOfOne)
		}
		leave = append(leave, l)
	}
	s.get(path).want(http.StatusTooManyRequests, "Wait until one is finished, then retry.",
		"Retry").has(`href="` + path + `"`)
	for _, l := range leave {
		l()
	}
	limits.Timeout = time.Nanosecond
	s.get(path).want(http.StatusServiceUnavailable, "timed out", "Retry").has(`href="` + path + `"`)

	reader := controlplane.GitHubAccount{ID: 78, Login: "reader"}
	s.addMember(s.org, reader, controlplane.RoleMember)
	limits.Timeout = time.Minute
	s.signedInAs(reader).get(path).want(http.StatusOK, "CNAME not found")
}

// A diagnosis starts on the domain's page, without scripts too.
func TestBrowserDiagnosis(t *testing.T) {
	s := newSite(t)
	d := s.add(s.org, "shop.example.org")
	s.dns.serve("_acme-challenge.shop.example.org. 300 IN CNAME old-target.example.net.")
	b := s.open(1280, 900, false, false)
	b.signInBrowser(s.signedInAs(developer))
	b.run(goTo(s.server.URL+domainURL(d.ID)), visible(`#diagnose`))
	b.run(chromedp.Click(`#diagnose`), visible(`#result .diagnosis`))
	b.checkFits()
}
