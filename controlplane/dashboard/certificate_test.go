package dashboard

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	sealing "github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

// withSealer gives the lifecycle what opens private keys.
func withSealer(t *testing.T) func(*Config) {
	t.Helper()
	keyset, err := sealing.New()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := sealing.Open(keyset)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.Lifecycle.Sealer = sealer }
}

// issueWithKey gives the domain a certificate whose key is held here.
func (s *site) issueWithKey(d *controlplane.Domain) *controlplane.Certificate {
	s.t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	key := newKey(s.t)
	c := certificateFor(s.t, d, now.Add(-time.Hour), now.Add(90*24*time.Hour-time.Hour), key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	s.must(err)
	c.SealedKey, err = s.life.Sealer.Seal(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), c.OrderID)
	s.must(err)
	return s.hold(d, c)
}

var reader = controlplane.GitHubAccount{ID: 7, Login: "reader"}

func TestCertificatePage(t *testing.T) {
	s := newSignedIn(t, withSealer(t))
	d := s.add(s.org, "example.com")
	first := s.issueWithKey(d)
	second := s.issueWithKey(d)
	page := "/certificates/" + second.ID
	s.get("/domains/"+d.ID).has(`href="`+page+`"`, `href="/certificates/`+first.ID+`"`)
	s.get(page).want(http.StatusOK, "Certificate of example.com", "The domain’s current certificate", "Valid", "Issuer Test Intermediate R3", "CA letsencrypt", "Profile classic", "Key EC P-256",
		"Serial "+second.Serial, "SHA-256 "+second.FingerprintSHA256, "Renewal in 59 days", "Held here, sealed",
		"Certificate Subject example.com Issuer CN=Test Intermediate R3 Valid from", "Intermediate Subject CN=Test Intermediate R3",
		"ssl_certificate /etc/nginx/certs/example.com-fullchain.pem;", "tls /etc/caddy/certs/example.com-fullchain.pem /etc/caddy/certs/example.com-key.pem",
		"cat example.com-fullchain.pem example.com-key.pem > /etc/haproxy/certs/example.com.pem", "The certificate before it").
		has(`href="/certificates/`+first.ID+`"`, `href="`+page+`/key"`, `href="`+page+`/revoke"`, `href="`+page+`/chain.pem"`).hasNot("took its place")
	s.get("/certificates/"+first.ID).want(http.StatusOK, "Replaced", "The certificate that took its place").has(`aria-label="0 % of its life is over."`, `href="`+page+`"`).hasNot("Renewal in", "current certificate")

	own := s.issue(d)
	s.get("/certificates/"+own.ID).want(http.StatusOK, "Held by you", "there is no key to download", "/etc/nginx/certs/your.key").hasNot(`/key"`)
	s.get("/certificates/" + own.ID + "/key").to("/certificates/" + own.ID)
	s.post("/certificates/"+own.ID+"/key", nil).want(http.StatusConflict, "its private key never was", "Back to the certificate")

	s.join(s.org, reader, controlplane.RoleMember)
	s.again(reader).get(page).want(http.StatusOK, "Held here", "Full chain").hasNot(`/key"`, `/revoke"`, "Private key…")
	s.browser().get(page).to(signInTo(page))
}

func TestCertificateOfAWildcard(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	s.change(d, func(d *controlplane.Domain) { d.Wildcard = true })
	c := s.issue(d)
	s.get("/certificates/"+c.ID).want(http.StatusOK, "server_name example.com *.example.com;", "example.com, *.example.com {")
}

func TestTakeAKey(t *testing.T) {
	s := newSignedIn(t, withSealer(t))
	c := s.issueWithKey(s.add(s.org, "example.com"))
	page := "/certificates/" + c.ID
	s.get(page+"/key").want(http.StatusOK, "can pose as example.com", "recorded in the audit log", "Download the private key", "Password of the file").hasNot("PRIVATE KEY")
	if got := s.actions(s.org.ID, "certificate"); len(got) != 0 {
		t.Errorf("looking at the page is recorded as %v", got)
	}
	a := s.post(page+"/key", nil).want(http.StatusOK)
	if block, _ := pem.Decode([]byte(a.body)); block == nil || block.Type != "PRIVATE KEY" {
		t.Error("that is no key")
	}
	for name, want := range map[string]string{"Content-Disposition": `attachment; filename="example.com-key.pem"`, "Cache-Control": "no-store"} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := s.actions(s.org.ID, "certificate"); !slices.Equal(got, []string{controlplane.ActionKeyDownloaded}) {
		t.Errorf("the log has %v", got)
	}

	for password, says := range map[string]string{"": "Type the password", "hunter2 🔑": "cannot have", "hunter2\x00": "cannot have", "hunter2\xff": "cannot have", strings.Repeat("hunter2", 147): "too long"} {
		s.post(page+"/pkcs12", url.Values{"password": {password}}).want(http.StatusUnprocessableEntity, says).
			has(`aria-describedby="password-error" aria-invalid="true" autofocus`).hasNot("hunter2")
	}
	if got := s.actions(s.org.ID, "certificate"); len(got) != 1 {
		t.Errorf("a key that was not given out is recorded: %v", got)
	}
	a = s.post(page+"/pkcs12", url.Values{"password": {"hunter2"}}).want(http.StatusOK)
	_, leaf, chain, err := pkcs12.DecodeChain([]byte(a.body), "hunter2")
	if err != nil || leaf.DNSNames[0] != "example.com" || len(chain) != 1 || a.header.Get("Content-Disposition") != `attachment; filename="example.com.p12"` {
		t.Errorf("%v, %d certificates follow, %v", err, len(chain), a.header)
	}
	if got := s.actions(s.org.ID, "certificate"); len(got) != 2 {
		t.Errorf("the log has %v", got)
	}
	if strings.Contains(s.log.String(), "hunter2") {
		t.Error("a password is logged")
	}
}

func TestRevokeACertificate(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	old, c := s.issue(d), s.issue(d)
	page := "/certificates/" + c.ID
	s.get(page+"/revoke").want(http.StatusOK, "cannot be undone", "The private key may be known to others", "Order a new certificate", "To confirm, type example.com").has(`name="replace" value="1" checked`)
	s.get("/certificates/" + old.ID + "/revoke").want(http.StatusOK).hasNot(`name="replace"`)
	for _, f := range []struct {
		reason, name string
		has          string
	}{
		{"", "example.com", `id="reason-error"`}, {"certificateHold", "example.com", `id="reason-error"`}, {"superseded", "", `id="name-error"`},
		{"superseded", `"><script>alert(1)</script>`, `id="name-error"`}, {"superseded", "example.org", `<option value="superseded" selected>`},
	} {
		s.post(page+"/revoke", url.Values{"reason": {f.reason}, "name": {f.name}}).want(http.StatusUnprocessableEntity).has(f.has, `autofocus`).hasNot("<script>alert", `value="1" checked`)
	}
	if _, err := s.store.OpenJob(t.Context(), s.org.ID, d.ID, "revocation:"+c.ID); !controlplane.IsKind(err, controlplane.KindNotFound) {
		t.Errorf("a refused form revokes: %v", err)
	}
	open := func() bool {
		_, err := s.store.OpenJob(t.Context(), s.org.ID, d.ID, "certificate")
		return err == nil
	}
	s.post(page+"/revoke", url.Values{"reason": {"superseded"}, "name": {" Example.COM "}}).to(page)
	s.get(page).want(http.StatusOK, "The CA is being told to revoke the certificate.", "Its revocation was asked for (Another certificate takes its place).")
	if open() {
		t.Error("a new certificate is ordered that nobody asked for")
	}
	s.post(page+"/revoke", url.Values{"reason": {"cessationOfOperation"}, "name": {"example.com"}, "replace": {"1"}}).to(page)
	s.get(page).want(http.StatusOK, "being revoked already", "The names are no longer used")
	if !open() {
		t.Error("no new certificate is ordered")
	}
	s.must(s.store.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.CertificateRevoked(t.Context(), s.org.ID, c.ID, "superseded", time.Now())
	}))
	s.get(page).want(http.StatusOK, "Revoked now : Another certificate takes its place.").hasNot(`/revoke"`)
	s.get(page + "/revoke").to(page)
	s.post(page+"/revoke", url.Values{"reason": {"superseded"}, "name": {"example.com"}}).want(http.StatusConflict, "was revoked at", "Back to the certificate")
}

func TestWhoMayWhatWithACertificate(t *testing.T) {
	s := newSignedIn(t)
	s.join(s.org, reader, controlplane.RoleMember)
	member := s.again(reader)
	own := "/certificates/" + s.issue(s.add(s.org, "example.com")).ID
	foreign := "/certificates/" + s.issue(s.add(s.newOrg("Other Ltd"), "foreign.example.com")).ID
	form := url.Values{"reason": {"superseded"}, "name": {"foreign.example.com"}, "password": {"x"}}
	for _, path := range []string{"", "/key", "/revoke"} {
		for _, base := range []string{foreign, "/certificates/crt_x", "/certificates/crt_01h455vb4pex5vsknk084sn02q"} {
			s.get(base + path).want(http.StatusNotFound).hasNot("foreign.example.com")
		}
		if path != "" {
			member.get(own + path).want(http.StatusForbidden)
			s.browser().get(own + path).to(signInTo(own + path))
		}
	}
	for _, path := range []string{"/key", "/pkcs12", "/revoke"} {
		s.post(foreign+path, form).want(http.StatusNotFound)
		member.post(own+path, form).want(http.StatusForbidden)
		s.browser().post(own+path, form).to("/login")
		s.post(own+path, form, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example").want(http.StatusForbidden, "sent from another site")
	}
}

func TestBrowserCertificateNarrowAndDark(t *testing.T) {
	s := newSignedIn(t, withSealer(t))
	c := s.issueWithKey(s.add(s.org, strings.Repeat("long-label-of-a-name.", 6)+"example.com"))
	s.kill(s.add(s.org, strings.Repeat("long-label-of-a-name.", 6)+"example.org"))
	b := s.open(320, 640, true, true)
	b.key(kb.Enter)
	b.run(chromedp.WaitVisible(`#name`))
	page := "/certificates/" + c.ID
	for _, to := range []struct{ name, path string }{{"jobs", "/jobs"}, {"certificate", page}, {"key", page + "/key"}, {"revoke", page + "/revoke"}, {"expiry", "/expiry"}} {
		b.run(chromedp.Navigate(s.server.URL+to.path), chromedp.WaitVisible(`h1`, chromedp.ByQuery))
		b.fits()
		b.contrast()
		b.shot(to.name + "-narrow-dark")
	}
}
