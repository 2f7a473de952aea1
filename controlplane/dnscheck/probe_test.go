package dnscheck_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnscheck"
)

const (
	probedZone = "acme.dcvaas-verify.com"
	probeTXT   = controlplane.ProbeName + "." + probedZone + `. 0 IN TXT "new"`
	oldTXT     = controlplane.ProbeName + "." + probedZone + `. 0 IN TXT "old"`
)

// zoneWorld is a validation zone with two name servers, its parent zone, and two resolvers.
type zoneWorld struct {
	resolvers [2]view
	servers   [2]view   // at 192.0.2.1 and 192.0.2.2
	referral  []string  // of the parent, whose name server is at 192.0.2.53
	glue      []string  // additional records of the referral
	answered  *dns.Msg  // instead of the referral
	replicas  []string  // nil: the two name servers
	closed    [2]string // a network over which a name server is unreachable at its address
}

// workingZone is a zone without problems.
func workingZone() *zoneWorld {
	apex := []string{probedZone + ". 3600 IN NS ns1." + probedZone + ".",
		probedZone + ". 3600 IN NS ns2." + probedZone + ".",
		probedZone + ". 3600 IN SOA ns1. h. 1 2 3 4 5"}
	addresses := []string{"ns1." + probedZone + ". 3600 IN A 192.0.2.1",
		"ns2." + probedZone + ". 3600 IN A 192.0.2.2"}
	server := view{apex: probedZone + "."}.with(apex...).with(addresses...).with(probeTXT)
	resolver := view{}.with(probeTXT, ". 3600 IN NS a.root-servers.net.",
		"dcvaas-verify.com. 3600 IN NS ns.registry.example.",
		"ns.registry.example. 3600 IN A 192.0.2.53").with(addresses...)
	return &zoneWorld{resolvers: [2]view{resolver, resolver}, servers: [2]view{server, server},
		referral: apex[:2], glue: addresses}
}

func (w *zoneWorld) probe(ctx context.Context) controlplane.ZoneProbe {
	n := &network{resolvers: map[string]http.Handler{}, servers: map[string]dns.Handler{}}
	cfg := dnscheck.Config{AskAuthority: true, HTTPClient: &http.Client{Transport: n}, Dial: n.dial}
	for i, v := range w.resolvers {
		name := fmt.Sprint("resolver", i+1)
		n.resolvers[name] = v
		cfg.Resolvers = append(cfg.Resolvers, dnscheck.Resolver{Name: name, URL: "https://" + name})
	}
	replicas := w.replicas
	for i, v := range w.servers {
		internal, public := fmt.Sprintf("10.0.0.%d:53", i+1), fmt.Sprintf("192.0.2.%d:53", i+1)
		n.servers[internal] = ownServer{v}
		n.servers[public] = ownServer{v.except(closed(w.closed[i])...)}
		if w.replicas == nil {
			replicas = append(replicas, internal)
		}
	}
	n.servers["192.0.2.53:53"] = dns.HandlerFunc(w.refer)
	return dnscheck.New(cfg).ProbeZone(ctx, controlplane.ZoneQuestion{Zone: probedZone,
		Value: "new", Servers: replicas})
}

func closed(network string) []rule {
	if network == "" {
		return nil
	}
	return []rule{{network: network, silent: true}}
}

// ownServer is a name server of the zone, which adds the addresses to an answer of NS records.
type ownServer struct{ view }

func (s ownServer) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	s.view.ServeDNS(withGlue{w, r}, r)
}

type withGlue struct {
	dns.ResponseWriter
	question *dns.Msg
}

func (w withGlue) WriteMsg(m *dns.Msg) error {
	if w.question.Question[0].Qtype == dns.TypeNS {
		for _, s := range []string{"ns1." + probedZone + ". 3600 IN A 192.0.2.1",
			"ns2." + probedZone + ". 3600 IN A 192.0.2.2"} {
			m.Extra = append(m.Extra, record(s))
		}
	}
	return w.ResponseWriter.WriteMsg(m)
}

// refer answers as the name server of the parent zone.
func (w *zoneWorld) refer(rw dns.ResponseWriter, r *dns.Msg) {
	m := new(dns.Msg).SetReply(r)
	if w.answered != nil {
		m.Rcode = w.answered.Rcode
	}
	for _, s := range w.referral {
		m.Ns = append(m.Ns, record(s))
	}
	for _, s := range w.glue {
		m.Extra = append(m.Extra, record(s))
	}
	_ = rw.WriteMsg(m)
}

func TestProbeZone(t *testing.T) {
	t.Parallel()
	fails := view{rcode: dns.RcodeServerFailure}
	unresolved := func(w *zoneWorld) {
		for i := range w.resolvers {
			w.resolvers[i] = w.resolvers[i].except(rule{qtype: dns.TypeTXT,
				rcode: dns.RcodeServerFailure})
		}
	}
	for _, tt := range []struct {
		what        string
		change      func(*zoneWorld)
		unreachable bool
		problems    []string // "step: part of the detail"
	}{
		{what: "works", change: func(*zoneWorld) {}},
		{what: "a resolver is down", change: func(w *zoneWorld) { w.resolvers[0] = fails }},
		{what: "both resolvers are down", change: func(w *zoneWorld) {
			w.resolvers = [2]view{fails, {silent: true}}
		}},
		{what: "one resolver is down, the other finds nothing", unreachable: true,
			change: func(w *zoneWorld) {
				unresolved(w)
				w.resolvers[0] = fails
			}, problems: []string{"resolution: resolver2 fails (SERVFAIL"}},
		{what: "one resolver finds nothing", change: func(w *zoneWorld) {
			w.resolvers[0] = w.resolvers[0].except(
				rule{qtype: dns.TypeTXT, rcode: dns.RcodeNameError})
		}},
		{what: "an old value", unreachable: true, change: func(w *zoneWorld) {
			for i := range w.resolvers {
				w.resolvers[i] = w.resolvers[i].except(
					rule{qtype: dns.TypeTXT, answer: []string{oldTXT}})
			}
		}, problems: []string{"resolution: resolver1 answers with an old value; resolver2"}},
		{what: "no delegation", unreachable: true, change: func(w *zoneWorld) {
			unresolved(w)
			w.referral, w.glue, w.answered = nil, nil, &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: 3}}
		}, problems: []string{"delegation: dcvaas-verify.com has no NS records for " + probedZone}},
		{what: "wrong NS", unreachable: true, change: func(w *zoneWorld) {
			unresolved(w)
			w.referral = []string{probedZone + ". 60 IN NS ns1.elsewhere.example."}
		}, problems: []string{"delegation: the NS records ns1.elsewhere.example for",
			"glue: ns1.elsewhere.example has no address"}},
		{what: "a DS record", unreachable: true, change: func(w *zoneWorld) {
			unresolved(w)
			w.referral = append(w.referral,
				probedZone+". 60 IN DS 1 13 2 "+strings.Repeat("ab", 32))
		}, problems: []string{"delegation: has a DS record"}},
		{what: "missing glue", unreachable: true, change: func(w *zoneWorld) {
			unresolved(w)
			w.glue = w.glue[:1]
		}, problems: []string{"glue: has no address for ns2." + probedZone + ": add the glue records 192.0.2.2"}},
		{what: "wrong glue", change: func(w *zoneWorld) {
			w.glue = []string{"ns1." + probedZone + ". 60 IN A 192.0.2.1",
				"ns2." + probedZone + ". 60 IN A 192.0.2.9"}
		}, problems: []string{"glue: has the address 192.0.2.9 for ns2",
			"port-53: ns2." + probedZone + " (192.0.2.9) does not answer over UDP"}},
		{what: "UDP closed", unreachable: true, change: func(w *zoneWorld) {
			unresolved(w)
			w.closed = [2]string{"udp", "udp"}
		}, problems: []string{"port-53: (192.0.2.1) does not answer over UDP", "port-53: (192.0.2.2)"}},
		{what: "TCP closed", change: func(w *zoneWorld) { w.closed[1] = "tcp" },
			problems: []string{"port-53: ns2." + probedZone + " (192.0.2.2) does not answer over TCP"}},
		{what: "a stale replica", change: func(w *zoneWorld) {
			w.servers[1] = w.servers[1].except(rule{qtype: dns.TypeTXT, answer: []string{oldTXT}})
		}, problems: []string{"replica: The name server 10.0.0.2:53 answers with an old value over UDP, and answers with an old value over TCP"}},
		{what: "no replica", unreachable: true, change: func(w *zoneWorld) {
			unresolved(w)
			w.replicas = []string{}
		}, problems: []string{"replica: No name server runs"}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := workingZone()
				tt.change(w)
				got := w.probe(t.Context())
				if got.Reachable == tt.unreachable {
					t.Errorf("reachable = %t, want %t", got.Reachable, !tt.unreachable)
				}
				ok := len(got.Problems) == len(tt.problems)
				for i := 0; ok && i < len(tt.problems); i++ {
					step, part, _ := strings.Cut(tt.problems[i], ": ")
					ok = string(got.Problems[i].Step) == step &&
						strings.Contains(got.Problems[i].Detail, part)
				}
				if !ok {
					t.Errorf("problems = %+v, want %q", got.Problems, tt.problems)
				}
			})
		})
	}
}
