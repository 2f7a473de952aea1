package dnsserver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const testZone = "acme.dcvaas-verify.com."

// row is a target with its challenges.
type row struct {
	label      string
	challenges []Challenge
}

// fakeSource stands in for the database: it contains rows, streams them and their changes, and can
// be disconnected.
type fakeSource struct {
	mu       sync.Mutex
	rows     map[string][]Challenge
	changes  chan func(Feed)
	lost     chan struct{}               // closed when the connection is lost
	offline  bool                        // Follow fails
	lookupFn func(context.Context) error // called by Lookup first
	lookups  atomic.Int64
}

func newSource(rows ...row) *fakeSource {
	s := &fakeSource{rows: map[string][]Challenge{}, changes: make(chan func(Feed), 1000),
		lost: make(chan struct{})}
	for _, r := range rows {
		s.rows[r.label] = r.challenges
	}
	return s
}

var errOffline = errors.New("database unavailable")

func (s *fakeSource) Follow(ctx context.Context, f Feed) error {
	s.mu.Lock()
	if s.offline {
		s.mu.Unlock()
		return errOffline
	}
	lost := s.lost
	snap := f.StartSnapshot()
	for label, cs := range s.rows {
		for _, c := range cs { // before the target: any order is allowed
			snap.Challenge(c)
		}
		snap.Target(label)
	}
	s.mu.Unlock()
	snap.Commit()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-lost:
			return errOffline
		case change := <-s.changes:
			change(f)
		}
	}
}

func (s *fakeSource) Lookup(ctx context.Context, label string) (bool, []Challenge, error) {
	s.lookups.Add(1)
	s.mu.Lock()
	fn := s.lookupFn
	s.mu.Unlock()
	if fn != nil {
		if err := fn(ctx); err != nil {
			return false, nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	cs, ok := s.rows[label]
	return ok, cs, nil
}

// put changes a row without telling the feed.
func (s *fakeSource) put(label string, cs ...Challenge) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[label] = cs
}

func (s *fakeSource) onLookup(fn func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lookupFn = fn
}

// cut ends Follow and makes further calls fail.
func (s *fakeSource) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offline = true
	close(s.lost)
}

func (s *fakeSource) restore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offline = false
	s.lost = make(chan struct{})
}

// apply sends a change and waits until the feed has processed it.
func (s *fakeSource) apply(change func(Feed)) {
	done := make(chan struct{})
	s.changes <- func(f Feed) { change(f); close(done) }
	<-done
}

func testConfig(source Source) Config {
	return Config{Zone: "acme.dcvaas-verify.com", Source: source, Listen: []string{"127.0.0.1:0"},
		Sockets: 2,
		NameServers: []NameServer{
			{Host: "ns1.acme.dcvaas-verify.com", IPv4: netip.MustParseAddr("192.0.2.1"),
				IPv6: netip.MustParseAddr("2001:db8::1")},
			{Host: "ns2.dns.acme.dcvaas-verify.com", IPv4: netip.MustParseAddr("192.0.2.2")},
			{Host: "ns.example.net"},
		}}
}

// start runs a server until the test ends.
func start(t testing.TB, c Config) *Server {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s
}

func startReady(t testing.TB, c Config) *Server {
	t.Helper()
	s := start(t, c)
	eventually(t, "ready", s.Ready)
	return s
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out after 10 s waiting for: %s", what)
		}
	}
}

// query returns a question of class IN.
func query(name string, qtype uint16) *dns.Msg {
	m := new(dns.Msg).SetQuestion(name, qtype)
	m.RecursionDesired = false
	return m
}

func exchange(t testing.TB, network, addr string, m *dns.Msg) *dns.Msg {
	t.Helper()
	c := &dns.Client{Net: network, Timeout: 5 * time.Second, UDPSize: 4096}
	r, _, err := c.Exchange(m, addr)
	if err != nil {
		t.Fatalf("exchange %v over %s: %v", m.Question, network, err)
	}
	return r
}

// ask sends a question for a type over UDP.
func ask(t testing.TB, s *Server, name string, qtype uint16) *dns.Msg {
	t.Helper()
	return exchange(t, "udp", s.Addr(), query(name, qtype))
}

// askTXT returns the answer to a TXT question for a target: response code and values.
func askTXT(t testing.TB, s *Server, label string) string {
	t.Helper()
	return brief(ask(t, s, label+"."+testZone, dns.TypeTXT))
}

// brief formats an answer as its response code and TXT values.
func brief(m *dns.Msg) string {
	out := []string{dns.RcodeToString[m.Rcode]}
	for _, rr := range m.Answer {
		if txt, ok := rr.(*dns.TXT); ok {
			out = append(out, strings.Join(txt.Txt, ""))
		} else {
			out = append(out, rr.String())
		}
	}
	return strings.Join(out, " ")
}

// label returns the label of the n-th test target.
func label(n int) string {
	var k key
	r := rand.New(rand.NewPCG(uint64(n), 1))
	for i := range k {
		k[i] = byte(r.Uint32())
	}
	return k.String()
}

func challenge(n int, value string) Challenge {
	return Challenge{Label: label(n), Value: value, ExpiresAt: time.Now().Add(time.Hour)}
}

func expect(t testing.TB, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %s, want %s", what, got, want)
	}
}

func transports(t *testing.T, s *Server, f func(t *testing.T, network, addr string)) {
	for _, addr := range s.Addrs() {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(fmt.Sprint(network, " ", addr), func(t *testing.T) { f(t, network, addr) })
		}
	}
}
