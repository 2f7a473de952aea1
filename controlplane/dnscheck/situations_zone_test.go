package dnscheck_test

import (
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// zoneSituations are about zones, name servers, resolvers and DNSSEC.
func zoneSituations() []situation {
	fine := zone.with(fineAt)
	servfail := view{rcode: dns.RcodeServerFailure, ede: "at delegation example.com."}
	refused, silent, away := view{rcode: dns.RcodeRefused}, view{silent: true}, view{status: 503}
	referring := zone
	referring.refer = []string{"_acme-challenge.example.com. 300 IN NS ns.acme.example.net."}
	signed, validating, halfBogus, caaBogus := fine, fine, fine, fine
	signed.signed, validating.validate = true, true
	halfBogus.bogus, halfBogus.code = true, dns.ExtendedErrorCodeSignatureExpired
	caaBogus.bogusOn = dns.TypeCAA
	return []situation{
		{what: "signed", resolvers: two(signed), code: controlplane.CauseOK, dnssec: controlplane.DNSSECSecure},
		{what: "not signed", resolvers: two(validating), code: controlplane.CauseOK, dnssec: controlplane.DNSSECInsecure},
		{what: "not known whether signed", resolvers: two(fine), code: controlplane.CauseOK, dnssec: controlplane.DNSSECUnknown},

		{what: "no zone", resolvers: two(view{apex: "com.", negTTL: 900}), servers: two(zone), code: controlplane.CauseZoneNotFound, say: []string{"registered"}},
		{what: "no zone, no SOA", resolvers: two(view{}), code: controlplane.CauseZoneNotFound},
		{what: "no zone under a private suffix", domain: "me.github.io", resolvers: two(view{apex: "github.io.", records: []string{"github.io. 60 IN NS ns.example.net."}}), code: controlplane.CauseCNAMEMissing},

		{what: "lame", resolvers: two(servfail), code: controlplane.CauseNameserverLame, say: []string{"at delegation example.com"}},
		{what: "lame, servers refuse", resolvers: two(lameFor("_acme-challenge.", zone)), servers: two(refused), code: controlplane.CauseNameserverLame, say: []string{"REFUSED", "ada.ns.cloudflare.com"}},
		{what: "lame, servers silent", resolvers: two(lameFor("_acme-challenge.", zone)), servers: two(silent), code: controlplane.CauseNameserverLame, say: []string{"no answer in time"}},
		{what: "lame, delegated as a zone of its own", resolvers: two(lameFor("_acme-challenge.", zone)), servers: two(referring), code: controlplane.CauseNameserverLame,
			say: []string{"NS records delegate _acme-challenge.example.com, as a zone of its own, to ns.acme.example.net", "Remove the NS records"}},
		{what: "lame on the way", resolvers: two(lameFor("h2.", zone.with(hops(3)...))), code: controlplane.CauseNameserverLame, say: []string{"name servers of example.net do not answer for h2.example.net"}},
		{what: "bogus", resolvers: two(view{records: fine.records, bogus: true}), servers: two(fine), code: controlplane.CauseDNSSECBogus, dnssec: controlplane.DNSSECBogus, say: []string{"DS record"}},
		{what: "bogus, one resolver remembers", resolvers: []view{halfBogus, fine}, servers: two(fine), code: controlplane.CauseDNSSECBogus, dnssec: controlplane.DNSSECBogus},
		{what: "bogus for CAA only", resolvers: two(caaBogus), servers: two(fine), code: controlplane.CauseDNSSECBogus, dnssec: controlplane.DNSSECBogus, say: []string{"for example.com do not verify"}, allowed: []string{}},

		{what: "disagree", resolvers: two(fine), servers: []view{fine, zone}, code: controlplane.CauseNameserversDisagree, say: []string{"bob.ns.cloudflare.com up to date"}},
		{what: "disagree, resolvers see nothing", resolvers: two(zone), servers: []view{zone, fine}, code: controlplane.CauseNameserversDisagree, say: []string{"ada.ns.cloudflare.com up to date"}},

		{what: "negative cached", resolvers: []view{{records: zone.records, apex: zone.apex, negTTL: 1800}, {records: zone.records, apex: zone.apex, negTTL: 600}}, servers: two(fine),
			code: controlplane.CauseNegativeCached, until: noon.Add(600 * time.Second), say: []string{"2026-03-01T12:10:00Z"}},

		{what: "resolvers away", resolvers: two(away), servers: two(fine), code: controlplane.CauseResolverUnreachable, allowed: []string{}, dnssec: controlplane.DNSSECUnknown},
		{what: "resolvers refuse", resolvers: two(refused), code: controlplane.CauseResolverUnreachable},
	}
}

// lameFor is a resolver that fails at names that begin so.
func lameFor(begin string, v view) view {
	v.failAt = begin
	return v
}
