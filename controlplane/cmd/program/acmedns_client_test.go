package program

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-acme/lego/v4/certcrypto"
	"github.com/go-acme/lego/v4/certificate"
	"github.com/go-acme/lego/v4/challenge/dns01"
	"github.com/go-acme/lego/v4/lego"
	"github.com/go-acme/lego/v4/providers/dns/acmedns"
	"github.com/go-acme/lego/v4/registration"
)

// legoUser is an account at the CA.
type legoUser struct {
	key      crypto.PrivateKey
	resource *registration.Resource
}

func (u *legoUser) GetEmail() string                        { return "client@example.com" }
func (u *legoUser) GetRegistration() *registration.Resource { return u.resource }
func (u *legoUser) GetPrivateKey() crypto.PrivateKey        { return u.key }

// legoAccount is an account of acme-dns as lego stores it.
type legoAccount struct {
	Fulldomain string `json:"fulldomain"`
	Subdomain  string `json:"subdomain"`
	Username   string `json:"username"`
	Password   string `json:"password"`
}

// impatient is lego's DNS provider for acme-dns. It shortens lego's pause between two queries.
type impatient struct{ *acmedns.DNSProvider }

func (impatient) Timeout() (timeout, interval time.Duration) {
	return time.Minute, 20 * time.Millisecond
}

// legoClient is lego with its own DNS provider for acme-dns.
type legoClient struct {
	*lego.Client
	s       *stack
	storage string // file with the accounts by domain
}

// legoClient returns a lego that uses the acme-dns API at base, and has accounts by domain.
func (s *stack) legoClient(base string, accounts map[string]legoAccount) *legoClient {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.Primary.TLSRootPEM())
	user := &legoUser{key: key}
	config := lego.NewConfig(user)
	config.CADirURL, config.Certificate.KeyType = s.Primary.DirectoryURL(), certcrypto.EC256
	config.HTTPClient = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	c := &legoClient{s: s, storage: filepath.Join(s.t.TempDir(), "accounts.json")}
	c.Client, err = lego.NewClient(config)
	s.must(err)
	if accounts != nil {
		stored, err := json.Marshal(accounts)
		s.must(err)
		s.must(os.WriteFile(c.storage, stored, 0o600))
	}
	provider, err := acmedns.NewDNSProviderConfig(&acmedns.Config{APIBase: base,
		StoragePath: c.storage})
	s.must(err)
	// lego looks for the CNAME at the resolver, and waits until it answers with the value.
	s.must(c.Challenge.SetDNS01Provider(impatient{provider},
		dns01.AddRecursiveNameservers([]string{s.Playground.DNSAddr()}),
		dns01.DisableAuthoritativeNssPropagationRequirement(),
		dns01.RecursiveNSsPropagationRequirement()))
	user.resource, err = c.Registration.Register(
		registration.RegisterOptions{TermsOfServiceAgreed: true})
	s.must(err)
	return c
}

func (s *stack) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// obtain gets a certificate for the names, and checks that it has them.
func (c *legoClient) obtain(names ...string) {
	c.s.t.Helper()
	resource, err := c.Certificate.Obtain(certificate.ObtainRequest{Domains: names, Bundle: true})
	if err != nil {
		c.s.t.Fatalf("Obtain(%q) = %v, want a certificate", names, err)
	}
	chain, err := certcrypto.ParsePEMBundle(resource.Certificate)
	c.s.must(err)
	if got, want := slices.Sorted(slices.Values(chain[0].DNSNames)),
		slices.Sorted(slices.Values(names)); !slices.Equal(got, want) {
		c.s.t.Errorf("names of the certificate = %q, want %q", got, want)
	}
}

// cname creates the CNAME of a name's challenge name in the playground.
func (s *stack) cname(name, target string) {
	s.t.Helper()
	s.must(s.Playground.Set("_acme-challenge."+name, "CNAME", []string{target}, 1))
}

// post sends a request to the REST API, and returns the fields of its 201.
func (s *stack) post(path, body string) map[string]any {
	s.t.Helper()
	resp, text := s.call("POST", path, body)
	if resp.StatusCode != http.StatusCreated {
		s.t.Fatalf("POST %s = %s: %s, want 201", path, resp.Status, text)
	}
	var fields map[string]any
	s.must(json.Unmarshal([]byte(text), &fields))
	return fields
}

// TestLego gets certificates from the CA with lego, through the acme-dns API. Its resolver is a
// global variable of lego, so there is one test.
func TestLego(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	base := s.post("/api/acmedns-keys", `{"name": "lego"}`)["url"].(string)

	// It registers an account, and requests the CNAME.
	c := s.legoClient(base, nil)
	_, err := c.Certificate.Obtain(certificate.ObtainRequest{Domains: []string{"a.example.com"}})
	if err == nil || !strings.Contains(err.Error(), "_acme-challenge.a.example.com. CNAME ") {
		t.Fatalf("Obtain without a CNAME = %v, want lego's request for it", err)
	}
	stored, err := os.ReadFile(c.storage)
	s.must(err)
	var accounts map[string]legoAccount
	s.must(json.Unmarshal(stored, &accounts))
	account := accounts["a.example.com"]
	s.cname("a.example.com", account.Fulldomain)
	c.obtain("a.example.com")

	// Three names with their wildcards use one account, which needs six values at a time.
	for _, name := range []string{"b.example.net", "c.example.org"} {
		accounts[name] = account
		s.cname(name, account.Fulldomain)
	}
	s.legoClient(base, accounts).obtain("a.example.com", "*.a.example.com", "b.example.net",
		"*.b.example.net", "c.example.org", "*.c.example.org")
	if _, text := s.call("GET", "/api/acmedns-accounts", ""); !strings.Contains(text,
		`"updates":7`) {
		t.Errorf("accounts = %s, want one with 7 updates", text)
	}

	// The service and lego get certificates for the same name. An account with the target of the
	// domain's delegation makes one CNAME serve both.
	s.delegate("shared.example.com")
	s.waitActive(s.add("shared.example.com").Id)
	shared := s.post("/api/acmedns-accounts", `{"delegation_id": "shared.example.com"}`)
	text := func(field string) string { return shared[field].(string) }
	s.legoClient(text("server_url"), map[string]legoAccount{"shared.example.com": {
		Fulldomain: text("fulldomain"), Subdomain: text("subdomain"), Username: text("username"),
		Password: text("password")}}).obtain("shared.example.com")
}
