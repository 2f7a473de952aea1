package webhook

import (
	"context"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// receiver is a customer's HTTPS server, which verifies messages with the reference library.
type receiver struct {
	*httptest.Server
	t       *testing.T
	secrets []string

	mu  sync.Mutex
	got []http.Header
}

// newReceiver returns a receiver that calls answer after it has verified a message with each
// secret.
func newReceiver(t *testing.T, answer http.HandlerFunc, secrets ...string) *receiver {
	t.Helper()
	r := &receiver{t: t, secrets: secrets}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		for _, s := range r.secrets {
			hook, err := standardwebhooks.NewWebhook(s)
			if err == nil {
				err = hook.Verify(body, q.Header)
			}
			if err != nil {
				t.Errorf("the reference library rejects the message: %v", err)
			}
		}
		r.mu.Lock()
		r.got = append(r.got, q.Header.Clone())
		r.mu.Unlock()
		answer(w, q)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) count() int { r.mu.Lock(); defer r.mu.Unlock(); return len(r.got) }

// roots returns a pool with the receiver's certificate, which is for example.com and 127.0.0.1.
func (r *receiver) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(r.Certificate())
	return pool
}

func (r *receiver) port() string {
	_, port, err := net.SplitHostPort(r.Listener.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	return port
}

func message(t *testing.T, url string, secrets ...string) controlplane.Message {
	t.Helper()
	m := controlplane.Message{URL: url, ID: controlplane.NewID(controlplane.PrefixEvent),
		At: time.Now(), Body: []byte(`{"type":"domain.renewed"}`)}
	for _, s := range secrets {
		key, err := controlplane.WebhookKey(s)
		if err != nil {
			t.Fatal(err)
		}
		m.Keys = append(m.Keys, key)
	}
	return m
}

// nameServer returns a resolver that answers each A query with the next list of addresses, and
// repeats the last one.
func nameServer(t *testing.T, answers ...[]string) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	s := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter,
		q *dns.Msg) {
		mu.Lock()
		defer mu.Unlock()
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			for _, a := range answers[0] {
				m.Answer = append(m.Answer,
					&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA,
						Class: dns.ClassINET}, A: net.ParseIP(a)})
			}
			answers = answers[min(1, len(answers)-1):]
		}
		if err := w.WriteMsg(m); err != nil {
			t.Error(err)
		}
	})}
	go func() { _ = s.ActivateAndServe() }()
	t.Cleanup(func() { _ = s.Shutdown() })
	addr := pc.LocalAddr().String()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn,
		error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", addr)
	}}
}

// only allows one address, which stands for the public Internet.
func only(address string) func(netip.Addr) bool {
	return func(a netip.Addr) bool { return a == netip.MustParseAddr(address) }
}

// newReceiverAt listens at an address and returns a function that counts its connections.
func newReceiverAt(t *testing.T, host, port string) func() int64 {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var n atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n.Add(1)
			_ = c.Close()
		}
	}()
	return n.Load
}
