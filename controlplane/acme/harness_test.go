package acme_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

// world is the state that outlives a worker: the CA, the store, the zone, and the keyset.
type world struct {
	ca       *devstack.CA
	zone     *zone
	accounts *accounts
	sealer   *seal.Sealer
}

func newWorld(t testing.TB, cfg devstack.CAConfig) *world {
	t.Helper()
	w := &world{zone: startZone(t), accounts: &accounts{}}
	cfg.Resolver, cfg.Log = w.zone.addr, noLog{}
	cfg.Wrap = oneAccountAtATime(cfg.Wrap)
	var err error
	if w.ca, err = devstack.StartCA(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.ca.Stop(context.Background()) })
	keyset, err := seal.New()
	if err != nil {
		t.Fatal(err)
	}
	if w.sealer, err = seal.Open(keyset); err != nil {
		t.Fatal(err)
	}
	return w
}

// noLog drops Pebble's log. Unlike io.Discard, it makes the logger take its lock, which orders some
// of Pebble's unguarded accesses (core.Order.IsReplaced) for the race detector.
type noLog struct{}

func (noLog) Write(p []byte) (int, error) { return len(p), nil }

// oneAccountAtATime serializes account requests, because Pebble returns an account while another
// request for the same key is still initializing it.
func oneAccountAtATime(outer func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		var mu sync.Mutex
		gate := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == pathAccount {
				mu.Lock()
				defer mu.Unlock()
			}
			next.ServeHTTP(w, r)
		})
		if outer == nil {
			return gate
		}
		return outer(gate)
	}
}

// engine returns a new worker's engine. change may be nil.
func (w *world) engine(t testing.TB, change func(*acme.Config)) *acme.Engine {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.ca.TLSRootPEM())
	cfg := acme.Config{
		CAs: []acme.CA{{Name: "pebble", DirectoryURL: w.ca.DirectoryURL(),
			Email: "ops@example.com", Profile: "classic", RootCAs: roots}},
		Accounts: w.accounts, Sealer: w.sealer, RunTimeout: time.Minute,
	}
	if change != nil {
		change(&cfg)
	}
	e, err := acme.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// order prepares an order for names, with an EC key.
func (w *world) order(t testing.TB, e *acme.Engine, names ...string) *controlplane.Order {
	t.Helper()
	o := &controlplane.Order{OrgID: "org_1", DomainID: "dom_1", CA: "pebble", Names: names,
		Target: "target", KeyType: controlplane.KeyEC256}
	if err := e.Prepare(t.Context(), o, nil); err != nil {
		t.Fatal(err)
	}
	return o
}

// issue runs an order and checks its certificate.
func (w *world) issue(t testing.TB, e *acme.Engine, names ...string) *controlplane.Certificate {
	t.Helper()
	o := w.order(t, e, names...)
	cert, err := e.Run(t.Context(), o, w.journal(o))
	if err != nil {
		t.Fatal(err)
	}
	w.verify(t, cert, o)
	return cert
}

// verify checks a certificate as a browser does, and compares its description with it.
func (w *world) verify(
	t testing.TB, cert *controlplane.Certificate, o *controlplane.Order,
) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode([]byte(cert.ChainPEM))
	if block == nil {
		t.Fatal("the chain contains no PEM")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(w.ca.RootsPEM())
	between.AppendCertsFromPEM(rest)
	for _, name := range o.Names {
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: strings.Replace(name, "*", "any", 1),
			Roots: roots, Intermediates: between}); err != nil {
			t.Errorf("Verify(%s): %v", name, err)
		}
	}
	if got, want := cert.Serial, fmt.Sprintf("%x", leaf.SerialNumber.Bytes()); got != want {
		t.Errorf("serial %s, want %s", got, want)
	}
	if cert.OrderID != o.ID || cert.OrgID != o.OrgID || cert.DomainID != o.DomainID ||
		cert.CA != "pebble" || cert.Issuer == "" || cert.ARIID == "" ||
		len(cert.FingerprintSHA256) != 64 || !cert.NotAfter.Equal(leaf.NotAfter) ||
		!cert.NotBefore.Equal(leaf.NotBefore) || cert.KeyType != o.KeyType {
		t.Errorf("certificate's description = %+v, want that of the leaf and the order", cert)
	}
	return leaf
}

func (w *world) journal(o *controlplane.Order) *journal {
	return &journal{zone: w.zone, stored: *o}
}

// accounts stores accounts as the database does.
type accounts struct {
	mu      sync.Mutex
	rows    map[string]controlplane.Account
	created int
}

func (a *accounts) Account(
	ctx context.Context, directoryURL string,
) (*controlplane.Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if row, ok := a.rows[directoryURL]; ok {
		return &row, ctx.Err()
	}
	return nil, ctx.Err()
}

func (a *accounts) CreateAccount(
	ctx context.Context, acct *controlplane.Account,
) (*controlplane.Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if row, ok := a.rows[acct.DirectoryURL]; ok {
		return &row, ctx.Err()
	}
	if a.rows == nil {
		a.rows = map[string]controlplane.Account{}
	}
	a.rows[acct.DirectoryURL] = *acct
	a.created++
	row := *acct
	return &row, ctx.Err()
}

func (a *accounts) SetAccountURL(ctx context.Context, directoryURL, url string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	row, ok := a.rows[directoryURL]
	if !ok {
		return errors.New("no such account")
	}
	row.URL = url
	a.rows[directoryURL] = row
	return ctx.Err()
}

func (a *accounts) only(t testing.TB) controlplane.Account {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.rows) != 1 || a.created != 1 {
		t.Fatalf("stored accounts = %d, created = %d; want 1 each", len(a.rows), a.created)
	}
	for row := range maps.Values(a.rows) {
		return row
	}
	panic("unreachable")
}

// errKilled is a journal's error after its worker is killed.
var errKilled = errors.New("killed")

// journal records an order as the database does, and publishes to the zone at once. It can kill its
// worker.
type journal struct {
	zone *zone

	killAt  controlplane.OrderStep // kill at the save of this step …
	written bool                   // … after it is written, or before
	killPub bool                   // kill while publishing
	objects error                  // returned by Ready

	mu     sync.Mutex
	dead   bool
	stored controlplane.Order
	steps  []controlplane.OrderStep
	pubs   int
	ready  int
}

func (j *journal) Save(ctx context.Context, o *controlplane.Order) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.save(ctx, o)
}

func (j *journal) save(ctx context.Context, o *controlplane.Order) error {
	if j.dead {
		panic("the engine continued after its journal failed")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if o.Step == j.killAt && !j.written {
		j.dead = true
		return errKilled
	}
	j.stored = *o
	j.stored.Values = slices.Clone(o.Values)
	j.steps = append(j.steps, o.Step)
	if o.Step == j.killAt {
		j.dead = true
		return errKilled
	}
	return nil
}

func (j *journal) Publish(ctx context.Context, o *controlplane.Order) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.save(ctx, o); err != nil {
		return err
	}
	if j.killPub {
		j.dead = true
		return errKilled
	}
	j.pubs++
	by := controlplane.ByTarget(o.Values)
	for _, name := range o.Names {
		j.zone.set(strings.TrimPrefix(name, "*."), by[o.TargetOf(name)])
	}
	return ctx.Err()
}

// Ready counts how often the CSR was about to be sent.
func (j *journal) Ready(ctx context.Context, _ *controlplane.Order) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ready++
	if j.objects != nil {
		return j.objects
	}
	return ctx.Err()
}

// zone is a DNS server on TCP that serves the challenge of each name through a CNAME.
type zone struct {
	addr string

	mu   sync.Mutex
	txt  map[string][]string
	held map[string]chan struct{}
}

func startZone(t testing.TB) *zone {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	z := &zone{addr: l.Addr().String(), txt: map[string][]string{},
		held: map[string]chan struct{}{}}
	server := &dns.Server{Listener: l, Handler: z}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = l.Close() })
	return z
}

func (z *zone) set(name string, values []string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.txt["_acme-challenge."+name+"."] = slices.Clone(values)
}

// hold delays the answers for the challenge of a name until the returned function is called.
func (z *zone) hold(name string) (release func()) {
	held := make(chan struct{})
	z.mu.Lock()
	defer z.mu.Unlock()
	z.held["_acme-challenge."+name+"."] = held
	return sync.OnceFunc(func() { close(held) })
}

func (z *zone) ServeDNS(w dns.ResponseWriter, req *dns.Msg) {
	resp := new(dns.Msg).SetReply(req)
	question := req.Question[0].Name
	z.mu.Lock()
	held := z.held[strings.ToLower(question)]
	z.mu.Unlock()
	if held != nil {
		<-held
	}
	z.mu.Lock()
	values := z.txt[strings.ToLower(question)]
	z.mu.Unlock()
	header := func(name string, typ uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: typ, Class: dns.ClassINET}
	}
	if len(values) > 0 {
		resp.Answer = append(resp.Answer,
			&dns.CNAME{Hdr: header(question, dns.TypeCNAME), Target: "target.acme.test."})
	}
	for _, value := range values {
		resp.Answer = append(resp.Answer, &dns.TXT{Hdr: header("target.acme.test.", dns.TypeTXT),
			Txt: []string{value}})
	}
	_ = w.WriteMsg(resp)
}

// wantError returns err as an *acme.Error with the given class and code, or fails the test.
func wantError(t testing.TB, err error, class acme.Class, code string) acme.Error {
	t.Helper()
	e, ok := errors.AsType[*acme.Error](err)
	if !ok {
		t.Fatalf("err = %v, want an *acme.Error of class %s", err, class)
	}
	if e.Class != class || e.Code != code {
		t.Fatalf("err = %v (class %s, code %s), want class %s, code %s", err, e.Class, e.Code,
			class, code)
	}
	if e.Message == "" || e.Fix == "" {
		t.Errorf("error %s has no message or no fix: %+v", code, e)
	}
	return *e
}
