package dnscheck_test

import (
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// zoneSituations cover zones, name servers, resolvers, and DNSSEC.
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
		{what: "signed", resolvers: two(signed), code: controlplane.CauseOK,
			dnssec: controlplane.DNSSECSecure},
		{what: "not signed", resolvers: two(validating), code: controlplane.CauseOK,
			dnssec: controlplane.DNSSECInsecure},
		{what: "signed state unknown", resolvers: two(fine), code: controlplane.CauseOK,
			dnssec: controlplane.DNSSECUnknown},

		{what: "no zone", resolvers: two(view{apex: "com.", negTTL: 900}), servers: two(zone),
			code: controlplane.CauseZoneNotFound, contains: []string{"registered"}},
		{what: "no zone, no SOA", resolvers: two(view{}), code: controlplane.CauseZoneNotFound},
		{what: "no zone under a private suffix",
			domain: "me.github.io", resolvers: two(
				view{apex: "github.io.", records: []string{"github.io. 60 IN NS ns.example.net."}}),
			code: controlplane.CauseCNAMEMissing},

		{what: "lame", resolvers: two(servfail), code: controlplane.CauseNameserverLame,
			contains: []string{"at delegation example.com"}},
		{what: "lame, servers answer REFUSED", resolvers: two(lameFor("_acme-challenge.", zone)),
			servers: two(refused), code: controlplane.CauseNameserverLame,
			contains: []string{"REFUSED", "ada.ns.cloudflare.com"}},
		{what: "lame, servers silent", resolvers: two(lameFor("_acme-challenge.", zone)),
			servers: two(silent), code: controlplane.CauseNameserverLame,
			contains: []string{"timed out"}},
		{what: "lame, delegated as a separate zone",
			resolvers: two(lameFor("_acme-challenge.", zone)), servers: two(referring),
			code: controlplane.CauseNameserverLame,
			contains: []string{
				"NS records delegate _acme-challenge.example.com as a separate zone to ns.acme.example.net", "Remove the NS records"}},
		{what: "lame within the chain", resolvers: two(lameFor("h2.", zone.with(hops(3)...))),
			code:     controlplane.CauseNameserverLame,
			contains: []string{"name servers of example.net do not answer for h2.example.net"}},
		{what: "bogus", resolvers: two(view{records: fine.records, bogus: true}),
			servers: two(fine), code: controlplane.CauseDNSSECBogus,
			dnssec: controlplane.DNSSECBogus, contains: []string{"DS record"}},
		{what: "bogus, cached by one resolver", resolvers: []view{halfBogus, fine},
			servers: two(fine), code: controlplane.CauseDNSSECBogus,
			dnssec: controlplane.DNSSECBogus},
		{what: "bogus for CAA only", resolvers: two(caaBogus), servers: two(fine),
			code: controlplane.CauseDNSSECBogus, dnssec: controlplane.DNSSECBogus,
			contains: []string{"for example.com are invalid"}, allowed: []string{}},

		{what: "disagree", resolvers: two(fine), servers: []view{fine, zone},
			code:     controlplane.CauseNameserversDisagree,
			contains: []string{"updated bob.ns.cloudflare.com"}},
		{what: "disagree, missing at the resolvers", resolvers: two(zone),
			servers: []view{zone, fine}, code: controlplane.CauseNameserversDisagree,
			contains: []string{"updated ada.ns.cloudflare.com"}},

		{what: "negative cached", resolvers: []view{{records: zone.records, apex: zone.apex,
			negTTL: 1800}, {records: zone.records, apex: zone.apex, negTTL: 600}},
			servers: two(fine),
			code:    controlplane.CauseNegativeCached, until: noon.Add(600 * time.Second),
			contains: []string{"2026-03-01T12:10:00Z"}},

		{what: "resolvers unreachable", resolvers: two(away), servers: two(fine),
			code: controlplane.CauseResolverUnreachable, allowed: []string{},
			dnssec: controlplane.DNSSECUnknown},
		{what: "resolvers answer REFUSED", resolvers: two(refused),
			code: controlplane.CauseResolverUnreachable},
	}
}

// lameFor returns a resolver that fails for names with the prefix.
func lameFor(prefix string, v view) view {
	v.failAt = prefix
	return v
}
