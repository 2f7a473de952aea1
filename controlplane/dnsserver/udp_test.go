package dnsserver

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// everyPort runs a test with each implementation of port.
func everyPort(t *testing.T, f func(t *testing.T, start func(Config) *Server)) {
	for name, port := range map[string]func(*net.UDPConn) port{"own": newPort, "any": newAnyPort} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, func(c Config) *Server {
				s, err := New(c)
				if err != nil {
					t.Fatal(err)
				}
				s.newPort = port
				if err := s.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Stop(context.Background()) })
				eventually(t, "ready", s.Ready)
				return s
			})
		})
	}
}

// TestWildcardAnswersFromTheQueriedAddress queries a socket for all addresses at several of them: a
// client accepts an answer only from the queried address.
func TestWildcardAnswersFromTheQueriedAddress(t *testing.T) {
	t.Parallel()
	everyPort(t, func(t *testing.T, start func(Config) *Server) {
		source := newSource(row{label(1), []Challenge{challenge(1, "v")}})
		c := testConfig(source)
		c.Listen = []string{":0"}
		s := start(c)
		_, port, _ := net.SplitHostPort(s.Addr())
		hosts := []string{"127.0.0.1", "127.0.0.2"}
		if hasIPv6() {
			hosts = append(hosts, "::1")
		}
		for i, host := range hosts {
			addr := net.JoinHostPort(host, port)
			source.put(label(10+i), challenge(10+i, "w"))
			for _, network := range []string{"udp", "tcp"} {
				expect(t, network+" "+addr,
					brief(exchange(t, network, addr, query(label(1)+"."+testZone, dns.TypeTXT))),
					"NOERROR v")
				expect(t, "after a lookup",
					brief(exchange(t, network, addr, query(label(10+i)+"."+testZone, dns.TypeTXT))),
					"NOERROR w")
			}
		}
	})
}

func TestManyQuestionsAtOnce(t *testing.T) {
	t.Parallel()
	everyPort(t, func(t *testing.T, start func(Config) *Server) {
		s := start(testConfig(newSource(row{label(1), []Challenge{challenge(1, "v")}})))
		conn, err := net.Dial("udp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		const n = 200
		for i := range n { // answered and ignored ones in one batch
			name := label(1) + "." + testZone
			if i%3 == 1 {
				name = "nothing." + testZone
			}
			m := query(name, dns.TypeTXT)
			m.Id, m.Response = uint16(i), i%3 == 2
			pkt, _ := m.Pack()
			if _, err := conn.Write(pkt); err != nil {
				t.Fatal(err)
			}
		}
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		buf := make([]byte, 2048)
		for seen := range (n*2 + 2) / 3 {
			k, err := conn.Read(buf)
			if err != nil {
				t.Fatalf("read after %d answers: %v", seen, err)
			}
			m := new(dns.Msg)
			if err := m.Unpack(buf[:k]); err != nil {
				t.Fatal(err)
			}
			want := map[uint16]string{0: "NOERROR v", 1: "NXDOMAIN", 2: "never"}[m.Id%3]
			expect(t, m.Question[0].Name, brief(m), want)
		}
	})
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c := testConfig(newSource(row{label(1), []Challenge{challenge(1, "v")}}))
	c.Now, c.RateLimit = clock.Now, 10
	s := startReady(t, c)
	count := func(n int) (full, short, none int) {
		for range n {
			m := query(label(1)+"."+testZone, dns.TypeTXT).SetEdns0(1232, false)
			pkt, _ := m.Pack()
			switch r := raw(t, "udp", s.Addr(), pkt); {
			case r == nil:
				none++
			case r.Truncated && len(r.Answer) == 0 && r.IsEdns0() != nil &&
				r.Question[0] == m.Question[0]:
				short++
			case brief(r) == "NOERROR v":
				full++
			default:
				t.Errorf("answer = %s, want NOERROR v or a truncated one", r)
			}
		}
		return full, short, none
	}
	if full, short, none := count(16); full != 10 || short != 6 || none != 0 {
		t.Errorf("answered = %d, truncated = %d, dropped = %d; want 10, 6, 0", full, short, none)
	}
	expect(t, "over TCP", brief(exchange(t, "tcp", s.Addr(),
		query(label(1)+"."+testZone, dns.TypeTXT))), "NOERROR v")
	clock.advance(200 * time.Millisecond)
	if full, _, _ := count(4); full != 2 {
		t.Errorf("answered after 200 ms = %d, want 2", full)
	}
}

func TestLimiterSeparatesNetworks(t *testing.T) {
	t.Parallel()
	l := newLimiter(1, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28")})
	steps := []struct {
		client string
		passes bool
	}{
		{"198.51.100.1", true}, {"198.51.100.2", false}, {"198.51.101.1", true},
		{"::ffff:198.51.100.3", false},
		{"2001:db8:0:1::1", true}, {"2001:db8:0:ff::1", false}, {"2001:db8:0:100::1", true},
		{"192.0.2.1", true}, {"192.0.2.2", true}, {"192.0.2.200", false},
	}
	for _, step := range steps {
		if got := l.allow(netip.MustParseAddr(step.client), 1e18); got != step.passes {
			t.Errorf("allow(%s) = %v, want %v", step.client, got, !got)
		}
	}
	var off *limiter
	if !off.allow(netip.Addr{}, 0) {
		t.Error("allow of a nil limiter = false, want true")
	}
}

func TestMetricsContainNoNames(t *testing.T) {
	t.Parallel()
	reg := newRegistry()
	c := testConfig(newSource(row{label(1), []Challenge{challenge(1, "v")}}))
	c.Registerer = reg
	s := startReady(t, c)
	askTXT(t, s, label(1))
	askTXT(t, s, label(2))
	exchange(t, "tcp", s.Addr(), query("example.com.", 65280))
	raw(t, "udp", s.Addr(), []byte{1})
	text := gather(t, reg)
	for _, want := range []string{
		`dcvaas_dns_responses_total{rcode="NOERROR",transport="udp",type="TXT"} 1`,
		`dcvaas_dns_responses_total{rcode="NXDOMAIN",transport="udp",type="TXT"} 1`,
		`dcvaas_dns_responses_total{rcode="REFUSED",transport="tcp",type="other"} 1`,
		`dcvaas_dns_dropped_total{reason="ignored",transport="udp"} 1`,
		`dcvaas_dns_lookups_total{result="absent"} 1`,
		`dcvaas_dns_in_sync 1`, `dcvaas_dns_targets 1`, `dcvaas_dns_challenges 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("metrics do not contain %s:\n%s", want, text)
		}
	}
	if strings.Contains(text, "example") || strings.Contains(text, label(1)) {
		t.Error("the metrics contain a name")
	}
	if _, err := New(c); err == nil {
		t.Error("New with a used registry = nil error, want an error")
	}
}
