package dashboard

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnscheck"
)

// customerDNS is the doctor of a test, with the resolver and the name servers that it queries. All
// zones have the name servers ns1 and ns2.
type customerDNS struct {
	t      *testing.T
	start  sync.Once
	doctor *dnscheck.Doctor

	mu      sync.Mutex
	records []dns.RR
	down    bool // the resolver
}

// ExamineNames implements lifecycle.Doctor.
func (c *customerDNS) ExamineNames(
	ctx context.Context, names []controlplane.NameCheck, cas []controlplane.CAIdentity,
) ([]controlplane.Examination, error) {
	c.start.Do(c.listen)
	return c.doctor.ExamineNames(ctx, names, cas)
}

// RehearseNames implements lifecycle.Doctor.
func (c *customerDNS) RehearseNames(
	ctx context.Context, names []controlplane.NameCheck, cas []controlplane.CAIdentity,
) ([]controlplane.Examination, error) {
	c.start.Do(c.listen)
	return c.doctor.RehearseNames(ctx, names, cas)
}

// serve adds records, in zone-file form.
func (c *customerDNS) serve(records ...string) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			c.t.Fatal(err)
		}
		c.records = append(c.records, rr)
	}
}

// disconnect has the resolver fail.
func (c *customerDNS) disconnect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = true
}

// delegate creates the records of some of a domain's names.
func (s *site) delegate(d *controlplane.Domain, names ...string) {
	s.t.Helper()
	for _, base := range names {
		r := s.life.DelegationAt(d, base)
		s.dns.serve(r.Name + ". 300 IN CNAME " + r.Target + ".")
	}
}

func (c *customerDNS) listen() {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		c.t.Error(err)
		return
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Error(err)
		return
	}
	answer := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		_ = w.WriteMsg(c.answer(q, true))
	})
	for _, server := range []*dns.Server{{PacketConn: udp, Handler: answer},
		{Listener: tcp, Handler: answer}} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() { _ = server.ActivateAndServe() }()
		<-started
		c.t.Cleanup(func() { _ = server.Shutdown() })
	}
	resolver := httptest.NewServer(http.HandlerFunc(c.resolve))
	c.t.Cleanup(resolver.Close)
	servers := map[string]string{"udp": udp.LocalAddr().String(), "tcp": tcp.Addr().String()}
	var dialer net.Dialer
	c.doctor = dnscheck.New(dnscheck.Config{AskAuthority: true,
		Resolvers: []dnscheck.Resolver{{Name: "Resolver", URL: resolver.URL}},
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, servers[network])
		}})
}

// resolve answers over HTTPS (RFC 8484).
func (c *customerDNS) resolve(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	down := c.down
	c.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	q := new(dns.Msg)
	if down || err != nil || q.Unpack(body) != nil {
		http.Error(w, "unavailable", http.StatusServiceUnavailable)
		return
	}
	raw, err := c.answer(q, false).Pack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/dns-message")
	_, _ = w.Write(raw)
}

// answer returns the records of a name: its CNAME for every type, as RFC 1034 §4.3.2 requires.
func (c *customerDNS) answer(q *dns.Msg, authoritative bool) *dns.Msg {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = authoritative
	name, qtype := dns.CanonicalName(q.Question[0].Name), q.Question[0].Qtype
	m.AuthenticatedData = !authoritative && name == "." // the resolver validates; no zone is signed
	apex := controlplane.RegisteredDomain(strings.TrimSuffix(name, ".")) + "."
	below := strings.TrimPrefix(apex, ".") // of the root too
	known := append([]dns.RR{record(apex + " 300 IN NS ns1." + below),
		record(apex + " 300 IN NS ns2." + below), record("ns1." + below + " 300 IN A 192.0.2.1"),
		record("ns2." + below + " 300 IN A 192.0.2.2")}, c.records...)
	exists := false
	for _, rr := range known {
		h := rr.Header()
		exists = exists || dns.IsSubDomain(name, h.Name)
		if h.Name == name && (h.Rrtype == qtype || h.Rrtype == dns.TypeCNAME) {
			m.Answer = append(m.Answer, rr)
		}
	}
	if len(m.Answer) == 0 {
		m.Ns = []dns.RR{record(apex + " 60 IN SOA ns1." + below + " host." + below +
			" 1 60 60 60 60")}
		if !exists {
			m.Rcode = dns.RcodeNameError
		}
	}
	return m
}

// record returns a record in zone-file form.
func record(text string) dns.RR {
	rr, err := dns.NewRR(text)
	if err != nil {
		panic(err)
	}
	return rr
}
