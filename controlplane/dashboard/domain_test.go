package dashboard

import (
	"bufio"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// bigOrg creates an organization with a separate domain limit.
func (s *site) bigOrg(limit int) *controlplane.Organization {
	s.t.Helper()
	o, err := s.life.CreateOrganization(s.t.Context(), controlplane.System("test"),
		lifecycle.NewOrganization{Name: "Big Ltd", Tier: controlplane.TierPro, DomainLimit: &limit})
	s.must(err)
	return o
}

func TestDomainRecord(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "shop.example.co.uk")
	target := d.Target + ".acme.dcvaas-verify.com"
	a := s.get("/domains/"+d.ID).want(http.StatusOK,
		"Type CNAME", "Host _acme-challenge.shop Copy relative to the zone example.co.uk",
		"Full host _acme-challenge.shop.example.co.uk", "Value "+target, "TTL 300",
		"Proxy status DNS only", "_acme-challenge.shop.example.co.uk. 300 IN CNAME "+target+".",
		`resource "aws_route53_record"`, `resource "cloudflare_dns_record"`,
		"is a separate zone, the host is _acme-challenge")
	a.has(`data-copy="`+target+`"`, `aria-label="Copy Value"`, `aria-live="polite"`)
	s.get("/domains/SHOP.example.co.uk").to("/domains/" + d.ID)
	apex := s.add(s.org, "example.com")
	s.get("/domains/"+apex.ID).want(http.StatusOK,
		"Host _acme-challenge Copy").hasNot("is a separate zone")
}

func TestDomainStates(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	page := "/domains/" + d.ID
	s.get(page).want(http.StatusOK, "Waiting Not checked yet", "DNS check due now",
		"The CNAME has not been checked yet.", "Ordered after DNS verification",
		"Domain added DCVaaS", "No certificate yet").
		has(`action="`+page+`/check"`, `action="`+page+`/issue"`).hasNot(`action="` + page +
		`/renew"`)

	s.misconfigure(d)
	s.get(page).want(http.StatusOK, "Blocked CNAME points elsewhere DNS check in 1",
		"Next step: Replace the record by this one.", "Misconfigured",
		"Found _acme-challenge.example.com → old-target.example.net",
		"Expected _acme-challenge.example.com → "+d.Target,
		"Next check in 1").hasNot("How to fix it")

	s.change(d, func(d *controlplane.Domain) {
		d.Status, d.StatusReason = controlplane.DomainIssuing, ""
		d.SetCondition(controlplane.Condition{Type: controlplane.DNSReady, Status: "true",
			Reason: "delegated", Message: "It points to its target."})
		d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady,
			Status: "false", Reason: "issuing", Message: "The certificate is being ordered."})
	})
	s.get(page).want(http.StatusOK, "In progress Issuance in progress Order in progress",
		"The certificate is being ordered.", "Next step: No action needed.")

	c := s.issue(d)
	s.get(page).want(http.StatusOK, "Active Renewal in 60 days", "A valid certificate is stored.", "Issuer Test Intermediate R3",
		"CA letsencrypt", "Key EC P-256", "Serial "+c.Serial, "SHA-256 "+c.FingerprintSHA256,
		"Expires in 90 days", "Renewal in 60 days", "Certificate issued DCVaaS").
		has(`action="`+page+`/renew"`, `/certificates/`+c.ID+`/fullchain.pem"`).hasNot(`action="` +
		page + `/issue"`)

	s.issue(d)
	s.get(page).want(http.StatusOK, "Previous certificates (1)", "Replaced")

	s.change(d, func(d *controlplane.Domain) {
		next := time.Now().Add(time.Hour)
		d.SetCondition(controlplane.Condition{Type: controlplane.RenewalOnTrack,
			Status: "false", Reason: "caa-forbids", Message: "CAA forbids both CAs.",
			NextCheckAt: &next})
	})
	s.get(page).want(http.StatusOK, "At risk CA forbidden by CAA records Renewal in 1 h",
		"CAA forbids both CAs.")
	s.get("/domains").want(http.StatusOK, "At risk CA forbidden by CAA records")

	s.change(d, func(d *controlplane.Domain) {
		d.Status, d.StatusReason, d.CertificateID = controlplane.DomainError, "delegation-timeout",
			""
		d.SetCondition(controlplane.Condition{Type: controlplane.DNSReady,
			Status: "false", Reason: "delegation-timeout", Message: "Not found within 30 days."})
	})
	s.get(page).want(http.StatusOK, "Blocked Delegation timeout Action required",
		"Not found within 30 days.", "then press “Check now”",
		"Not checked again until you press “Check now”")
}

func TestManualIssuance(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	page := "/domains/" + d.ID
	s.change(d, func(d *controlplane.Domain) {
		d.AutoIssue, d.StatusReason = false, "awaiting-issue"
		d.SetCondition(controlplane.Condition{Type: controlplane.DNSReady,
			Status: "true", Reason: "delegated", Message: "It leads to its target."})
		d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady,
			Status: "false", Reason: "awaiting-issue",
			Message: "Issuing starts when it is asked for.", Fix: "POST /api/domains/x/issue"})
	})
	s.get(page).want(http.StatusOK, "Waiting Ready to issue Action required",
		"Issuing starts when it is asked for.", "Next step: Press “Issue now”.").
		has(`id="do-issue" class="primary"`).hasNot("/api/")
	s.issue(d)
	s.change(d, func(d *controlplane.Domain) {
		d.AutoRenew = false
		d.SetCondition(controlplane.Condition{Type: controlplane.RenewalOnTrack,
			Status: "false", Reason: "auto-renew-off",
			Message: "Renewal is switched off for this domain.", Fix: "Set auto_renew to true."})
	})
	s.get(page).want(http.StatusOK, "Active Automatic renewal off No automatic renewal",
		"Renewal is switched off for this domain.",
		"Next step: Press “Renew now” before the certificate expires.").hasNot("auto_renew to",
		`class="primary"`)
	s.change(d, func(d *controlplane.Domain) {
		d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady,
			Status: "false", Reason: "revoked",
			Message: "The current certificate was revoked (keyCompromise).", Fix: "POST /api/x"})
	})
	s.get(page).want(http.StatusOK, "Revoked Certificate revoked Action required", "was revoked (keyCompromise)",
		"Press “Renew now” to order a new certificate.").has(`id="do-renew" class="primary"`).
		hasNot("Active")
}

func TestObjectsOfOtherOrganization(t *testing.T) {
	s := newSignedIn(t)
	other := s.newOrg("Other Ltd")
	d := s.add(other, "foreign.example.com")
	j := s.deadLetter(d)
	c := s.issue(d)
	for _, path := range []string{"/domains/" + d.ID, "/domains/foreign.example.com", "/domains/" +
		d.ID + "/events", "/certificates/" + c.ID + "/fullchain.pem",
		"/domains/dom_01h455vb4pex5vsknk084sn02q", "/domains/dom_x", "/domains/%00", "/domains/-",
		"/certificates/crt_x/leaf.pem", "/certificates/" + c.ID + "/key.pem"} {
		s.get(path).want(http.StatusNotFound).hasNot("foreign.example.com</", c.Serial)
	}
	for _, path := range []string{"/domains/" + d.ID + "/check", "/domains/" + d.ID + "/issue",
		"/domains/" + d.ID + "/renew", "/jobs/" + j.ID + "/retry", "/jobs/x/retry"} {
		s.post(path, nil).want(http.StatusNotFound)
	}
}

func TestRequestJobs(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	page := "/domains/" + d.ID
	s.post(page+"/check", nil).to(page)
	// adding the domain started one
	s.get(page).want(http.StatusOK, "A DNS check is already in progress")
	s.post(page+"/renew", nil).want(http.StatusConflict, "has no certificate to renew", "Issue now",
		"Back to the domain")
	s.post(page+"/issue", nil).to(page)
	s.get(page).want(http.StatusOK, "Certificate order started", "Issue a certificate Queued",
		"Certificate requested developer")
	s.post(page+"/issue", nil).to(page)
	s.get(page).want(http.StatusOK, "A certificate order is already in progress")
	s.issue(d)
	s.post(page+"/renew", nil).to(page)
}

// A recently renewed certificate is not renewed again; the page states when it can be.
func TestRenewTooSoon(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	page := "/domains/" + d.ID
	s.issue(d)
	now := time.Now().UTC().Truncate(time.Second)
	c := newCertificate(s.t, d, now, now.Add(90*24*time.Hour))
	c.SealedKey, c.CreatedAt = []byte("sealed"), now
	again := s.storeCertificate(d, c).CreatedAt.Add(controlplane.RenewalPause)
	s.post(page+"/renew", nil).want(http.StatusTooManyRequests, "Too many requests",
		"was renewed at", again.UTC().Format("2006-01-02 15:04:05 MST"),
		"Back to the domain").has(`href="` + page + `"`)
}

func TestRetryJob(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	j := s.deadLetter(d)
	page := "/domains/" + d.ID
	s.get(page).want(http.StatusOK, "Dead-lettered", "1 of 4 attempts failed",
		"All attempts failed", "No resolver could be asked.", "Retry").has(`action="/jobs/` + j.ID +
		`/retry"`)
	s.post("/jobs/"+j.ID+"/retry", nil).to(page)
	s.get(page).want(http.StatusOK, "Job restarted with all attempts").hasNot("/retry\"")
	s.post("/jobs/"+j.ID+"/retry", nil).to(page)
	s.get(page).want(http.StatusOK, "The job is already in progress")
	claim, err := s.store.ClaimJob(t.Context(), j.ID, j.Generation+1, "w", time.Minute, time.Now())
	s.must(err)
	s.must(s.store.InTx(t.Context(),
		func(tx *postgres.Tx) error { return tx.CompleteJob(t.Context(), claim, time.Now(), nil) }))
	s.post("/jobs/"+j.ID+"/retry", nil).want(http.StatusConflict, "The job succeeded")
}

func TestDownloadCertificate(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	c := s.issue(d)
	count := func(part string) int {
		a := s.get("/certificates/" + c.ID + "/" + part + ".pem").want(http.StatusOK)
		if got, want := a.header.Get("Content-Disposition"), `attachment; filename="example.com-`+
			part+`.pem"`; got != want {
			t.Errorf("Content-Disposition = %q, want %q", got, want)
		}
		n := 0
		for rest := []byte(a.body); ; n++ {
			var b *pem.Block
			if b, rest = pem.Decode(rest); b == nil {
				return n
			}
			if _, err := x509.ParseCertificate(b.Bytes); err != nil {
				t.Errorf("ParseCertificate(%s) = %v, want no error", part, err)
			}
		}
	}
	if full, leaf, chain := count("fullchain"), count("leaf"), count("chain"); full != 2 ||
		leaf != 1 || chain != 1 {
		t.Errorf("certificates in fullchain, leaf, chain = %d, %d, %d, want 2, 1, 1", full, leaf,
			chain)
	}
}

func TestStream(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.server.URL+"/domains/"+d.ID+
		"/events", nil)
	s.must(err)
	res, err := s.visitor.Do(r)
	s.must(err)
	defer func() { _ = res.Body.Close() }()
	if got := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK ||
		got != "text/event-stream" {
		t.Fatalf("GET events = status %d, type %q, want 200 text/event-stream", res.StatusCode, got)
	}
	lines := bufio.NewScanner(res.Body)
	next := func() string { // the next event, without heartbeats
		name := ""
		for lines.Scan() {
			if v, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				name = v
			}
			if v, ok := strings.CutPrefix(lines.Text(), "data: "); ok && name != "" {
				return name + " " + v
			}
		}
		return "end"
	}
	state := next()
	s.get("/domains/" + d.ID).has(`data-state="` + strings.TrimPrefix(state, "state ") + `"`)
	time.Sleep(5500 * time.Millisecond) // longer than the server's timeouts
	s.misconfigure(d)
	moved := next()
	if !strings.HasPrefix(moved, "state ") || moved == state {
		t.Fatalf("event after a change = %q, want a state other than %q", moved, state)
	}
	s.deadLetter(d) // changes the job only
	dead := "state " + s.get("/domains/"+d.ID).state()
	for got := next(); got != dead; got = next() {
		if !strings.HasPrefix(got, "state ") {
			t.Fatalf("event after a change of the job = %q, want %q", got, dead)
		}
	}
	s.must(s.life.DeleteDomain(t.Context(), controlplane.System("test"), s.org.ID, d.ID, 0))
	if got := next(); got != "gone " {
		t.Fatalf("event after the deletion = %q, want gone", got)
	}
	if got := next(); got != "end" {
		t.Fatalf("event after the last one = %q, want the end", got)
	}
}

// state returns the live state of a domain's page.
func (a response) state() string {
	a.t.Helper()
	_, rest, _ := strings.Cut(a.body, `data-state="`)
	state, _, _ := strings.Cut(rest, `"`)
	return state
}

func TestStreamEndsOnShutdown(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	done := make(chan response, 1)
	go func() { done <- s.get("/domains/" + d.ID + "/events") }()
	time.Sleep(100 * time.Millisecond)
	s.dash.SetStopping()
	select {
	case a := <-done:
		a.has("event: state")
	case <-time.After(20 * time.Second):
		t.Fatal("the stream did not end")
	}
	s.post("/logout", nil)
	s.get("/domains/" + d.ID + "/events").want(http.StatusUnauthorized)
}
