package dnscheck_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// delegationSituations cover the record and its chain of CNAMEs.
func delegationSituations() []situation {
	const other = "_acme-challenge.example.com. 300 IN CNAME other.example.net."
	fine := zone.with(fineAt)
	servfail := view{rcode: dns.RcodeServerFailure, ede: "at delegation example.com."}
	refused, silent, away := view{rcode: dns.RcodeRefused}, view{silent: true}, view{status: 503}
	shouts := fine
	shouts.shout = true
	return []situation{
		{what: "delegated", resolvers: two(fine), servers: two(fine), code: controlplane.CauseOK},
		{what: "delegated, upper case", domain: "EXAMPLE.com",
			resolvers: two(zone.with("_ACME-Challenge.example.com. 60 IN CNAME " +
				strings.ToUpper(target) + ".")), code: controlplane.CauseOK},
		{what: "delegated, servers not queried", resolvers: two(fine), code: controlplane.CauseOK},
		{what: "delegated, servers silent", resolvers: two(fine), servers: two(silent),
			code: controlplane.CauseOK},
		{what: "delegated, one server lame", resolvers: two(fine), servers: []view{fine, refused},
			code: controlplane.CauseOK, warns: controlplane.CauseNameserverLame,
			contains: []string{
				"Warning: At bob.ns.cloudflare.com, queries for example.com fail (REFUSED"}},
		{what: "delegated, one server not authoritative", resolvers: two(fine),
			servers: []view{fine, {notAA: true}}, code: controlplane.CauseOK,
			warns: controlplane.CauseNameserverLame},
		{what: "delegated, over TCP only", resolvers: two(fine),
			servers: two(view{records: fine.records, noUDP: true}), code: controlplane.CauseOK},
		{what: "delegated, name servers that do not keep the case", resolvers: two(fine),
			servers: two(shouts), code: controlplane.CauseOK},
		{what: "delegated, resolvers that do not keep the case", resolvers: two(shouts),
			servers: two(fine), code: controlplane.CauseOK},
		{what: "delegated, one resolver away", resolvers: []view{away, fine}, servers: two(fine),
			code: controlplane.CauseOK},
		{what: "delegated, one resolver remembers", resolvers: []view{zone, fine},
			servers: two(fine), code: controlplane.CauseOK},
		{what: "delegated, by a chain", resolvers: two(zone.with(hops(3)...)),
			servers: two(zone.with(hops(1)[0])), code: controlplane.CauseOK},
		{what: "delegated, by the longest chain", resolvers: two(zone.with(hops(9)...)),
			code: controlplane.CauseOK},
		{what: "delegated, in a zone above",
			domain: "shop.example.com", resolvers: two(
				zone.with("_acme-challenge.shop.example.com. 300 IN CNAME " + target + ".")),
			servers: two(zone.with("_acme-challenge.shop.example.com. 300 IN CNAME " + target +
				".")), code: controlplane.CauseOK},

		{what: "missing", resolvers: two(zone), servers: two(zone),
			code: controlplane.CauseCNAMEMissing,
			contains: []string{"NXDOMAIN", "at Cloudflare in the zone example.com",
				"Name: _acme-challenge (in full: _acme-challenge.example.com)", "Target: " +
					target + "\n", "DNS only", "until 2026-03-01T12:01:00Z"}},
		{what: "missing, servers not queried", resolvers: two(zone),
			code: controlplane.CauseCNAMEMissing, contains: []string{"at Cloudflare"}},
		{what: "missing, in a zone above", domain: "shop.example.com", resolvers: two(zone),
			servers: two(zone), code: controlplane.CauseCNAMEMissing,
			contains: []string{"in the zone example.com",
				"Name: _acme-challenge.shop (in full: _acme-challenge.shop.example.com)"}},
		{what: "missing, cached by resolvers", resolvers: two(fine), servers: two(zone),
			code: controlplane.CauseCNAMEMissing},
		{what: "missing, one resolver unreachable", resolvers: []view{away, zone},
			code: controlplane.CauseCNAMEMissing, contains: []string{"HTTP 503"}},
		{what: "missing, one resolver fails", resolvers: []view{servfail, zone},
			code: controlplane.CauseCNAMEMissing},
		{what: "missing, wildcard TXT",
			resolvers: two(zone.with(`*.example.com. 60 IN TXT "v=spf1 -all"`)),
			code:      controlplane.CauseCNAMEMissing},
		{what: "missing, wildcard address",
			resolvers: two(zone.with("*.example.com. 60 IN A 192.0.2.3")),
			code:      controlplane.CauseCNAMEMissing, contains: []string{"has no CNAME"}},
		{what: "missing, wildcard CNAME",
			resolvers: two(zone.with("*.example.com. 60 IN CNAME lb.example.net.")),
			code:      controlplane.CauseCNAMEMissing, contains: []string{"wildcard"}},

		{what: "other target", resolvers: two(zone.with(other)), servers: two(zone.with(other)),
			code:     controlplane.CauseCNAMEMismatch,
			contains: []string{"points to other.example.net", "Replace the CNAME at"}},
		{what: "other organization's target",
			resolvers: two(
				zone.with("_acme-challenge.example.com. 300 IN CNAME zzz.acme.dcvaas-verify.com.")),
			code: controlplane.CauseCNAMEMismatch, contains: []string{"another organization"}},
		{what: "value without a dot",
			resolvers: two(zone.with("_acme-challenge.example.com. 300 IN CNAME " + target +
				".example.com.")), code: controlplane.CauseCNAMEMismatch,
			contains: []string{"trailing dot"}},
		{what: "chain elsewhere",
			resolvers: two(zone.with("_acme-challenge.example.com. 300 IN CNAME a.example.com.",
				"a.example.com. 300 IN CNAME b.example.com.")),
			code:     controlplane.CauseCNAMEMismatch,
			contains: []string{"a.example.com → b.example.com, which does not exist"}},
		{what: "other target at the servers", resolvers: two(zone), servers: two(zone.with(other)),
			code: controlplane.CauseCNAMEMismatch},
		{what: "old target cached", resolvers: two(zone.with(other)), servers: two(fine),
			code: controlplane.CauseCNAMEMismatch, contains: []string{"is correct now"},
			until: noon.Add(300 * time.Second)},

		{what: "doubled label",
			resolvers: two(zone.with("_acme-challenge.example.com.example.com. 300 IN CNAME " +
				target + ".")), code: controlplane.CauseCNAMEDoubledLabel,
			contains: []string{"Remove the record at _acme-challenge.example.com.example.com"}},
		{what: "doubled label at the servers", resolvers: two(zone),
			servers: two(zone.with("_acme-challenge.example.com.example.com. 300 IN CNAME " +
				target + ".")), code: controlplane.CauseCNAMEDoubledLabel},
		{what: "doubled label under a zone above",
			domain: "shop.example.com", resolvers: two(
				zone.with("_acme-challenge.shop.example.com.example.com. 300 IN CNAME " + target +
					".")), code: controlplane.CauseCNAMEDoubledLabel},
		{what: "doubled label to elsewhere",
			resolvers: two(
				zone.with("_acme-challenge.example.com.example.com. 300 IN CNAME other.example.net.")), code: controlplane.CauseCNAMEMissing},

		{what: "TXT in its place",
			resolvers: two(zone.with(`_acme-challenge.example.com. 60 IN TXT "old"`)),
			code:      controlplane.CauseTXTConflict,
			contains:  []string{`TXT "old"`, "Remove the TXT record"}},
		{what: "TXT at the servers", resolvers: two(zone),
			servers: two(zone.with(`_acme-challenge.example.com. 60 IN TXT "old"`)),
			code:    controlplane.CauseTXTConflict},
		{what: "proxied", resolvers: two(
			zone.with("_acme-challenge.example.com. 60 IN A 192.0.2.9")),
			code: controlplane.CauseCNAMEProxied, contains: []string{"DNS only"}},

		{what: "loop",
			resolvers: two(zone.with("_acme-challenge.example.com. 60 IN CNAME a.example.com.",
				"a.example.com. 60 IN CNAME _acme-challenge.example.com.")),
			code: controlplane.CauseCNAMEChainLoop,
			contains: []string{
				"_acme-challenge.example.com → a.example.com → _acme-challenge.example.com"}},
		{what: "loop to itself",
			resolvers: two(
				zone.with("_acme-challenge.example.com. 60 IN CNAME _acme-challenge.example.com.")),
			code: controlplane.CauseCNAMEChainLoop},
		{what: "too long by one", resolvers: two(zone.with(hops(10)...)),
			code: controlplane.CauseCNAMEChainTooLong},
		{what: "much too long", resolvers: two(zone.with(hops(40)...)),
			code: controlplane.CauseCNAMEChainTooLong},

		{what: "challenge name is a separate zone",
			resolvers: two(view{apex: "_acme-challenge.example.com.",
				records: append([]string{
					"_acme-challenge.example.com. 300 IN NS ns.acme.example.net."},
					zone.records...)}),
			code: controlplane.CauseCNAMEMissing,
			contains: []string{"as a separate zone to ns.acme.example.net",
				"Remove the NS records at _acme-challenge.example.com"}},
	}
}

// hops returns a chain of n+1 CNAMEs from the challenge name to the target.
func hops(n int) []string {
	out := []string{"_acme-challenge.example.com. 300 IN CNAME h1.example.net."}
	for i := 1; i < n; i++ {
		out = append(out, fmt.Sprintf("h%d.example.net. 300 IN CNAME h%d.example.net.", i, i+1))
	}
	return append(out, fmt.Sprintf("h%d.example.net. 300 IN CNAME %s.", n, target))
}
