package dnscheck_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnscheck"
)

// TestResolverReturnsInvalidAnswers checks that an invalid answer is not used as evidence. Each of
// these would be "ok" or "missing" otherwise.
func TestResolverReturnsInvalidAnswers(t *testing.T) {
	t.Parallel()
	reply := func(change func(*dns.Msg)) func([]byte) (string, []byte) {
		return func(raw []byte) (string, []byte) {
			q, m := new(dns.Msg), new(dns.Msg)
			if err := q.Unpack(raw); err != nil {
				panic(err)
			}
			m.SetReply(q)
			rr, err := dns.NewRR("_acme-challenge.example.com. 60 IN CNAME " + target + ".")
			if err != nil {
				panic(err)
			}
			m.Answer = []dns.RR{rr}
			change(m)
			out, err := m.Pack()
			if err != nil {
				panic(err)
			}
			return "application/dns-message", out
		}
	}
	tests := map[string]func([]byte) (string, []byte){
		"HTML": func([]byte) (string,
			[]byte) {
			return "text/html", []byte("<h1>Sign in</h1>")
		},
		"no DNS": func([]byte) (string,
			[]byte) {
			return "application/dns-message", []byte("rubbish")
		},
		"echo": func(raw []byte) (string,
			[]byte) {
			return "application/dns-message", raw
		},
		"another id":       reply(func(m *dns.Msg) { m.Id = 7 }),
		"another question": reply(func(m *dns.Msg) { m.Question[0].Name = "other.example." }),
		"another type":     reply(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA }),
		"no question":      reply(func(m *dns.Msg) { m.Question = nil }),
		"refused":          reply(func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeRefused, nil }),
	}
	for what, invalid := range tests {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			srv := serveDoH(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				raw, _ := io.ReadAll(r.Body)
				contentType, body := invalid(raw)
				w.Header().Set("Content-Type", contentType)
				_, _ = w.Write(body)
			}))
			d := dnscheck.New(dnscheck.Config{Resolvers: []dnscheck.Resolver{{URL: srv.URL}},
				HTTPClient: srv.Client(), Timeout: 10 * time.Second})
			if got := delegation(t, d,
				"example.com"); got.Code != controlplane.CauseResolverUnreachable ||
				!got.Transient() {
				t.Errorf("Delegation = %s, want resolver-unreachable (observed: %s)", got.Code,
					got.Observed)
			}
		})
	}
}
