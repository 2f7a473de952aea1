package devstack_test

import (
	"errors"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

func rr(t *testing.T, s string) dns.RR {
	t.Helper()
	r, err := dns.NewRR(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// update sends m signed with secret and returns the response code.
func update(t *testing.T, network, addr, secret string, m *dns.Msg) int {
	t.Helper()
	c := &dns.Client{Net: network, Timeout: 5 * time.Second}
	if secret != "" {
		m.SetTsig(tsigName, dns.HmacSHA256, 300, time.Now().Unix())
		c.TsigSecret = map[string]string{tsigName: secret}
	}
	r, _, err := c.Exchange(m, addr)
	if errors.Is(err, dns.ErrAuth) { // the client returns this for NOTAUTH
		return dns.RcodeNotAuth
	}
	if err != nil {
		t.Fatal(err)
	}
	return r.Rcode
}

func TestPlaygroundUpdate(t *testing.T) {
	t.Parallel()
	const cname = "_acme-challenge.example.com. 60 IN CNAME hash.acme.dcvaas-verify.test."
	tests := []struct {
		what  string
		zone  string
		build func(t *testing.T, m *dns.Msg)
		rcode int
		want  int // CNAME records at the challenge name afterwards; before: 1
		txt   int // TXT records at t.example.com afterwards; before: 2
	}{
		{"add", "example.com.", func(t *testing.T,
			m *dns.Msg) {
			m.Insert([]dns.RR{rr(t, `t.example.com. 60 IN TXT "c"`)})
		}, dns.RcodeSuccess, 1, 3},
		{"add again", "example.com.", func(t *testing.T,
			m *dns.Msg) {
			m.Insert([]dns.RR{rr(t, `t.example.com. 60 IN TXT "a"`)})
		}, dns.RcodeSuccess, 1, 2},
		{"replace a CNAME", "example.com.", func(t *testing.T, m *dns.Msg) {
			m.Insert([]dns.RR{rr(t, "_acme-challenge.example.com. 60 IN CNAME other.test.")})
		}, dns.RcodeSuccess, 1, 2},
		{"conflict with a CNAME", "example.com.", func(t *testing.T, m *dns.Msg) {
			m.Insert([]dns.RR{rr(t, `_acme-challenge.example.com. 60 IN TXT "a"`)})
		}, dns.RcodeSuccess, 1, 2},
		{"delete a record", "example.com.", func(t *testing.T,
			m *dns.Msg) {
			m.Remove([]dns.RR{rr(t, `t.example.com. 60 IN TXT "a"`)})
		}, dns.RcodeSuccess, 1, 1},
		{"delete a set", "example.com.", func(t *testing.T,
			m *dns.Msg) {
			m.RemoveRRset([]dns.RR{rr(t, cname)})
		}, dns.RcodeSuccess, 0, 2},
		{"delete a name", "example.com.", func(t *testing.T,
			m *dns.Msg) {
			m.RemoveName([]dns.RR{rr(t, `t.example.com. 60 IN TXT "a"`)})
		}, dns.RcodeSuccess, 1, 0},
		{"name in use", "example.com.", func(t *testing.T,
			m *dns.Msg) {
			m.NameUsed([]dns.RR{rr(t, "no.example.com. 0 IN A 192.0.2.1")})
		}, dns.RcodeNameError, 1, 2},
		{"name not in use", "example.com.", func(t *testing.T,
			m *dns.Msg) {
			m.NameNotUsed([]dns.RR{rr(t, cname)})
		}, dns.RcodeYXDomain, 1, 2},
		{"set exists", "example.com.", func(t *testing.T,
			m *dns.Msg) {
			m.RRsetUsed([]dns.RR{rr(t, "t.example.com. 0 IN A 192.0.2.1")})
		}, dns.RcodeNXRrset, 1, 2},
		{"set does not exist", "example.com.", func(t *testing.T,
			m *dns.Msg) {
			m.RRsetNotUsed([]dns.RR{rr(t, cname)})
		}, dns.RcodeYXRrset, 1, 2},
		{"set has values", "example.com.", func(t *testing.T,
			m *dns.Msg) {
			m.Used([]dns.RR{rr(t, `t.example.com. 0 IN TXT "a"`)})
		}, dns.RcodeNXRrset, 1, 2},
		{"compare and delete", "example.com.", func(t *testing.T, m *dns.Msg) {
			m.Used([]dns.RR{rr(t, cname)})
			m.RemoveRRset([]dns.RR{rr(t, cname)})
		}, dns.RcodeSuccess, 0, 2},
		{"all or nothing", "example.com.", func(t *testing.T, m *dns.Msg) {
			m.RemoveRRset([]dns.RR{rr(t, cname)})
			m.Insert([]dns.RR{rr(t, "a.example.org. 60 IN A 192.0.2.1")})
		}, dns.RcodeNotZone, 1, 2},
		{"not a zone", "sub.example.com.", func(t *testing.T,
			m *dns.Msg) {
			m.RemoveRRset([]dns.RR{rr(t, "a.sub.example.com. 60 IN A 192.0.2.1")})
		}, dns.RcodeNotAuth, 1, 2},
		{"validation zone", playZone + ".", func(t *testing.T,
			m *dns.Msg) {
			m.Insert([]dns.RR{rr(t, "a."+playZone+". 60 IN A 192.0.2.1")})
		}, dns.RcodeNotAuth, 1, 2},
	}
	for _, network := range []string{"udp", "tcp"} {
		for _, tt := range tests {
			t.Run(network+" "+tt.what, func(t *testing.T) {
				t.Parallel()
				p := startPlayground(t, devstack.PlaygroundConfig{})
				set(t, p, "_acme-challenge.example.com", "CNAME", "hash."+playZone)
				set(t, p, "t.example.com", "TXT", "a", "b")
				m := new(dns.Msg)
				m.SetUpdate(tt.zone)
				tt.build(t, m)
				if rcode := update(t, network, p.DNSAddr(), tsigSecret, m); rcode != tt.rcode {
					t.Errorf("rcode = %s, want %s", dns.RcodeToString[rcode],
						dns.RcodeToString[tt.rcode])
				}
				if n := len(ask(t, "udp", p.DNSAddr(),
					"_acme-challenge.example.com.", dns.TypeCNAME).Answer); n != tt.want {
					t.Errorf("CNAME records = %d, want %d", n, tt.want)
				}
				if n := len(ask(t, "udp", p.DNSAddr(),
					"t.example.com.", dns.TypeTXT).Answer); n != tt.txt {
					t.Errorf("TXT records = %d, want %d", n, tt.txt)
				}
			})
		}
	}
}

func TestPlaygroundUpdateUnsigned(t *testing.T) {
	t.Parallel()
	p := startPlayground(t, devstack.PlaygroundConfig{})
	for secret, want := range map[string]int{"": dns.RcodeRefused, "d3Jvbmc=": dns.RcodeNotAuth} {
		m := new(dns.Msg)
		m.SetUpdate("example.com.")
		m.Insert([]dns.RR{rr(t, "a.example.com. 60 IN A 192.0.2.1")})
		if rcode := update(t, "udp", p.DNSAddr(), secret, m); rcode != want {
			t.Errorf("update with the secret %q = %s, want %s", secret, dns.RcodeToString[rcode],
				dns.RcodeToString[want])
		}
	}
	if r := ask(t, "udp", p.DNSAddr(), "a.example.com.", dns.TypeA); len(r.Answer) != 0 {
		t.Errorf("answer after rejected updates = %v, want no records", r.Answer)
	}
}
