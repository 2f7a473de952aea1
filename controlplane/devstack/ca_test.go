package devstack_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"
	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

func TestCAIssues(t *testing.T) {
	t.Parallel()
	zone := startTXTZone(t)
	ca := startCA(t, devstack.CAConfig{Resolver: zone.addr})
	client := newACME(t, ca)
	client.register(t)

	for profile, validity := range devstack.DefaultProfiles() {
		chain := client.issue(t, zone, profile, profile+".example.com", "*."+profile+".example.com")
		leaf := verifyChain(t, chain, ca.RootPEM(), profile+".example.com")
		if got := leaf.NotAfter.Sub(leaf.NotBefore); got != validity-time.Second {
			t.Errorf("profile %s: certificate lifetime = %s, want %s", profile, got,
				validity-time.Second)
		}
		if n := ca.OrdersFor("*." + profile + ".example.com"); n != 1 {
			t.Errorf("OrdersFor wildcard of %s = %d, want 1", profile, n)
		}
	}
	if got, want := ca.Orders(), len(devstack.DefaultProfiles()); got != want {
		t.Errorf("Orders = %d, want %d", got, want)
	}
	if got, want := ca.OrderRequests(), ca.Orders(); got != want {
		t.Errorf("OrderRequests = %d, want %d", got, want)
	}
}

func TestCARejectsWrongTXT(t *testing.T) {
	t.Parallel()
	zone := startTXTZone(t)
	ca := startCA(t, devstack.CAConfig{Resolver: zone.addr})
	client := newACME(t, ca)
	client.register(t)
	zone.breakNames.Store(true)
	if _, err := client.tryIssue(zone, "classic", "wrong.example.com"); err == nil ||
		!strings.Contains(err.Error(), "invalid") {
		t.Fatalf("tryIssue() with a wrong TXT = %v, want an invalid authorization", err)
	}
}

func TestCAParallelOrders(t *testing.T) {
	t.Parallel()
	zone := startTXTZone(t)
	ca := startCA(t, devstack.CAConfig{Resolver: zone.addr})
	const clients, each = 32, 4
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			client := newACME(t, ca)
			if err := client.tryRegister(); err != nil {
				t.Errorf("register() = %v, want no error", err)
				return
			}
			for j := range each {
				name := fmt.Sprintf("p%d-%d.example.com", i, j)
				if _, err := client.tryIssue(zone, "tlsserver", name, "*."+name); err != nil {
					t.Errorf("tryIssue(%s) = %v, want a certificate", name, err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(3 * time.Minute):
		t.Fatal("parallel orders did not finish before the timeout")
	}
	if got := ca.Orders(); got != clients*each {
		t.Errorf("Orders = %d, want %d", got, clients*each)
	}
}

func TestCAStrict(t *testing.T) {
	t.Parallel()
	zone := startTXTZone(t)
	ca := startCA(t, devstack.CAConfig{Resolver: zone.addr, Strict: true})
	client := newACME(t, ca)
	client.register(t)
	chain := client.issue(t, zone, "classic", "strict.example.com")
	verifyChain(t, chain, ca.RootPEM(), "strict.example.com")
}

// TestCANeverReusesAuthorizations tests that every order must prove control, even after earlier
// orders.
func TestCANeverReusesAuthorizations(t *testing.T) {
	t.Parallel()
	zone := startTXTZone(t)
	ca := startCA(t, devstack.CAConfig{Resolver: zone.addr})
	client := newACME(t, ca)
	client.register(t)
	client.issue(t, zone, "classic", "again.example.com", "*.again.example.com")
	for n := range 500 {
		order, err := client.core.Orders.NewWithOptions([]string{"again.example.com"},
			&api.OrderOptions{Profile: "classic"})
		if err != nil {
			t.Fatal(err)
		}
		if order.Status != acme.StatusPending {
			t.Fatalf("status of new order %d = %s, want %s", n, order.Status, acme.StatusPending)
		}
	}
	client.issue(t, zone, "classic", "again.example.com", "*.again.example.com")
}

// TestCAReusesAuthorizations tests that a CA with Reuse reuses authorizations in every order.
func TestCAReusesAuthorizations(t *testing.T) {
	t.Parallel()
	zone := startTXTZone(t)
	ca := startCA(t, devstack.CAConfig{Resolver: zone.addr, Reuse: true})
	client := newACME(t, ca)
	client.register(t)
	client.issue(t, zone, "classic", "again.example.com")
	for n := range 200 {
		order, err := client.core.Orders.NewWithOptions([]string{"again.example.com"},
			&api.OrderOptions{Profile: "classic"})
		if err != nil {
			t.Fatal(err)
		}
		if order.Status != acme.StatusReady {
			t.Fatalf("status of new order %d = %s, want %s", n, order.Status, acme.StatusReady)
		}
	}
}

func TestCAExternalAccountBinding(t *testing.T) {
	t.Parallel()
	mac := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte("k"), 32))
	ca := startCA(t, devstack.CAConfig{EAB: map[string]string{"kid-1": mac}})

	var problem *acme.ProblemDetails
	if err := newACME(t, ca).tryRegister(); !errors.As(err, &problem) ||
		!strings.HasSuffix(problem.Type, ":externalAccountRequired") {
		t.Errorf("registration without a binding = %v, want externalAccountRequired", err)
	}
	wrong := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte("x"), 32))
	if _, err := newACME(t, ca).core.Accounts.NewEAB(acme.Account{TermsOfServiceAgreed: true},
		"kid-1", wrong); err == nil {
		t.Error("registration with a wrong EAB key succeeded, want an error")
	}
	if _, err := newACME(t, ca).core.Accounts.NewEAB(acme.Account{TermsOfServiceAgreed: true},
		"kid-2", mac); err == nil {
		t.Error("registration with an unknown EAB key ID succeeded, want an error")
	}
	if _, err := newACME(t, ca).core.Accounts.NewEAB(acme.Account{TermsOfServiceAgreed: true},
		"kid-1", mac); err != nil {
		t.Errorf("registration with the EAB key = %v, want no error", err)
	}
	if _, err := devstack.StartCA(devstack.CAConfig{
		EAB: map[string]string{"kid": "not base64!"}}); err == nil {
		t.Error("StartCA() with a key that is not base64url succeeded, want an error")
	}
}

func TestCADown(t *testing.T) {
	t.Parallel()
	ca := startCA(t, devstack.CAConfig{})
	client := ca.HTTPClient()
	get := func() error {
		resp, err := client.Get(ca.DirectoryURL())
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	ca.SetDown(true)
	if err := get(); err == nil {
		t.Error("an open connection works after SetDown(true), want it reset")
	}
	if err := get(); err == nil {
		t.Error("a new connection works after SetDown(true), want it reset")
	}
	ca.SetDown(false)
	if err := get(); err != nil {
		t.Errorf("request after SetDown(false) = %v, want no error", err)
	}
	if err := ca.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := ca.Stop(t.Context()); err != nil {
		t.Errorf("second Stop() = %v, want no error", err)
	}
	if err := get(); err == nil {
		t.Error("a request after Stop() succeeded, want an error")
	}
}

func TestCAWrapAndManagement(t *testing.T) {
	t.Parallel()
	var seen atomic.Int32
	ca := startCA(t, devstack.CAConfig{
		Management: ":0",
		Wrap: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if seen.Add(1) == 1 {
					http.Error(w, "away", http.StatusServiceUnavailable)
					return
				}
				next.ServeHTTP(w, r)
			})
		},
	})
	for _, want := range []int{http.StatusServiceUnavailable, http.StatusOK} {
		resp, err := ca.HTTPClient().Get(ca.DirectoryURL())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("GET directory = status %d, want %d", resp.StatusCode, want)
		}
	}
	resp, err := ca.HTTPClient().Get(ca.ManagementURL() + "/roots/0")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var root bytes.Buffer
	if _, err := root.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(root.Bytes(), ca.RootPEM()) {
		t.Error("root at the management endpoint differs from RootPEM()")
	}
}

func TestCAStateOverRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startCA(t, devstack.CAConfig{Name: "primary", StateDir: dir})
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := startCA(t, devstack.CAConfig{Name: "primary", StateDir: dir})
	if !bytes.Equal(first.TLSRootPEM(), second.TLSRootPEM()) {
		t.Error("TLSRootPEM() changed after a restart, want the same")
	}
	if bytes.Equal(first.RootPEM(), second.RootPEM()) {
		t.Error("RootPEM() did not change after a restart: does Pebble store it now?")
	}
	if !bytes.HasPrefix(second.RootsPEM(), second.RootPEM()) ||
		!bytes.Contains(second.RootsPEM(), first.RootPEM()) {
		t.Error("RootsPEM() lacks the current or the previous root")
	}
	client := first.HTTPClient() // trusts the previous certificate
	resp, err := client.Get(second.DirectoryURL())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	other := startCA(t, devstack.CAConfig{Name: "backup", StateDir: dir})
	if bytes.Contains(other.RootsPEM(), first.RootPEM()) {
		t.Error("two CAs have the same roots, want different ones")
	}
}

func startCA(t *testing.T, cfg devstack.CAConfig) *devstack.CA {
	t.Helper()
	ca, err := devstack.StartCA(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ca.Stop(context.Background()) })
	return ca
}

// acmeClient is a minimal ACME client for DNS-01.
type acmeClient struct {
	core *api.Core
	ca   *devstack.CA
	key  *ecdsa.PrivateKey
}

func newACME(t *testing.T, ca *devstack.CA) *acmeClient {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Error(err)
	}
	core, err := api.New(ca.HTTPClient(), "devstack-test", ca.DirectoryURL(), "", key)
	if err != nil {
		t.Error(err)
	}
	return &acmeClient{core: core, ca: ca, key: key}
}

func (c *acmeClient) register(t *testing.T) {
	t.Helper()
	if err := c.tryRegister(); err != nil {
		t.Fatal(err)
	}
}

func (c *acmeClient) tryRegister() error {
	_, err := c.core.Accounts.New(acme.Account{TermsOfServiceAgreed: true})
	return err
}

func (c *acmeClient) issue(t *testing.T, zone *txtZone, profile string, names ...string) []byte {
	t.Helper()
	chain, err := c.tryIssue(zone, profile, names...)
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

// tryIssue returns the certificate with its chain, as PEM.
func (c *acmeClient) tryIssue(zone *txtZone, profile string, names ...string) ([]byte, error) {
	order, err := c.core.Orders.NewWithOptions(names, &api.OrderOptions{Profile: profile})
	if err != nil {
		return nil, fmt.Errorf("newOrder: %w", err)
	}
	for _, url := range order.Authorizations {
		if err := c.authorize(zone, url); err != nil {
			return nil, err
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader,
		&x509.CertificateRequest{DNSNames: names}, key)
	if err != nil {
		return nil, err
	}
	if _, err := c.core.Orders.UpdateForCSR(order.Finalize, csr); err != nil {
		return nil, fmt.Errorf("finalize: %w", err)
	}
	err = poll(func() (bool, error) {
		o, err := c.core.Orders.Get(order.Location)
		order.Order = o.Order
		return o.Status == acme.StatusValid, err
	})
	if err != nil {
		return nil, fmt.Errorf("order: %w", err)
	}
	chain, _, err := c.core.Certificates.Get(order.Certificate, true)
	return chain, err
}

func (c *acmeClient) authorize(zone *txtZone, url string) error {
	authz, err := c.core.Authorizations.Get(url)
	if err != nil {
		return fmt.Errorf("authorization: %w", err)
	}
	if authz.Status == acme.StatusValid {
		return nil
	}
	for _, challenge := range authz.Challenges {
		if challenge.Type != "dns-01" {
			continue
		}
		keyAuth, err := c.core.GetKeyAuthorization(challenge.Token)
		if err != nil {
			return err
		}
		sum := sha256.Sum256([]byte(keyAuth))
		zone.add("_acme-challenge."+authz.Identifier.Value,
			base64.RawURLEncoding.EncodeToString(sum[:]))
		if _, err := c.core.Challenges.New(challenge.URL); err != nil {
			return fmt.Errorf("challenge: %w", err)
		}
	}
	return poll(func() (bool, error) {
		authz, err := c.core.Authorizations.Get(url)
		if authz.Status == acme.StatusInvalid {
			return false, fmt.Errorf("authorization of %s is invalid", authz.Identifier.Value)
		}
		return authz.Status == acme.StatusValid, err
	})
}

func poll(done func() (bool, error)) error {
	for wait := 10 * time.Millisecond; wait < 20*time.Second; wait = wait * 3 / 2 {
		if ok, err := done(); ok || err != nil {
			return err
		}
		time.Sleep(wait)
	}
	return errors.New("timed out")
}

func verifyChain(t *testing.T, chainPEM, rootPEM []byte, name string) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode(chainPEM)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(rootPEM)
	intermediates.AppendCertsFromPEM(rest)
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots,
		Intermediates: intermediates}); err != nil {
		t.Fatal(err)
	}
	return leaf
}

// txtZone is a DNS server over TCP that answers queries for every name with its TXT values.
type txtZone struct {
	addr       string
	breakNames atomic.Bool

	mu  sync.Mutex
	txt map[string][]string
}

func startTXTZone(t *testing.T) *txtZone {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	zone := &txtZone{addr: l.Addr().String(), txt: make(map[string][]string)}
	server := &dns.Server{Listener: l, Handler: zone}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { l.Close() })
	return zone
}

func (z *txtZone) add(name, value string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.txt[dns.Fqdn(name)] = append(z.txt[dns.Fqdn(name)], value)
}

func (z *txtZone) ServeDNS(w dns.ResponseWriter, req *dns.Msg) {
	resp := new(dns.Msg).SetReply(req)
	z.mu.Lock()
	for _, value := range z.txt[req.Question[0].Name] {
		if z.breakNames.Load() {
			value = "x" + value
		}
		resp.Answer = append(resp.Answer, &dns.TXT{
			Hdr: dns.RR_Header{Name: req.Question[0].Name, Rrtype: dns.TypeTXT,
				Class: dns.ClassINET},
			Txt: []string{value},
		})
	}
	z.mu.Unlock()
	_ = w.WriteMsg(resp)
}
