package dashboard

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// reload returns the domain as it is stored now.
func (s *site) reload(d *controlplane.Domain) *controlplane.Domain {
	s.t.Helper()
	now, err := s.store.Domain(s.t.Context(), d.OrgID, d.ID)
	s.must(err)
	return now
}

// requestFor returns a CSR in PEM with the line ends of a browser.
func (s *site) requestFor(name string) string {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	s.must(err)
	der, err := x509.CreateCertificateRequest(rand.Reader,
		&x509.CertificateRequest{DNSNames: []string{name}}, key)
	s.must(err)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	return strings.ReplaceAll(string(text), "\n", "\r\n")
}

func TestDomainSettings(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	path := settingsURL(d.ID)
	s.get("/domains/"+d.ID).want(http.StatusOK, "Change settings").has(`href="` + path + `"`)
	form := func(changes url.Values) url.Values {
		values := s.get(path).want(http.StatusOK).formAt(path).values
		maps.Copy(values, changes)
		return values
	}
	s.post(path, form(url.Values{"ca": {"zerossl"}, "key_type": {"rsa3072"},
		"profile": {" tlsserver "}, "preferred_chain": {"ISRG Root X1"}, "auto_renew": {},
		"labels": {" team = web\r\n\r\nowner=a=b\r\nbare=\r\n"}})).to("/domains/" + d.ID)
	got := s.reload(d)
	if o := got.Options; o.CA != "zerossl" || o.KeyType != controlplane.KeyRSA3072 ||
		o.Profile != "tlsserver" || o.PreferredChain != "ISRG Root X1" || o.AutoRenew ||
		!o.AutoIssue || !maps.Equal(o.Labels, map[string]string{"team": "web", "owner": "a=b",
		"bare": ""}) {
		t.Errorf("options = %+v", o)
	}
	s.get("/domains/"+d.ID).want(http.StatusOK, "Settings saved.", "RSA 3072", "owner=a=b")

	// Saving the form as it is shown changes nothing.
	actions := len(s.actions(s.org.ID, "domain"))
	s.post(path, form(nil)).to("/domains/" + d.ID)
	if n := len(s.actions(s.org.ID, "domain")); n != actions {
		t.Errorf("%d audit entries after an unchanged form, want %d", n, actions)
	}

	// Each invalid field has its message, and the input stays.
	s.post(path, form(url.Values{"ca": {"other"}, "key_type": {"dsa"}, "profile": {"no such one"},
		"csr_pem": {"nothing"}, "labels": {"-=x"}})).
		want(http.StatusUnprocessableEntity, "The CA must be one of: letsencrypt, zerossl.").
		has(`id="ca-error"`, `id="csr_pem-error"`, `id="profile-error"`, `id="labels-error"`,
			`value="no such one"`, ">-=x</textarea>")
	for text, want := range map[string]string{"web": "“web” is not a label.",
		"=web": "“=web” is not a label.", "a=1\na=2": "The label “a” is there twice.",
		strings.Repeat("é", 60): "“" + strings.Repeat("é", 40) + "…”"} {
		s.post(path, form(url.Values{"labels": {text}})).want(http.StatusUnprocessableEntity, want)
	}
	if after := s.reload(d); after.Version != got.Version {
		t.Errorf("version = %d after invalid forms, want %d", after.Version, got.Version)
	}

	// The key type follows from a CSR. A browser's line ends do not make it another one.
	csr := s.requestFor("example.com")
	s.post(path, form(url.Values{"csr_pem": {csr}})).to("/domains/" + d.ID)
	withCSR := s.reload(d)
	if withCSR.KeyType != controlplane.KeyEC384 || withCSR.CSRPEM == "" {
		t.Errorf("key type = %s with a CSR for P-384", withCSR.KeyType)
	}
	s.post(path, form(url.Values{"csr_pem": {csr}})).to("/domains/" + d.ID)
	if after := s.reload(d); after.Version != withCSR.Version {
		t.Error("the same CSR with other line ends changed the domain")
	}
	s.post(path, form(url.Values{"csr_pem": {""}, "key_type": {"ec256"}})).to("/domains/" + d.ID)
	if after := s.reload(d); after.CSRPEM != "" || after.KeyType != controlplane.KeyEC256 {
		t.Errorf("after the CSR was removed: key type = %s, CSR = %q", after.KeyType, after.CSRPEM)
	}

	// Somebody else changed the domain since the page was shown.
	mine := form(url.Values{"labels": {"team=mine"}})
	s.post(path, form(url.Values{"labels": {"team=theirs"}})).to("/domains/" + d.ID)
	s.post(path, mine).want(http.StatusPreconditionFailed, "team=mine", "team=theirs")
}

// The message states what happens to the current certificate.
func TestSettingsOfAnActiveDomain(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	s.issue(d)
	path := settingsURL(d.ID)
	save := func(changes url.Values, want string) {
		t.Helper()
		values := s.get(path).want(http.StatusOK).formAt(path).values
		maps.Copy(values, changes)
		s.follow(s.post(path, values)).want(http.StatusOK, want)
	}
	save(url.Values{"labels": {"team=web"}}, "Settings saved. ")
	save(url.Values{"key_type": {"ec384"}}, "A new certificate with them is ordered")
	save(url.Values{"auto_issue": {}}, "Settings saved. ")
	save(url.Values{"key_type": {"ec256"}}, "The current certificate does not have them")
}

func TestDeleteDomain(t *testing.T) {
	s := newSignedIn(t)
	d := s.addNames("example.com", "*.example.com", "www.example.net")
	s.issue(d)
	page, action := settingsURL(d.ID), "/domains/"+d.ID+"/delete"
	s.get(page).want(http.StatusOK, "Type the name example.com to confirm",
		"The current certificate is not revoked", "_acme-challenge.example.com",
		"_acme-challenge.www.example.net")
	for _, typed := range []string{"", "www.example.net", "example.co", "-"} {
		s.post(action, url.Values{"confirm": {typed}}).want(http.StatusUnprocessableEntity,
			"The name does not match. Nothing was deleted.")
	}
	s.follow(s.post(action, url.Values{"confirm": {" Example.COM. "}}).to("/domains")).
		want(http.StatusOK, "Domain deleted.").hasNot("/domains/" + d.ID)
	s.get(page).want(http.StatusNotFound)
	s.post(action, url.Values{"confirm": {"example.com"}}).want(http.StatusNotFound)
}

func TestBrowserDomainSettings(t *testing.T) {
	s := newSite(t)
	d := s.addNames("example.com", "a-long-label-of-a-name-in-the-certificate.example.com")
	b := s.open(320, 640, true, true)
	b.key(kb.Enter)
	b.run(visible(`#name`), goTo(s.server.URL+settingsURL(d.ID)), visible(`#labels`))
	b.checkFits()
	b.checkContrast()
	b.screenshot("domain-settings")
	b.run(chromedp.Focus(`#labels`))
	b.key("wrong")
	b.leave(func() { b.run(chromedp.Click(`form[action$="/settings"] button`)) })
	b.eventually(`document.activeElement.id === "labels"`)
	b.checkFits()
	b.run(chromedp.Click(`#delete summary`), visible(`#confirm`), chromedp.Focus(`#confirm`))
	b.key("example.com", kb.Enter)
	b.run(visible(`.flash`))
	if got := b.js(`document.querySelector(".flash").textContent.trim()`); got != "Domain deleted." {
		t.Errorf("message = %q", got)
	}
}
