package dnscheck_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnscheck"
)

const target = "abc234.acme.dcvaas-verify.com"

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// view configures the answers of one server in a test.
type view struct {
	records []string // in zone-file form, with full names
	apex    string   // owner of the SOA in negative answers; if empty, they have none
	negTTL  uint32
	rcode   int // of every answer, unless 0
	bogus   bool
	ede     string
	silent  bool
	status  int // HTTP status of a resolver, unless 0
	notAA   bool
	noUDP   bool   // truncates over UDP
	failAt  string // prefix of names that are answered with SERVFAIL

	rules    []rule   // exceptions, the first that applies
	served   int      // rcode of the target's zone, unless 0; as a resolver
	live     bool     // the target has a TXT record
	failOn   uint16   // type of queries that are answered with SERVFAIL
	bogusOn  uint16   // type of queries whose answers have invalid signatures
	silentOn uint16   // type of queries that are not answered
	code     uint16   // of the extended error in failures, unless 0
	signed   bool     // its answers have valid signatures
	validate bool     // it is a validating resolver: the root is secure
	refer    []string // NS records of delegated zones
	shout    bool     // returns names in upper case
	extra    []dns.RR // of answers to CAA queries for example.com
}

// rule is how a server treats some queries. It has one of the effects.
type rule struct {
	qtype   uint16 // of the queries; 0 is any
	at      string // prefix of their names
	network string // over which they arrive: udp, tcp, or doh; empty is any

	silent    bool
	rcode     int
	truncated bool     // without records
	answer    []string // only these records
	nothing   bool     // NODATA
	noEDNS    bool     // FORMERR for queries with EDNS
	lame      bool     // not authoritative
}

// except returns the view with more rules.
func (v view) except(rules ...rule) view {
	v.rules = append(append([]rule{}, v.rules...), rules...)
	return v
}

// rule returns the rule for a query, or nil.
func (v view) rule(r *dns.Msg, network string) *rule {
	for i, x := range v.rules {
		q := r.Question[0]
		if (x.qtype == 0 || x.qtype == q.Qtype) && (x.network == "" || x.network == network) &&
			strings.HasPrefix(dns.CanonicalName(q.Name), x.at) {
			return &v.rules[i]
		}
	}
	return nil
}

// by returns the answer under a rule.
func (x rule) by(v view, r *dns.Msg) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(r)
	m.Authoritative = !v.notAA
	m.Rcode, m.Truncated = x.rcode, x.truncated
	for _, s := range x.answer {
		m.Answer = append(m.Answer, record(s))
	}
	switch {
	case x.noEDNS && r.IsEdns0() != nil:
		m.Rcode, m.Question = dns.RcodeFormatError, nil
	case x.noEDNS, x.lame:
		m = v.answer(r)
		m.Authoritative = m.Authoritative && !x.lame
	}
	return m
}

// with returns the view with more records.
func (v view) with(records ...string) view {
	v.records = append(append([]string{}, v.records...), records...)
	return v
}

func (v view) answer(r *dns.Msg) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(r)
	m.Authoritative = !v.notAA
	q := r.Question[0]
	fails := (v.failAt != "" && strings.HasPrefix(q.Name, v.failAt)) || v.failOn == q.Qtype
	bogus := (v.bogus || v.bogusOn == q.Qtype) && !r.CheckingDisabled
	// The target's zone is not signed.
	m.AuthenticatedData = r.AuthenticatedData && q.Qtype != dns.TypeTXT &&
		(v.signed || (v.validate && q.Name == "."))
	if v.rcode != 0 || fails || bogus {
		m.Rcode = v.rcode
		if bogus || fails {
			m.Rcode = dns.RcodeServerFailure
		}
		m.SetEdns0(1232, false)
		code := dns.ExtendedErrorCodeNoReachableAuthority
		if v.code != 0 {
			code = v.code
		}
		m.IsEdns0().Option = append(m.IsEdns0().Option,
			&dns.EDNS0_EDE{InfoCode: code, ExtraText: v.ede})
		return m
	}
	for _, s := range v.refer {
		if ns := record(s); dns.IsSubDomain(ns.Header().Name, dns.CanonicalName(q.Name)) {
			m.Authoritative, m.Ns = false, append(m.Ns, ns)
		}
	}
	if len(m.Ns) > 0 {
		return m
	}
	if q.Qtype == dns.TypeCAA && q.Name == "example.com." && len(v.extra) > 0 {
		m.Answer = v.extra
		return m
	}
	exists := false
	wildcard := ""
	if _, parent, ok := strings.Cut(dns.CanonicalName(q.Name), "."); ok {
		wildcard = "*." + parent
	}
	for _, pass := range []string{dns.CanonicalName(q.Name), wildcard} {
		for _, s := range v.records {
			rr := record(s)
			owner := dns.CanonicalName(rr.Header().Name)
			exists = exists || dns.IsSubDomain(pass, owner)
			if owner == pass && (rr.Header().Rrtype == q.Qtype ||
				rr.Header().Rrtype == dns.TypeCNAME) {
				rr.Header().Name = q.Name
				m.Answer = append(m.Answer, rr)
			}
		}
		if exists {
			break
		}
	}
	v.chase(m, q.Qtype)
	if v.shout {
		m.Question[0].Name = strings.ToUpper(q.Name)
		for _, rr := range m.Answer {
			rr.Header().Name = strings.ToUpper(rr.Header().Name)
		}
	}
	if len(m.Answer) == 0 {
		if !exists {
			m.Rcode = dns.RcodeNameError
		}
		if v.apex != "" && dns.IsSubDomain(v.apex, dns.CanonicalName(q.Name)) {
			m.Ns = append(m.Ns, &dns.SOA{Hdr: dns.RR_Header{Name: v.apex, Rrtype: dns.TypeSOA,
				Class: dns.ClassINET, Ttl: v.negTTL}, Ns: "ns.", Mbox: "h.", Minttl: 3600})
		}
	}
	return m
}

// resolve returns the answer of a resolver: it follows CNAMEs, and fails if that fails.
func (v view) resolve(r *dns.Msg) *dns.Msg {
	m := v.answer(r)
	q := r.Question[0]
	if q.Qtype == dns.TypeCNAME || m.Rcode == dns.RcodeServerFailure {
		return m
	}
	end := dns.CanonicalName(q.Name)
	for _, rr := range m.Answer {
		if cname, ok := rr.(*dns.CNAME); ok {
			end = dns.CanonicalName(cname.Target)
			if v.failAt != "" && strings.HasPrefix(end, v.failAt) {
				return servfail(r)
			}
		}
	}
	if end != target+"." {
		return m
	}
	switch {
	case v.served == dns.RcodeServerFailure:
		return servfail(r)
	case v.live && q.Qtype == dns.TypeTXT:
		m.Answer = append(m.Answer, record(target+`. 0 IN TXT "value of a pending challenge"`))
		return m
	}
	m.Rcode = v.served
	m.Ns = []dns.RR{record("acme.dcvaas-verify.com. 5 IN SOA ns. h. 1 2 3 4 5")}
	return m
}

func servfail(r *dns.Msg) *dns.Msg {
	m := new(dns.Msg)
	m.SetRcode(r, dns.RcodeServerFailure)
	return m
}

// chase adds the records at the targets of the answer's CNAMEs.
func (v view) chase(m *dns.Msg, qtype uint16) {
	if qtype == dns.TypeCNAME || len(m.Answer) == 0 {
		return
	}
	for next := m.Answer[0]; next != nil && len(m.Answer) < 20; {
		cname, ok := next.(*dns.CNAME)
		next = nil
		for _, s := range v.records {
			rr := record(s)
			if t := rr.Header().Rrtype; ok &&
				dns.CanonicalName(rr.Header().Name) == dns.CanonicalName(cname.Target) &&
				(t == qtype || t == dns.TypeCNAME) {
				m.Answer, next = append(m.Answer, rr), rr
			}
		}
	}
}

func record(s string) dns.RR {
	rr, err := dns.NewRR(s)
	if err != nil {
		panic(err)
	}
	return rr
}

// ServeDNS implements dns.Handler: the view is a name server.
func (v view) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	network := w.LocalAddr().Network()
	x := v.rule(r, network)
	if v.silent || v.silentOn == r.Question[0].Qtype || (x != nil && x.silent) {
		return
	}
	if x != nil {
		_ = w.WriteMsg(x.by(v, r))
		return
	}
	m := v.answer(r)
	if v.noUDP && w.LocalAddr().Network() == "udp" {
		m.Answer, m.Truncated = nil, true
	}
	_ = w.WriteMsg(m)
}

// ServeHTTP implements http.Handler: the view is a resolver (RFC 8484).
func (v view) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	if v.silent {
		<-r.Context().Done()
		return
	}
	q := new(dns.Msg)
	if err := q.Unpack(raw); err != nil || r.Method != http.MethodPost ||
		r.Header.Get("Content-Type") != "application/dns-message" || q.Id != 0 ||
		!q.RecursionDesired {
		http.Error(w, "not an RFC 8484 query", http.StatusBadRequest)
		return
	}
	x := v.rule(q, "doh")
	if v.silentOn == q.Question[0].Qtype || (x != nil && x.silent) {
		<-r.Context().Done()
		return
	}
	if v.status != 0 {
		http.Error(w, "no", v.status)
		return
	}
	m := v.resolve(q)
	if x != nil {
		m = x.by(v, q)
	}
	out, err := m.Pack()
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/dns-message")
	_, _ = w.Write(out)
}

// serveDNS serves a handler over UDP and TCP.
func serveDNS(t *testing.T, h dns.Handler) string {
	t.Helper()
	for {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err != nil {
			_ = tcp.Close()
			continue
		}
		for _, srv := range []*dns.Server{{Listener: tcp, Handler: h},
			{PacketConn: udp, Handler: h}} {
			started := make(chan struct{})
			srv.NotifyStartedFunc = func() { close(started) }
			go func() { _ = srv.ActivateAndServe() }()
			<-started
			t.Cleanup(func() { _ = srv.Shutdown() })
		}
		return tcp.Addr().String()
	}
}

// serveDoH serves a resolver over HTTPS.
func serveDoH(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	// drops errors of handshakes that a faster answer cancels
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// doctor returns a Doctor that queries these resolvers, and name servers at 192.0.2.1, 192.0.2.2,
// and so on.
func doctor(resolvers, servers []view) *dnscheck.Doctor {
	d, _ := connected(resolvers, servers)
	return d
}

// connected is doctor, with the network of the servers.
func connected(resolvers, servers []view) (*dnscheck.Doctor, *network) {
	n := &network{resolvers: map[string]http.Handler{}, servers: map[string]dns.Handler{}}
	cfg := dnscheck.Config{AskAuthority: len(servers) > 0, Now: func() time.Time { return noon },
		HTTPClient: &http.Client{Transport: n}, Dial: n.dial}
	for i, v := range resolvers {
		name := fmt.Sprint("resolver", i+1)
		n.resolvers[name] = v
		cfg.Resolvers = append(cfg.Resolvers, dnscheck.Resolver{Name: name,
			URL: "https://" + name})
	}
	for i, v := range servers {
		n.servers[fmt.Sprintf("192.0.2.%d:53", i+1)] = v
	}
	return dnscheck.New(cfg), n
}

// publicDoctor dials name servers as production does.
func publicDoctor(t *testing.T, v view) *dnscheck.Doctor {
	t.Helper()
	srv := serveDoH(t, v)
	return dnscheck.New(dnscheck.Config{Resolvers: []dnscheck.Resolver{{URL: srv.URL}},
		HTTPClient: srv.Client(), AskAuthority: true, Timeout: 10 * time.Second})
}

func delegation(t *testing.T, d *dnscheck.Doctor, domain string) controlplane.Diagnosis {
	t.Helper()
	got, err := d.Delegation(t.Context(), domain, target)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
