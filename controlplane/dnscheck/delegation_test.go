package dnscheck_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnscheck"
)

func TestDelegation(t *testing.T) {
	t.Parallel()
	const right = "_acme-challenge.example.com. 300 IN CNAME " + target + "."
	const other = "_acme-challenge.example.com. 300 IN CNAME other.example.net."
	hop := func(n int) []string {
		out := []string{"_acme-challenge.example.com. 300 IN CNAME h1.example.net."}
		for i := 1; i < n; i++ {
			out = append(out, fmt.Sprintf("h%d.example.net. 300 IN CNAME h%d.example.net.", i, i+1))
		}
		return append(out, fmt.Sprintf("h%d.example.net. 300 IN CNAME %s.", n, target))
	}
	zone := view{apex: "example.com.", negTTL: 60, records: []string{
		"example.com. 300 IN NS ada.ns.cloudflare.com.", "example.com. 300 IN NS bob.ns.cloudflare.com.",
		"ada.ns.cloudflare.com. 300 IN A 192.0.2.1", "bob.ns.cloudflare.com. 300 IN A 192.0.2.2",
		"www.example.com. 300 IN A 192.0.2.80",
	}}
	fine := zone.with(right)
	servfail := view{rcode: dns.RcodeServerFailure, ede: "at delegation example.com."}
	refused := view{rcode: dns.RcodeRefused}
	silent := view{silent: true}
	away := view{status: 503}
	two := func(v view) []view { return []view{v, v} }

	tests := []struct {
		what      string
		domain    string // example.com
		resolvers []view
		servers   []view // not asked where empty
		code      string
		say       []string // what summary, observed or fix has
		until     time.Time
	}{
		{what: "right", resolvers: two(fine), servers: two(fine), code: controlplane.CauseOK},
		{what: "right, upper case", domain: "EXAMPLE.com", resolvers: two(zone.with("_ACME-Challenge.example.com. 60 IN CNAME " + strings.ToUpper(target) + ".")), code: controlplane.CauseOK},
		{what: "right, servers not asked", resolvers: two(fine), code: controlplane.CauseOK},
		{what: "right, servers silent", resolvers: two(fine), servers: two(silent), code: controlplane.CauseOK},
		{what: "right, one server lame", resolvers: two(fine), servers: []view{fine, refused}, code: controlplane.CauseOK},
		{what: "right, one server not authoritative", resolvers: two(fine), servers: []view{fine, {notAA: true}}, code: controlplane.CauseOK},
		{what: "right, over TCP only", resolvers: two(fine), servers: two(view{records: fine.records, noUDP: true}), code: controlplane.CauseOK},
		{what: "right, one resolver away", resolvers: []view{away, fine}, servers: two(fine), code: controlplane.CauseOK},
		{what: "right, one resolver remembers", resolvers: []view{zone, fine}, servers: two(fine), code: controlplane.CauseOK},
		{what: "right, by a chain", resolvers: two(zone.with(hop(3)...)), servers: two(zone.with(hop(1)[0])), code: controlplane.CauseOK},
		{what: "right, by the longest chain", resolvers: two(zone.with(hop(9)...)), code: controlplane.CauseOK},
		{what: "right, in a zone above", domain: "shop.example.com", resolvers: two(zone.with("_acme-challenge.shop.example.com. 300 IN CNAME " + target + ".")),
			servers: two(zone.with("_acme-challenge.shop.example.com. 300 IN CNAME " + target + ".")), code: controlplane.CauseOK},

		{what: "missing", resolvers: two(zone), servers: two(zone), code: controlplane.CauseCNAMEMissing,
			say: []string{"NXDOMAIN", "at Cloudflare in the zone example.com", "Name: _acme-challenge (in full: _acme-challenge.example.com)", "Target: " + target + "\n", "DNS only", "until 2026-03-01T12:01:00Z"}},
		{what: "missing, servers not asked", resolvers: two(zone), code: controlplane.CauseCNAMEMissing, say: []string{"at Cloudflare"}},
		{what: "missing, in a zone above", domain: "shop.example.com", resolvers: two(zone), servers: two(zone), code: controlplane.CauseCNAMEMissing,
			say: []string{"in the zone example.com", "Name: _acme-challenge.shop (in full: _acme-challenge.shop.example.com)"}},
		{what: "missing, resolvers remember it", resolvers: two(fine), servers: two(zone), code: controlplane.CauseCNAMEMissing},
		{what: "missing, one resolver away", resolvers: []view{away, zone}, code: controlplane.CauseCNAMEMissing, say: []string{"HTTP 503"}},
		{what: "missing, one resolver fails", resolvers: []view{servfail, zone}, code: controlplane.CauseCNAMEMissing},
		{what: "missing, wildcard TXT", resolvers: two(zone.with(`*.example.com. 60 IN TXT "v=spf1 -all"`)), code: controlplane.CauseCNAMEMissing},
		{what: "missing, wildcard address", resolvers: two(zone.with("*.example.com. 60 IN A 192.0.2.3")), code: controlplane.CauseCNAMEMissing, say: []string{"has no CNAME"}},
		{what: "missing, wildcard CNAME", resolvers: two(zone.with("*.example.com. 60 IN CNAME lb.example.net.")), code: controlplane.CauseCNAMEMissing, say: []string{"wildcard"}},

		{what: "other target", resolvers: two(zone.with(other)), servers: two(zone.with(other)), code: controlplane.CauseCNAMEMismatch, say: []string{"leads to other.example.net", "Replace the CNAME at"}},
		{what: "other organization's target", resolvers: two(zone.with("_acme-challenge.example.com. 300 IN CNAME zzz.acme.dcvaas-verify.com.")), code: controlplane.CauseCNAMEMismatch, say: []string{"another organization"}},
		{what: "value without a dot", resolvers: two(zone.with("_acme-challenge.example.com. 300 IN CNAME " + target + ".example.com.")), code: controlplane.CauseCNAMEMismatch, say: []string{"trailing dot"}},
		{what: "chain elsewhere", resolvers: two(zone.with("_acme-challenge.example.com. 300 IN CNAME a.example.com.", "a.example.com. 300 IN CNAME b.example.com.")), code: controlplane.CauseCNAMEMismatch,
			say: []string{"a.example.com → b.example.com, which does not exist"}},
		{what: "other target at the servers", resolvers: two(zone), servers: two(zone.with(other)), code: controlplane.CauseCNAMEMismatch},
		{what: "old target remembered", resolvers: two(zone.with(other)), servers: two(fine), code: controlplane.CauseCNAMEMismatch, say: []string{"is right now"}, until: noon.Add(300 * time.Second)},

		{what: "doubled label", resolvers: two(zone.with("_acme-challenge.example.com.example.com. 300 IN CNAME " + target + ".")), code: controlplane.CauseCNAMEDoubledLabel,
			say: []string{"Remove the record at _acme-challenge.example.com.example.com"}},
		{what: "doubled label at the servers", resolvers: two(zone), servers: two(zone.with("_acme-challenge.example.com.example.com. 300 IN CNAME " + target + ".")), code: controlplane.CauseCNAMEDoubledLabel},
		{what: "doubled label under a zone above", domain: "shop.example.com", resolvers: two(zone.with("_acme-challenge.shop.example.com.example.com. 300 IN CNAME " + target + ".")), code: controlplane.CauseCNAMEDoubledLabel},
		{what: "doubled label to elsewhere", resolvers: two(zone.with("_acme-challenge.example.com.example.com. 300 IN CNAME other.example.net.")), code: controlplane.CauseCNAMEMissing},

		{what: "TXT in its place", resolvers: two(zone.with(`_acme-challenge.example.com. 60 IN TXT "old"`)), code: controlplane.CauseTXTConflict, say: []string{`TXT "old"`, "Remove the TXT record"}},
		{what: "TXT at the servers", resolvers: two(zone), servers: two(zone.with(`_acme-challenge.example.com. 60 IN TXT "old"`)), code: controlplane.CauseTXTConflict},
		{what: "proxied", resolvers: two(zone.with("_acme-challenge.example.com. 60 IN A 192.0.2.9")), code: controlplane.CauseCNAMEProxied, say: []string{"DNS only"}},

		{what: "loop", resolvers: two(zone.with("_acme-challenge.example.com. 60 IN CNAME a.example.com.", "a.example.com. 60 IN CNAME _acme-challenge.example.com.")), code: controlplane.CauseCNAMEChainLoop,
			say: []string{"_acme-challenge.example.com → a.example.com → _acme-challenge.example.com"}},
		{what: "loop to itself", resolvers: two(zone.with("_acme-challenge.example.com. 60 IN CNAME _acme-challenge.example.com.")), code: controlplane.CauseCNAMEChainLoop},
		{what: "too long by one", resolvers: two(zone.with(hop(10)...)), code: controlplane.CauseCNAMEChainTooLong},
		{what: "much too long", resolvers: two(zone.with(hop(40)...)), code: controlplane.CauseCNAMEChainTooLong},

		{what: "no zone", resolvers: two(view{apex: "com.", negTTL: 900}), servers: two(zone), code: controlplane.CauseZoneNotFound, say: []string{"registered"}},
		{what: "no zone, no SOA", resolvers: two(view{}), code: controlplane.CauseZoneNotFound},
		{what: "no zone under a private suffix", domain: "me.github.io", resolvers: two(view{apex: "github.io.", records: []string{"github.io. 60 IN NS ns.example.net."}}), code: controlplane.CauseCNAMEMissing},

		{what: "lame", resolvers: two(servfail), code: controlplane.CauseNameserverLame, say: []string{"at delegation example.com"}},
		{what: "lame, servers refuse", resolvers: two(lameFor("_acme-challenge.", zone)), servers: two(refused), code: controlplane.CauseNameserverLame, say: []string{"REFUSED", "ada.ns.cloudflare.com"}},
		{what: "lame, servers silent", resolvers: two(lameFor("_acme-challenge.", zone)), servers: two(silent), code: controlplane.CauseNameserverLame, say: []string{"no answer in time"}},
		{what: "lame on the way", resolvers: two(lameFor("h2.", zone.with(hop(3)...))), code: controlplane.CauseNameserverLame, say: []string{"name servers of example.net do not answer for h2.example.net"}},
		{what: "bogus", resolvers: two(view{records: fine.records, bogus: true}), servers: two(fine), code: controlplane.CauseDNSSECBogus},

		{what: "disagree", resolvers: two(fine), servers: []view{fine, zone}, code: controlplane.CauseNameserversDisagree, say: []string{"bob.ns.cloudflare.com up to date"}},
		{what: "disagree, resolvers see nothing", resolvers: two(zone), servers: []view{zone, fine}, code: controlplane.CauseNameserversDisagree, say: []string{"ada.ns.cloudflare.com up to date"}},

		{what: "negative cached", resolvers: []view{{records: zone.records, apex: zone.apex, negTTL: 1800}, {records: zone.records, apex: zone.apex, negTTL: 600}}, servers: two(fine),
			code: controlplane.CauseNegativeCached, until: noon.Add(600 * time.Second), say: []string{"2026-03-01T12:10:00Z"}},

		{what: "resolvers away", resolvers: two(away), servers: two(fine), code: controlplane.CauseResolverUnreachable},
		{what: "resolvers refuse", resolvers: two(refused), code: controlplane.CauseResolverUnreachable},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			if tt.domain == "" {
				tt.domain = "example.com"
			}
			got := delegation(t, doctor(t, tt.resolvers, tt.servers), tt.domain)
			if got.Code != tt.code || !got.Until.Equal(tt.until) {
				t.Errorf("code is %s until %s, want %s until %s", got.Code, got.Until, tt.code, tt.until)
			}
			text := strings.Join([]string{got.Summary, got.Observed, got.Fix}, "\n")
			for _, s := range tt.say {
				if !strings.Contains(text, s) {
					t.Errorf("it does not say %q", s)
				}
			}
			if got.Summary == "" || got.Observed == "" || got.Expected == "" || (got.Fix == "") != got.OK() || len(got.Evidence) == 0 || !got.CheckedAt.Equal(noon) {
				t.Error("something is not filled in")
			}
			if t.Failed() || testing.Verbose() {
				t.Logf("%s\nsummary:  %s\nobserved: %s\nexpected: %s\nfix:      %s", got.Code, got.Summary, got.Observed, got.Expected, got.Fix)
			}
		})
	}
}

// lameFor is a resolver that fails at names that begin so.
func lameFor(begin string, v view) view {
	v.failAt = begin
	return v
}

func TestDelegationInPlayground(t *testing.T) {
	t.Parallel()
	p, err := devstack.StartPlayground(context.Background(), devstack.PlaygroundConfig{Zone: "acme.dcvaas-verify.com"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop(context.Background()) })
	d := dnscheck.New(dnscheck.Config{Resolvers: []dnscheck.Resolver{{Name: "playground", URL: p.DoHURL()}}, Authority: p.DNSAddr(), AskAuthority: true})
	check := func(domain, code string) {
		t.Helper()
		got := delegation(t, d, domain)
		if got.Code != code {
			t.Errorf("%s: %s, want %s (%s)", domain, got.Code, code, got.Observed)
		}
	}
	set := func(name, typ, value string) {
		t.Helper()
		if err := p.Set(name, typ, []string{value}, 60); err != nil {
			t.Fatal(err)
		}
	}
	check("example.com", controlplane.CauseCNAMEMissing)
	set("_acme-challenge.example.com.example.com", "CNAME", target)
	check("example.com", controlplane.CauseCNAMEDoubledLabel)
	set("_acme-challenge.example.com", "TXT", "old")
	check("example.com", controlplane.CauseCNAMEDoubledLabel)
	if _, err := p.Remove("_acme-challenge.example.com.example.com", ""); err != nil {
		t.Fatal(err)
	}
	check("example.com", controlplane.CauseTXTConflict)
	if _, err := p.Remove("_acme-challenge.example.com", "TXT"); err != nil {
		t.Fatal(err)
	}
	set("_acme-challenge.example.com", "CNAME", "else.example.net")
	check("example.com", controlplane.CauseCNAMEMismatch)
	set("else.example.net", "CNAME", "_acme-challenge.example.com")
	check("example.com", controlplane.CauseCNAMEChainLoop)
	set("else.example.net", "CNAME", target)
	check("example.com", controlplane.CauseOK)
	set("_acme-challenge.example.com", "CNAME", target)
	check("example.com", controlplane.CauseOK)
	check("shop.invalid", controlplane.CauseZoneNotFound)
	if got := delegation(t, d, "new.co.uk"); got.DNSHost != "the playground DNS" || got.Zone != "new.co.uk" {
		t.Errorf("host is %q, zone %q", got.DNSHost, got.Zone)
	}
}

func TestDelegationEnds(t *testing.T) {
	t.Parallel()
	d := doctor(t, []view{{silent: true}}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := d.Delegation(ctx, "example.com", target); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
	if _, err := d.Delegation(t.Context(), "", target); err == nil {
		t.Error("no domain was accepted")
	}
}

func TestPrivateNameServersAreNotAsked(t *testing.T) {
	t.Parallel()
	v := view{apex: "example.com.", records: []string{"example.com. 60 IN NS ns.example.com.", "ns.example.com. 60 IN A 127.0.0.1", "_acme-challenge.example.com. 60 IN CNAME " + target + "."}}
	got := delegation(t, publicDoctor(t, v), "example.com")
	if !got.OK() {
		t.Errorf("%s: %s", got.Code, got.Observed)
	}
	found := false
	for _, o := range got.Evidence {
		found = found || strings.Contains(o.Error, "not public")
	}
	if !found {
		t.Errorf("evidence is %+v", got.Evidence)
	}
}
