package dashboard

import (
	"crypto/x509"
	"encoding/pem"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	sealing "github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

// withSealer configures a sealer, which decrypts private keys.
func withSealer(t *testing.T) func(*Config) {
	t.Helper()
	sealer := newSealer(t)
	return func(c *Config) { c.Lifecycle.Sealer = sealer }
}

func newSealer(t *testing.T) *sealing.Sealer {
	t.Helper()
	keyset, err := sealing.New()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := sealing.Open(keyset)
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

// issueWithKey stores a certificate for the domain with its private key.
func (s *site) issueWithKey(d *controlplane.Domain) *controlplane.Certificate {
	s.t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	key := newKey(s.t)
	c := certificateFor(s.t, d, now.Add(-time.Hour), now.Add(90*24*time.Hour-time.Hour), key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	s.must(err)
	c.SealedKey, err = s.life.Sealer.Seal(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY",
		Bytes: der}), c.OrderID)
	s.must(err)
	return s.storeCertificate(d, c)
}

var reader = controlplane.GitHubAccount{ID: 7, Login: "reader"}

func TestCertificatePage(t *testing.T) {
	s := newSignedIn(t, withSealer(t))
	d := s.add(s.org, "example.com")
	first := s.issueWithKey(d)
	second := s.issueWithKey(d)
	page := "/certificates/" + second.ID
	s.get("/domains/"+d.ID).has(`href="`+page+`"`, `href="/certificates/`+first.ID+`"`)
	s.get(page).want(http.StatusOK, "Certificate for example.com",
		"The domain’s current certificate", "Valid", "Issuer Test Intermediate R3",
		"CA letsencrypt", "Profile classic", "Key EC P-256",
		"Serial "+second.Serial, "SHA-256 "+second.FingerprintSHA256, "Renewal in 60 days",
		"Stored here, encrypted",
		"Certificate Subject example.com Issuer CN=Test Intermediate R3 Valid from",
		"Intermediate Subject CN=Test Intermediate R3",
		"ssl_certificate /etc/nginx/certs/example.com-fullchain.pem;",
		"tls /etc/caddy/certs/example.com-fullchain.pem /etc/caddy/certs/example.com-key.pem",
		"cat example.com-fullchain.pem example.com-key.pem > /etc/haproxy/certs/example.com.pem",
		"Previous certificate").
		has(`href="/certificates/`+first.ID+`"`, `href="`+page+`/key"`, `href="`+page+`/revoke"`,
			`href="`+page+`/chain.pem"`).hasNot("Replacement certificate")
	s.get("/certificates/"+first.ID).want(http.StatusOK, "Replaced",
		"Replacement certificate").has(`aria-label="0% of the lifetime has elapsed."`, `href="`+
		page+`"`).hasNot("Renewal in", "current certificate")

	own := s.issue(d)
	s.get("/certificates/"+own.ID).want(http.StatusOK, "Held by you", "no key is stored here",
		"/etc/nginx/certs/your.key").hasNot(`/key"`)
	s.get("/certificates/" + own.ID + "/key").to("/certificates/" + own.ID)
	s.post("/certificates/"+own.ID+"/key", url.Values{"name": {own.Names[0]}}).want(http.StatusConflict,
		"the service never had its private key", "Back to the certificate")

	s.addMember(s.org, reader, controlplane.RoleMember)
	s.signedInAs(reader).get(page).want(http.StatusOK, "Stored here", "Full chain").hasNot(`/key"`,
		`/revoke"`, "Private key…")
	s.newVisitor().get(page).to(signInTo(page))
}

func TestWildcardCertificate(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	s.change(d, func(d *controlplane.Domain) { d.Wildcard = true })
	c := s.issue(d)
	s.get("/certificates/"+c.ID).want(http.StatusOK, "server_name example.com *.example.com;",
		"example.com, *.example.com {")
}

func TestDownloadKey(t *testing.T) {
	s := newSignedIn(t, withSealer(t))
	c := s.issueWithKey(s.add(s.org, "example.com"))
	page := "/certificates/" + c.ID
	s.get(page+"/key").want(http.StatusOK, "can impersonate example.com",
		"recorded in the audit log", "Download private key", "File password").hasNot("PRIVATE KEY")
	if got := s.actions(s.org.ID, "certificate"); len(got) != 0 {
		t.Errorf("audit actions after opening the page = %v, want none", got)
	}
	for _, typed := range []string{"", "example.org"} {
		for _, path := range []string{"/key", "/pkcs12"} {
			s.post(page+path, url.Values{"name": {typed}, "password": {"hunter2"}}).want(
				http.StatusUnprocessableEntity, "The name does not match. Type example.com.").
				hasNot("hunter2", "PRIVATE KEY")
		}
	}
	a := s.post(page+"/key", url.Values{"name": {" Example.com "}}).want(http.StatusOK)
	if block, _ := pem.Decode([]byte(a.body)); block == nil || block.Type != "PRIVATE KEY" {
		t.Error("the download is not a PEM private key")
	}
	for name, want := range map[string]string{
		"Content-Disposition": `attachment; filename="example.com-key.pem"`,
		"Cache-Control":       "no-store"} {
		if got := a.header.Get(name); got != want {
			t.Errorf("header %s = %q, want %q", name, got, want)
		}
	}
	if got := s.actions(s.org.ID, "certificate"); !slices.Equal(got,
		[]string{controlplane.ActionKeyDownloaded}) {
		t.Errorf("the log has %v", got)
	}

	for password, says := range map[string]string{"": "Enter a password",
		"hunter2 🔑": "contains characters", "hunter2\x00": "contains characters",
		"hunter2\xff": "contains characters", strings.Repeat("hunter2", 147): "at most 1024 characters"} {
		s.post(page+"/pkcs12", url.Values{"name": {"example.com"}, "password": {password}}).want(
			http.StatusUnprocessableEntity, says).
			has(`aria-describedby="password-error" aria-invalid="true" autofocus`).hasNot("hunter2")
	}
	if got := s.actions(s.org.ID, "certificate"); len(got) != 1 {
		t.Errorf("audit actions after rejected passwords = %v, want 1", got)
	}
	a = s.post(page+"/pkcs12", url.Values{"name": {"example.com"},
		"password": {"hunter2"}}).want(http.StatusOK)
	_, leaf, chain, err := pkcs12.DecodeChain([]byte(a.body), "hunter2")
	if err != nil || leaf.DNSNames[0] != "example.com" || len(chain) != 1 ||
		a.header.Get("Content-Disposition") != `attachment; filename="example.com.p12"` {
		t.Errorf("DecodeChain = leaf %v, %d more certificates, %v, header %v; want example.com and 1 in example.com.p12", leaf, len(chain), err, a.header)
	}
	if got := s.actions(s.org.ID, "certificate"); len(got) != 2 {
		t.Errorf("the log has %v", got)
	}
	if strings.Contains(s.log.String(), "hunter2") {
		t.Error("the log contains a password")
	}
}

// An old session must sign in again, which leads back to the page, before it gets a key.
func TestKeyNeedsARecentSignIn(t *testing.T) {
	s := newSignedIn(t, withSealer(t))
	c := s.issueWithKey(s.add(s.org, "example.com"))
	page, form := "/certificates/"+c.ID+"/key", url.Values{"name": {"example.com"},
		"password": {"hunter2"}}
	s.advance(keySessionAge + time.Minute)
	again := signInAgain(page)
	s.get(page).want(http.StatusOK, "Sign in again").has(
		`href="` + html.EscapeString(again) + `"`).hasNot("File password")
	for _, path := range []string{page, "/certificates/" + c.ID + "/pkcs12"} {
		s.post(path, form).want(http.StatusForbidden, "Sign in again").hasNot("PRIVATE KEY")
	}
	if got := s.actions(s.org.ID, "certificate"); len(got) != 0 {
		t.Errorf("audit actions of an old session = %v, want none", got)
	}
	s.get(again).want(http.StatusOK, "Sign in as developer").has(`value="` + page + `"`)
	s.advance(0) // the new session is of now
	s.post("/login", url.Values{"next": {page}}).to(page)
	s.post(page, form).want(http.StatusOK).has("PRIVATE KEY")
}

func TestRevokeCertificate(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	old, c := s.issue(d), s.issue(d)
	page := "/certificates/" + c.ID
	s.get(page+"/revoke").want(http.StatusOK, "cannot be undone", "Private key compromised",
		"Order a new certificate", "Type example.com to confirm").has(
		`name="replace" value="1" checked`)
	s.get("/certificates/" + old.ID + "/revoke").want(http.StatusOK).hasNot(`name="replace"`)
	for _, f := range []struct {
		reason, name string
		has          string
	}{
		{"", "example.com", `id="reason-error"`},
		{"certificateHold", "example.com", `id="reason-error"`},
		{"superseded", "", `id="name-error"`},
		{"superseded", `"><script>alert(1)</script>`, `id="name-error"`},
		{"superseded", "example.org", `<option value="superseded" selected>`},
	} {
		s.post(page+"/revoke", url.Values{"reason": {f.reason}, "name": {f.name}}).want(
			http.StatusUnprocessableEntity).has(f.has, `autofocus`).hasNot("<script>alert",
			`value="1" checked`)
	}
	if _, err := s.store.OpenJob(t.Context(), s.org.ID, d.ID, "revocation:"+
		c.ID); !controlplane.IsKind(err, controlplane.KindNotFound) {
		t.Errorf("OpenJob after a rejected form = %v, want not found", err)
	}
	open := func() bool {
		_, err := s.store.OpenJob(t.Context(), s.org.ID, d.ID, "certificate")
		return err == nil
	}
	s.post(page+"/revoke", url.Values{"reason": {"superseded"}, "name": {" Example.COM "}}).to(page)
	s.get(page).want(http.StatusOK, "Revocation started.",
		"Revocation requested (Replaced by another certificate).")
	if open() {
		t.Error("a new certificate was ordered without a request")
	}
	s.post(page+"/revoke", url.Values{"reason": {"cessationOfOperation"}, "name": {"example.com"},
		"replace": {"1"}}).to(page)
	s.get(page).want(http.StatusOK, "revocation is already in progress",
		"Domain names no longer used")
	if !open() {
		t.Error("no new certificate was ordered")
	}
	s.must(s.store.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.CertificateRevoked(t.Context(), s.org.ID, c.ID, "superseded", time.Now())
	}))
	s.get(page).want(http.StatusOK, "Revoked now : Replaced by another certificate.").hasNot(
		`/revoke"`)
	s.get(page + "/revoke").to(page)
	s.post(page+"/revoke", url.Values{"reason": {"superseded"}, "name": {"example.com"}}).want(
		http.StatusConflict, "was revoked at", "Back to the certificate")
}

func TestCertificateAccess(t *testing.T) {
	s := newSignedIn(t)
	s.addMember(s.org, reader, controlplane.RoleMember)
	member := s.signedInAs(reader)
	own := "/certificates/" + s.issue(s.add(s.org, "example.com")).ID
	foreign := "/certificates/" + s.issue(s.add(s.newOrg("Other Ltd"), "foreign.example.com")).ID
	form := url.Values{"reason": {"superseded"}, "name": {"foreign.example.com"}, "password": {"x"}}
	for _, path := range []string{"", "/key", "/revoke"} {
		for _, base := range []string{foreign, "/certificates/crt_x",
			"/certificates/crt_01h455vb4pex5vsknk084sn02q"} {
			s.get(base + path).want(http.StatusNotFound).hasNot("foreign.example.com")
		}
		if path != "" {
			member.get(own + path).want(http.StatusForbidden)
			s.newVisitor().get(own + path).to(signInTo(own + path))
		}
	}
	for _, path := range []string{"/key", "/pkcs12", "/revoke"} {
		s.post(foreign+path, form).want(http.StatusNotFound)
		member.post(own+path, form).want(http.StatusForbidden)
		s.newVisitor().post(own+path, form).toSignIn()
		s.post(own+path, form, "Sec-Fetch-Site", "cross-site", "Origin",
			"https://evil.example").want(http.StatusForbidden, "sent from another site")
	}
}

func TestBrowserCertificateNarrowAndDark(t *testing.T) {
	s := newSignedIn(t, withSealer(t))
	c := s.issueWithKey(s.add(s.org, strings.Repeat("long-label-of-a-name.", 6)+"example.com"))
	s.deadLetter(s.add(s.org, strings.Repeat("long-label-of-a-name.", 6)+"example.org"))
	b := s.open(320, 640, true, true)
	b.key(kb.Enter)
	b.run(visible(`#name`))
	page := "/certificates/" + c.ID
	for _, to := range []struct{ name, path string }{{"jobs", "/jobs"}, {"certificate", page},
		{"key", page + "/key"}, {"revoke", page + "/revoke"}, {"expiry", "/expiry"}} {
		b.run(goTo(s.server.URL+to.path), visible(`h1`))
		b.checkFits()
		b.checkContrast()
		b.screenshot(to.name + "-narrow-dark")
	}
}
