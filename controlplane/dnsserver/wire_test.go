package dnsserver

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// hasIPv6 reports whether the machine has ::1.
func hasIPv6() bool {
	ln, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	_ = ln.Close()
	return true
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 255) + strings.Repeat("y", 45)
	source := newSource(
		row{label(1), []Challenge{challenge(1, "one"), challenge(1, "two")}},
		row{label(2), nil},
		row{label(3), []Challenge{challenge(3, long), challenge(3, "")}})
	c := testConfig(source)
	if hasIPv6() {
		c.Listen = append(c.Listen, "[::1]:0")
	}
	s := startReady(t, c)

	const soa = "acme.dcvaas-verify.com.\t5\tIN\tSOA\tns1.acme.dcvaas-verify.com. hostmaster.acme.dcvaas-verify.com. 1 3600 600 604800 5"
	one := label(1) + "." + testZone
	tests := []struct {
		what   string
		name   string
		qtype  uint16
		rcode  int
		answer []string
		ns     []string
		extra  []string
	}{
		{"TXT with two values", one, dns.TypeTXT, 0,
			[]string{one + "\t0\tIN\tTXT\t\"one\"", one + "\t0\tIN\tTXT\t\"two\""}, nil, nil},
		{"values of several strings and of none", label(3) + "." + testZone, dns.TypeTXT, 0,
			[]string{
				label(3) + "." + testZone + "\t0\tIN\tTXT\t\"" + long[:255] + "\" \"" + long[255:] +
					"\"", label(3) + "." + testZone + "\t0\tIN\tTXT\t\"\""}, nil, nil},
		{"TXT of a target without challenge", label(2) + "." + testZone, dns.TypeTXT, 0, nil,
			[]string{soa}, nil},
		{"A of a target", one, dns.TypeA, 0, nil, []string{soa}, nil},
		{"CAA of a target", one, dns.TypeCAA, 0, nil, []string{soa}, nil},
		{"CNAME of a target", one, dns.TypeCNAME, 0, nil, []string{soa}, nil},
		{"type 65280 of a target", one, 65280, 0, nil, []string{soa}, nil},
		{"TXT of no target", label(9) + "." + testZone, dns.TypeTXT, dns.RcodeNameError, nil,
			[]string{soa}, nil},
		{"not a target label", "www." + testZone, dns.TypeTXT, dns.RcodeNameError, nil,
			[]string{soa}, nil},
		{"below a target", "x." + one, dns.TypeTXT, dns.RcodeNameError, nil, []string{soa}, nil},
		{"below no target", "x.y." + testZone, dns.TypeA, dns.RcodeNameError, nil, []string{soa},
			nil},
		{"ANY of a target", one, dns.TypeANY, 0, []string{one + "\t5\tIN\tHINFO\t\"RFC8482\" \"\""},
			nil, nil},
		{"ANY of no target", label(9) + "." + testZone, dns.TypeANY, dns.RcodeNameError, nil,
			[]string{soa}, nil},
		{"ANY of the apex", testZone, dns.TypeANY, 0,
			[]string{testZone + "\t5\tIN\tHINFO\t\"RFC8482\" \"\""}, nil, nil},
		{"SOA", testZone, dns.TypeSOA, 0, []string{strings.Replace(soa, "\t5\t", "\t3600\t", 1)},
			nil, nil},
		{"NS with glue", testZone, dns.TypeNS, 0,
			[]string{testZone + "\t3600\tIN\tNS\tns1." + testZone,
				testZone + "\t3600\tIN\tNS\tns2.dns." + testZone, testZone +
					"\t3600\tIN\tNS\tns.example.net."}, nil,
			[]string{"ns1." + testZone + "\t3600\tIN\tA\t192.0.2.1", "ns1." + testZone +
				"\t3600\tIN\tAAAA\t2001:db8::1", "ns2.dns." + testZone +
				"\t3600\tIN\tA\t192.0.2.2"}},
		{"CAA", testZone, dns.TypeCAA, 0, []string{testZone + "\t3600\tIN\tCAA\t0 issue \";\""},
			nil, nil},
		{"TXT of the apex", testZone, dns.TypeTXT, 0, nil, []string{soa}, nil},
		{"A of a name server", "ns1." + testZone, dns.TypeA, 0,
			[]string{"ns1." + testZone + "\t3600\tIN\tA\t192.0.2.1"}, nil, nil},
		{"AAAA of a name server", "ns1." + testZone, dns.TypeAAAA, 0,
			[]string{"ns1." + testZone + "\t3600\tIN\tAAAA\t2001:db8::1"}, nil, nil},
		{"missing type of a name server", "ns2.dns." + testZone, dns.TypeAAAA, 0, nil,
			[]string{soa}, nil},
		{"empty non-terminal", "dns." + testZone, dns.TypeA, 0, nil, []string{soa}, nil},
		{"below a name server", "x.ns1." + testZone, dns.TypeA, dns.RcodeNameError, nil,
			[]string{soa}, nil},
		{"above the zone", "dcvaas-verify.com.", dns.TypeSOA, dns.RcodeRefused, nil, nil, nil},
		{"another zone", "example.com.", dns.TypeTXT, dns.RcodeRefused, nil, nil, nil},
		{"zone with the same suffix", label(1) + ".xacme.dcvaas-verify.com.", dns.TypeTXT,
			dns.RcodeRefused, nil, nil, nil},
		{"root", ".", dns.TypeNS, dns.RcodeRefused, nil, nil, nil},
		{"transfer", testZone, dns.TypeAXFR, dns.RcodeRefused, nil, nil, nil},
	}
	transports(t, s, func(t *testing.T, network, addr string) {
		for _, tt := range tests {
			m := query(tt.name, tt.qtype)
			m.RecursionDesired = true
			r := exchange(t, network, addr, m)
			expect(t, tt.what+": rcode", dns.RcodeToString[r.Rcode], dns.RcodeToString[tt.rcode])
			expect(t, tt.what+": answer", rrTexts(r.Answer), strings.Join(tt.answer, "\n"))
			expect(t, tt.what+": authority", rrTexts(r.Ns), strings.Join(tt.ns, "\n"))
			expect(t, tt.what+": additional", rrTexts(r.Extra), strings.Join(tt.extra, "\n"))
			if !r.Response || r.RecursionAvailable || r.Truncated || !r.RecursionDesired ||
				r.Authoritative != (tt.rcode != dns.RcodeRefused) {
				t.Errorf("%s: header = %s, want AA set only if served and RA clear", tt.what,
					r.MsgHdr.String())
			}
		}
	})
}

func rrTexts(rrs []dns.RR) string {
	var out []string
	for _, rr := range rrs {
		out = append(out, rr.String())
	}
	return strings.Join(out, "\n")
}

func TestCaseIsKept(t *testing.T) {
	t.Parallel()
	s := startReady(t, testConfig(newSource(row{label(1), []Challenge{challenge(1, "v")}})))
	for _, name := range []string{strings.ToUpper(label(1)) + ".aCMe.DCVaaS-verify.COM.",
		"ACME.dcvaas-Verify.com.", "Ns1.ACME.dcvaas-Verify.com."} {
		for _, qtype := range []uint16{dns.TypeTXT, dns.TypeNS, dns.TypeA, dns.TypeANY} {
			r := ask(t, s, name, qtype)
			if r.Rcode != dns.RcodeSuccess || r.Question[0].Name != name {
				t.Errorf("answer for %s = %s, want NOERROR with the question's case", name, r)
			}
			for _, rr := range r.Answer {
				expect(t, "owner", rr.Header().Name, name)
			}
		}
	}
	if got := brief(ask(t, s, strings.ToUpper(label(1))+
		".aCMe.DCVaaS-verify.COM.", dns.TypeTXT)); got != "NOERROR v" {
		t.Errorf("answer in mixed case = %s, want NOERROR v", got)
	}
}

func TestEDNS(t *testing.T) {
	t.Parallel()
	var many []Challenge
	for i := range 12 { // 12 × (12 + 44) octets: more than 512, less than 1232
		many = append(many, challenge(1, fmt.Sprintf("%043d", i)))
	}
	var most []Challenge
	for i := range 40 {
		most = append(most, challenge(2, fmt.Sprintf("%043d", i)))
	}
	s := startReady(t, testConfig(newSource(row{label(1), many}, row{label(2), most})))
	size := func(m *dns.Msg, octets uint16) *dns.Msg { return m.SetEdns0(octets, true) }
	one, two := label(1)+"."+testZone, label(2)+"."+testZone
	tests := []struct {
		what    string
		m       *dns.Msg
		network string
		tc      bool
		answers int
	}{
		{"12 values without EDNS", query(one, dns.TypeTXT), "udp", true, 0},
		{"12 values in 600 octets", size(query(one, dns.TypeTXT), 600), "udp", true, 0},
		{"12 values in 100 octets, treated as 512", size(query(one, dns.TypeTXT), 100), "udp", true,
			0},
		{"12 values in 1232 octets", size(query(one, dns.TypeTXT), 1232), "udp", false, 12},
		{"40 values in 4096 octets, treated as 1232", size(query(two, dns.TypeTXT), 4096),
			"udp", true, 0},
		{"40 values over TCP", query(two, dns.TypeTXT), "tcp", false, 40},
		{"40 values over TCP with EDNS", size(query(two, dns.TypeTXT), 512), "tcp", false, 40},
	}
	for _, tt := range tests {
		r := exchange(t, tt.network, s.Addr(), tt.m)
		if r.Truncated != tt.tc || len(r.Answer) != tt.answers || r.Rcode != dns.RcodeSuccess {
			t.Errorf("%s: TC = %v with %d answers, rcode %d", tt.what, r.Truncated, len(r.Answer),
				r.Rcode)
		}
		opt := r.IsEdns0()
		if (opt != nil) != (tt.m.IsEdns0() != nil) || opt != nil &&
			(opt.UDPSize() != 1232 || !opt.Do() || opt.Version() != 0) {
			t.Errorf("%s: OPT = %v, want one that matches the query", tt.what, opt)
		}
	}

	m := size(query(one, dns.TypeTXT), 1232)
	m.IsEdns0().SetVersion(1)
	r := exchange(t, "udp", s.Addr(), m)
	if r.Rcode != dns.RcodeBadVers || len(r.Answer) != 0 || r.IsEdns0() == nil ||
		r.IsEdns0().Version() != 0 {
		t.Errorf("answer to EDNS version 1 = %s, want BADVERS", r)
	}
	m = size(query(one, dns.TypeTXT), 1232)
	m.Extra = append(m.Extra, m.Extra[0])
	if r := exchange(t, "udp", s.Addr(), m); r.Rcode != dns.RcodeFormatError {
		t.Errorf("answer to two OPT records = %s, want FORMERR", r)
	}
}

func TestUnusualMessages(t *testing.T) {
	t.Parallel()
	s := startReady(t, testConfig(newSource(row{label(1), nil})))
	one := label(1) + "." + testZone
	edit := func(f func(m *dns.Msg)) *dns.Msg {
		m := query(one, dns.TypeTXT)
		f(m)
		return m
	}
	tests := []struct {
		what  string
		m     *dns.Msg
		rcode int
	}{
		{"CHAOS", edit(func(m *dns.Msg) {
			m.Question[0] = dns.Question{Name: "version.bind.", Qtype: dns.TypeTXT,
				Qclass: dns.ClassCHAOS}
		}), dns.RcodeRefused},
		{"class ANY", edit(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassANY }),
			dns.RcodeRefused},
		{"STATUS", edit(func(m *dns.Msg) { m.Opcode = dns.OpcodeStatus }), dns.RcodeNotImplemented},
		{"NOTIFY", new(dns.Msg).SetNotify(testZone), dns.RcodeNotImplemented},
		{"UPDATE", new(dns.Msg).SetUpdate(testZone), dns.RcodeNotImplemented},
		{"IXFR", new(dns.Msg).SetIxfr(testZone, 1, "ns.", "mbox."), dns.RcodeRefused},
		{"two questions", edit(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }),
			dns.RcodeFormatError},
		{"no question", edit(func(m *dns.Msg) { m.Question = nil }), dns.RcodeFormatError},
		{"answer section in the query", edit(func(m *dns.Msg) {
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: ".", Rrtype: 1, Class: 1},
				A: net.IPv4(1, 2, 3, 4)}}
		}), dns.RcodeFormatError},
	}
	transports(t, s, func(t *testing.T, network, addr string) {
		for _, tt := range tests {
			pkt, err := tt.m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			r := raw(t, network, addr, pkt)
			if r == nil || r.Rcode != tt.rcode || r.Id != tt.m.Id || r.Opcode != tt.m.Opcode ||
				r.Authoritative {
				t.Errorf("answer to %s = %v, want %s with the same ID and opcode", tt.what, r,
					dns.RcodeToString[tt.rcode])
			}
		}
		good, _ := query(one, dns.TypeTXT).Pack()
		for what, pkt := range map[string][]byte{
			"truncated name":  good[:20],
			"truncated class": good[:len(good)-1],
			"header only":     good[:12],
			"missing OPT":     slices.Concat(good[:11], []byte{1}, good[12:]),
		} {
			if r := raw(t, network, addr, pkt); r == nil || r.Rcode != dns.RcodeFormatError {
				t.Errorf("answer to %s = %v, want FORMERR", what, r)
			}
		}
		answer := slices.Clone(good)
		answer[2] |= 0x80
		if network == "udp" {
			for _, pkt := range [][]byte{answer, good[:11], {}} {
				if r := raw(t, network, addr, pkt); r != nil {
					t.Errorf("answer to % x = %v, want none", pkt, r)
				}
			}
		}
	})
}
