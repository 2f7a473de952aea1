package acmedns

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnscheck"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnsserver"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

const (
	testZone = "acme.example.net"
	validTXT = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
)

// operator is the actor of the tests' own changes.
var operator = controlplane.System("test")

// world is the API over HTTP, on a real database, with two name servers of the zone.
type world struct {
	*Server
	t       testing.TB
	dsn     string
	service *lifecycle.Service
	url     string // of the API's root
	org     string
	key     string // secret of a registration key of org
	keyID   string
	names   []*dnsserver.Server
	log     *logBuffer

	mu      sync.Mutex
	servers []string // that must serve an update's value
}

// newWorld returns a world whose acme-dns paths are for its organization.
func newWorld(t testing.TB, change ...func(*Config, *lifecycle.Config)) *world {
	t.Helper()
	w := &world{t: t, dsn: postgrestest.DSN(t), log: &logBuffer{}}
	store, err := postgres.Open(t.Context(), postgres.Config{DSN: w.dsn, MaxConns: 12})
	w.must(err)
	t.Cleanup(store.Close)
	lc := lifecycle.Config{Store: store, Zone: testZone, TargetKey: []byte("0123456789abcdef"),
		Visible: w.visible}
	c := Config{Store: store, Zone: testZone, TrustedProxy: true, CORSOrigins: []string{"*"},
		Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(&c, &lc)
	}
	w.service, err = lifecycle.New(lc)
	w.must(err)
	w.org = w.organization()
	w.keyID, w.key = w.newKey(w.org)
	for range 2 {
		w.startNameServer(store)
	}
	c.Lifecycle, c.Organization = w.service, w.org
	w.Server, err = New(c)
	w.must(err)
	// As the program routes requests.
	web := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if !w.Serves(r) {
			out.WriteHeader(http.StatusTeapot)
			return
		}
		w.ServeHTTP(out, r)
	}))
	t.Cleanup(web.Close)
	w.url = web.URL
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) organization() string {
	w.t.Helper()
	o, err := w.service.CreateOrganization(context.Background(), operator,
		lifecycle.NewOrganization{Name: "Example", Tier: controlplane.TierPro})
	w.must(err)
	return o.ID
}

func (w *world) newKey(org string) (id, secret string) {
	w.t.Helper()
	k, secret, err := w.service.CreateACMEDNSKey(context.Background(), operator, nil, org, "fleet",
		"")
	w.must(err)
	return k.ID, secret
}

// source implements dnsserver.Source with the store.
type source struct{ store *postgres.Store }

func challenge(c controlplane.Challenge) dnsserver.Challenge {
	return dnsserver.Challenge{Label: c.Target, Value: c.Value, ExpiresAt: c.ExpiresAt}
}

func (s source) Follow(ctx context.Context, feed dnsserver.Feed) error {
	var snap dnsserver.Snapshot
	return s.store.FollowZone(ctx, time.Now, postgres.ZoneFeed{
		Begin:           func() { snap = feed.StartSnapshot() },
		SnapshotTarget:  func(label string) { snap.Target(label) },
		SnapshotValue:   func(c controlplane.Challenge) { snap.Challenge(challenge(c)) },
		Commit:          func() { snap.Commit() },
		AddTarget:       feed.AddTarget,
		RemoveTarget:    feed.RemoveTarget,
		AddChallenge:    func(c controlplane.Challenge) { feed.AddChallenge(challenge(c)) },
		RemoveChallenge: feed.RemoveChallenge,
	})
}

func (s source) Lookup(ctx context.Context, label string) (bool, []dnsserver.Challenge, error) {
	exists, found, err := s.store.LookupTarget(ctx, label, time.Now())
	out := make([]dnsserver.Challenge, len(found))
	for i, c := range found {
		out[i] = challenge(c)
	}
	return exists, out, err
}

func (w *world) startNameServer(store *postgres.Store) {
	w.t.Helper()
	s, err := dnsserver.New(dnsserver.Config{Zone: testZone, Listen: []string{"127.0.0.1:0"},
		NameServers: []dnsserver.NameServer{{Host: "ns1.example.org"}}, Source: source{store}})
	w.must(err)
	w.must(s.Start(context.Background()))
	w.t.Cleanup(func() { _ = s.Stop(context.Background()) })
	w.eventually("the name server has the zone", s.Ready)
	w.names = append(w.names, s)
	w.servers = append(w.servers, s.Addr())
}

// visible waits until every name server serves the values, as the program does.
func (w *world) visible(ctx context.Context, name string, values []string) error {
	return dnscheck.WaitTXT(ctx, func(context.Context) ([]string, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.Clone(w.servers), nil
	}, name, values)
}

// alsoAsk makes an update wait for another name server, too, and returns a function that undoes it.
func (w *world) alsoAsk(server string) (undo func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers = append(w.servers, server)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.servers = slices.DeleteFunc(w.servers, func(s string) bool { return s == server })
	}
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: not within a minute", what)
		}
	}
}

// txt returns what a name server answers to a TXT query: the sorted values, or the code.
func (w *world) txt(server int, name string) []string {
	w.t.Helper()
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeTXT)
	var r *dns.Msg
	for attempt := 0; ; attempt++ {
		var err error
		if r, _, err = (&dns.Client{Net: "tcp", Timeout: 10 * time.Second}).Exchange(q,
			w.names[server].Addr()); err == nil {
			break
		}
		if attempt == 5 {
			w.t.Fatal(err)
		}
	}
	if r.Rcode != dns.RcodeSuccess {
		return []string{dns.RcodeToString[r.Rcode]}
	}
	values := []string{}
	for _, rr := range r.Answer {
		values = append(values, strings.Join(rr.(*dns.TXT).Txt, ""))
	}
	slices.Sort(values)
	return values
}

// reply is a response.
type reply struct {
	status int
	header http.Header
	body   string
}

// request sends a request with headers in pairs.
func (w *world) request(method, path, body string, headers ...string) reply {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path,
		strings.NewReader(body))
	w.must(err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	w.must(err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	w.must(err)
	return reply{resp.StatusCode, resp.Header, string(b)}
}

// account is the response to a registration, as a client reads it.
type account struct {
	Username, Password, Fulldomain, Subdomain string
	Allowfrom                                 []string
}

// register registers an account under a path such as /acmedns/{key}.
func (w *world) registerAt(base, body string) account {
	w.t.Helper()
	r := w.request(http.MethodPost, base+"/register", body)
	if r.status != http.StatusCreated {
		w.t.Fatalf("POST %s/register = %d %s, want 201", base, r.status, r.body)
	}
	var a account
	w.must(json.Unmarshal([]byte(r.body), &a))
	return a
}

func (w *world) base() string { return Prefix + "/" + w.key }

// update sends an update or a deletion, with further headers in pairs.
func (w *world) post(path string, a account, body string, headers ...string) reply {
	w.t.Helper()
	return w.request(http.MethodPost, path, body,
		append([]string{"X-Api-User", a.Username, "X-Api-Key", a.Password}, headers...)...)
}

func update(subdomain, txt string) string {
	return fmt.Sprintf(`{"subdomain": %q, "txt": %q}`, subdomain, txt)
}

func (w *world) want(what string, got reply, status int, body string) {
	w.t.Helper()
	if got.status != status || got.body != body {
		w.t.Errorf("%s = %d %s, want %d %s", what, got.status, got.body, status, body)
	}
}

// logBuffer is a log that goroutines write to.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// silent returns the address of a name server that never answers.
func silent(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return c.LocalAddr().String()
}

// value of 43 characters that starts with s.
func value(s string) string { return (s + strings.Repeat("_", 43))[:43] }
