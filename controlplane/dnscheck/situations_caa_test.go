package dnscheck_test

import (
	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnscheck"
)

// caa returns the correct delegation with CAA records at example.com, in presentation form.
func caa(data ...string) view {
	v := zone.with(fineAt)
	for _, d := range data {
		v = v.with("example.com. 300 IN CAA " + d)
	}
	return v
}

// caaSituations cover CAA records. The delegation is correct unless the situation states otherwise.
func caaSituations() []situation {
	const ok, forbids, failed = controlplane.CauseOK, controlplane.CauseCAAForbids,
		controlplane.CauseCAALookupFailed
	both, first, second, none := []string{"letsencrypt", "zerossl"}, []string{"letsencrypt"},
		[]string{"zerossl"}, []string{}
	onlyFirst := bothCAs[:1]
	noAccount := []dnscheck.CAIdentity{{Name: "letsencrypt",
		Identities: []string{"letsencrypt.org"}}}
	nameless := []dnscheck.CAIdentity{{Name: "internal",
		DirectoryURL: "https://ca.internal.example/directory"}}

	fails, silent, refuses := caa(), caa(), caa(`0 issue "letsencrypt.org"`)
	fails.failOn, fails.ede = dns.TypeCAA, "at delegation example.com."
	silent.silentOn, refuses.failAt = dns.TypeCAA, "com."
	broken := caa()
	broken.extra = []dns.RR{&dns.RFC3597{Hdr: dns.RR_Header{Name: "example.com.",
		Rrtype: dns.TypeCAA, Class: dns.ClassINET, Ttl: 60}, Rdata: "0009616263"}}
	alias := func(more ...string) view {
		return zone.with(append(more, "shop.example.com. 300 IN CNAME shops.example.net.",
			"_acme-challenge.shop.example.com. 300 IN CNAME "+target+".")...)
	}

	return []situation{
		{what: "CAA absent", resolvers: two(caa()), servers: two(caa()), code: ok, allowed: both},
		{what: "CAA absent, the name does not exist",
			domain: "shop.example.com", resolvers: two(
				zone.with("_acme-challenge.shop.example.com. 300 IN CNAME " + target + ".")),
			code: ok, allowed: both},
		{what: "CAA authorizes one", resolvers: two(caa(`0 issue "letsencrypt.org"`)), code: ok,
			allowed: first, warns: forbids},
		{what: "CAA authorizes the other, by a well-known name",
			resolvers: two(caa(`0 issue "comodoca.com"`)), code: ok, allowed: second,
			warns: forbids},
		{what: "CAA authorizes both", resolvers: two(caa(`0 issue "letsencrypt.org"`,
			`0 issue "sectigo.com"`)), code: ok, allowed: both},
		{what: "CAA authorizes another", resolvers: two(caa(`0 issue "digicert.com"`)),
			servers: two(caa(`0 issue "digicert.com"`)), code: forbids, allowed: none,
			contains: []string{"authorizes only digicert.com",
				"They do not authorize zerossl either",
				"Add this record at Cloudflare in the zone example.com:",
				"\n  example.com. CAA 0 issue \"letsencrypt.org\"\n",
				"Name: @, flags: 0, tag: issue, value: letsencrypt.org",
				`To authorize zerossl: example.com. CAA 0 issue "sectigo.com"`}},
		{what: "CAA authorizes no CA", resolvers: two(caa(`0 issue ";"`)), code: forbids,
			allowed: none, contains: []string{"authorizes no CA",
				`example.com. CAA 0 issue "letsencrypt.org"`}},
		{what: "CAA authorizes no CA, by an empty value", resolvers: two(caa(`0 issue ""`)),
			code: forbids, allowed: none, contains: []string{"authorizes no CA"}},
		{what: "CAA authorizes no CA and one",
			resolvers: two(caa(`0 issue ";"`, `0 issue "letsencrypt.org"`)), cas: onlyFirst,
			code: ok, allowed: first},
		{what: "CAA tag in upper case", resolvers: two(caa(`0 ISSUE "digicert.com"`)),
			cas: onlyFirst, code: forbids},
		{what: "CAA only for reports", resolvers: two(caa(`0 iodef "mailto:security@example.com"`)),
			code: ok, allowed: both},
		{what: "CAA has the flag 128 on a known property",
			resolvers: two(caa(`128 issue "letsencrypt.org"`)), cas: onlyFirst, code: ok,
			allowed: first},

		{what: "CAA for wildcards does not count without one",
			resolvers: two(caa(`0 issuewild ";"`)), code: ok, allowed: both},
		{what: "CAA for wildcards wins", wildcard: true,
			resolvers: two(caa(`0 issue "letsencrypt.org"`, `0 issuewild "digicert.com"`)),
			cas:       onlyFirst, code: forbids,
			contains: []string{"for example.com and *.example.com",
				"The issuewild property authorizes only digicert.com",
				`example.com. CAA 0 issuewild "letsencrypt.org"`}},
		{what: "CAA for wildcards allows, and the apex does not", wildcard: true,
			resolvers: two(caa(`0 issue ";"`, `0 issuewild "letsencrypt.org"`)), cas: onlyFirst,
			code: forbids,
			contains: []string{"The issue property authorizes no CA",
				`example.com. CAA 0 issue "letsencrypt.org"`}},
		{what: "CAA forbids apex and wildcard", wildcard: true,
			resolvers: two(caa(`0 issue ";"`, `0 issuewild ";"`)), cas: onlyFirst, code: forbids,
			contains: []string{"these records", `example.com. CAA 0 issue "letsencrypt.org"`,
				`example.com. CAA 0 issuewild "letsencrypt.org"`}},
		{what: "CAA for wildcards by issue", wildcard: true,
			resolvers: two(caa(`0 issue "letsencrypt.org"`)), cas: onlyFirst, code: ok,
			allowed: first},
		{what: "CAA for wildcards alone", wildcard: true,
			resolvers: two(caa(`0 issuewild "letsencrypt.org"`)), cas: onlyFirst, code: ok,
			allowed: first},

		{what: "CAA of the parent", domain: "a.b.example.com",
			resolvers: two(zone.with(`example.com. 60 IN CAA 0 issue "digicert.com"`,
				"_acme-challenge.a.b.example.com. 60 IN CNAME "+target+".")), cas: onlyFirst,
			code: forbids,
			contains: []string{"The CAA records at example.com do not authorize",
				"\n  example.com. CAA 0 issue"}},
		{what: "CAA of the name hides the parent's",
			domain: "shop.example.com", resolvers: two(
				zone.with(`example.com. 60 IN CAA 0 issue "digicert.com"`,
					`shop.example.com. 60 IN CAA 0 issue "letsencrypt.org"`,
					"_acme-challenge.shop.example.com. 60 IN CNAME "+target+".")), cas: onlyFirst,
			code: ok, allowed: first},
		{what: "CAA above the zone",
			resolvers: two(caa().with(`com. 60 IN CAA 0 issue "digicert.com"`)), cas: onlyFirst,
			code: forbids,
			contains: []string{"The CAA records at com do not authorize",
				"\n  example.com. CAA 0 issue \"letsencrypt.org\"",
				"They replace the records at com"}},
		{what: "CAA by a CNAME", domain: "shop.example.com",
			resolvers: two(alias(`shops.example.net. 60 IN CAA 0 issue "digicert.com"`)),
			servers:   two(alias()), cas: onlyFirst, code: forbids,
			contains: []string{"shop.example.com → shops.example.net CAA",
				"Ask the operator of that name",
				`shop.example.com. CAA 0 issue "letsencrypt.org"`}},
		{what: "CAA by a CNAME within the zone",
			domain: "shop.example.com", resolvers: two(
				zone.with("shop.example.com. 60 IN CNAME www.example.com.",
					`www.example.com. 60 IN CAA 0 issue "digicert.com"`,
					"_acme-challenge.shop.example.com. 60 IN CNAME "+target+".")), cas: onlyFirst,
			code: forbids, contains: []string{"\n  www.example.com. CAA 0 issue"}},
		{what: "CAA of the alias's parent does not count",
			domain: "shop.example.com", resolvers: two(
				alias(`example.net. 60 IN CAA 0 issue "digicert.com"`,
					`example.com. 60 IN CAA 0 issue "letsencrypt.org"`)), cas: onlyFirst, code: ok,
			allowed: first},
		{what: "CAA of the name's parent counts, with an alias",
			domain: "shop.example.com", resolvers: two(
				alias(`example.com. 60 IN CAA 0 issue "digicert.com"`)), cas: onlyFirst,
			code: forbids, contains: []string{"The CAA records at example.com"}},

		{what: "CAA with an unknown critical property",
			resolvers: two(caa(`128 tbs "x"`, `0 issue "letsencrypt.org"`)), code: forbids,
			allowed: none, contains: []string{`The record 128 tbs "x" is marked critical`,
				`Remove the record 128 tbs "x" at example.com`}},
		{what: "CAA with the wrong bit for critical",
			resolvers: two(caa(`1 tbs "x"`, `0 issue "letsencrypt.org"`)), cas: onlyFirst,
			code: forbids},
		{what: "CAA with an unknown property",
			resolvers: two(caa(`0 tbs "x"`, `0 issue "letsencrypt.org"`)), cas: onlyFirst, code: ok,
			allowed: first},

		{what: "CAA bound to our account",
			resolvers: two(caa(`0 issue "letsencrypt.org; accounturi=` + account + `"`)),
			cas:       onlyFirst, code: ok, allowed: first},
		{what: "CAA bound to another account",
			resolvers: two(caa(`0 issue "letsencrypt.org; accounturi=https://acme.test/acct/2"`)),
			cas:       onlyFirst, code: forbids,
			contains: []string{"authorizes only the account https://acme.test/acct/2",
				"this service's account " + account, `issue "letsencrypt.org; accounturi=` +
					account + `"`}},
		{what: "CAA bound to an account, none registered",
			resolvers: two(caa(`0 issue "letsencrypt.org; accounturi=https://acme.test/acct/2"`)),
			cas:       noAccount, code: forbids,
			contains: []string{"not registered yet", "every account"}},
		{what: "CAA bound to two accounts in one",
			resolvers: two(caa(`0 issue "letsencrypt.org; accounturi=` + account +
				`; accounturi=https://acme.test/acct/2"`)), cas: onlyFirst, code: forbids,
			contains: []string{"RFC 8657 §3"}},
		{what: "CAA bound to one of two accounts",
			resolvers: two(caa(`0 issue "letsencrypt.org; accounturi=https://acme.test/acct/2"`,
				`0 issue "letsencrypt.org;accounturi=`+account+`"`)), cas: onlyFirst, code: ok,
			allowed: first},
		{what: "CAA for our method",
			resolvers: two(caa(`0 issue "letsencrypt.org; validationmethods=http-01,dns-01"`)),
			cas:       onlyFirst, code: ok, allowed: first},
		{what: "CAA for another method",
			resolvers: two(caa(`0 issue "letsencrypt.org; validationmethods=http-01"`)),
			cas:       onlyFirst, code: forbids,
			contains: []string{`only the validation methods "http-01" (RFC 8657 §4)`,
				`issue "letsencrypt.org; validationmethods=dns-01"`}},
		{what: "CAA with an unknown parameter",
			resolvers: two(caa(`0 issue "letsencrypt.org; policy=ev"`)), cas: onlyFirst, code: ok,
			allowed: first},

		{what: "CAA malformed: final semicolon",
			resolvers: two(caa(`0 issue "letsencrypt.org; validationmethods=dns-01;"`)),
			cas:       onlyFirst, code: forbids, contains: []string{"is malformed", "semicolon"}},
		{what: "CAA malformed: no equals sign",
			resolvers: two(caa(`0 issue "letsencrypt.org; dns-01"`)), cas: onlyFirst, code: forbids,
			contains: []string{"is malformed", "equals sign"}},
		{what: "CAA malformed: final dot", resolvers: two(caa(`0 issue "letsencrypt.org."`)),
			cas: onlyFirst, code: forbids, contains: []string{"the CA's name ends with a dot"}},
		{what: "CAA malformed: a URL", resolvers: two(caa(`0 issue "https://letsencrypt.org"`)),
			cas: onlyFirst, code: forbids,
			contains: []string{"the CA's name is not a domain name"}},
		{what: "CAA not in lower case", resolvers: two(caa(`0 issue "LetsEncrypt.org"`)),
			cas: onlyFirst, code: forbids, contains: []string{"lower case"}},
		{what: "CAA with spaces", resolvers: two(caa(`0 issue "  letsencrypt.org  ;  "`)),
			cas: onlyFirst, code: ok, allowed: first},
		{what: "CAA of a CA without identities", resolvers: two(caa(`0 issue "letsencrypt.org"`)),
			cas: nameless, code: ok, allowed: []string{"internal"}},

		{what: "CAA fails", resolvers: two(fails), servers: two(fails), code: failed, allowed: none,
			contains: []string{"example.com CAA: SERVFAIL", "type CAA (257)",
				"ada.ns.cloudflare.com"}},
		{what: "CAA is not answered", resolvers: two(silent), servers: two(silent), code: failed,
			allowed: none, contains: []string{"timed out"}},
		{what: "CAA malformed", resolvers: two(broken), code: failed, allowed: none,
			contains: []string{"malformed answer"}},
		{what: "CAA fails at one resolver",
			resolvers: []view{fails, caa(`0 issue "letsencrypt.org"`)}, cas: onlyFirst, code: ok,
			allowed: first},
		{what: "CAA fails at one name server", resolvers: two(caa(`0 issue "letsencrypt.org"`)),
			servers: []view{fails, caa(`0 issue "letsencrypt.org"`)}, cas: onlyFirst, code: ok,
			allowed: first},
		{what: "CAA fails above records that count", resolvers: two(refuses), cas: onlyFirst,
			code: ok, allowed: first},
		{what: "CAA fails above the zone", resolvers: two(lameFor("com.", caa())), cas: onlyFirst,
			code: failed, contains: []string{"com CAA: SERVFAIL",
				"com is not in the zone example.com"}},

		{what: "CAA changed, cached by resolvers", resolvers: two(caa(`0 issue "digicert.com"`)),
			servers: two(caa(`0 issue "letsencrypt.org"`)), cas: onlyFirst, code: ok,
			allowed: first},
		{what: "CAA changed at one name server", resolvers: two(caa(`0 issue "letsencrypt.org"`)),
			servers: []view{caa(`0 issue "letsencrypt.org"`), caa(`0 issue "digicert.com"`)},
			cas:     onlyFirst, code: forbids,
			contains: []string{"bob.ns.cloudflare.com returns these records",
				"a CA may query any of them"}},
		{what: "CAA answered over TCP only", resolvers: two(caa()),
			servers: two(view{records: caa(`0 issue "digicert.com"`).records, noUDP: true}),
			cas:     onlyFirst, code: forbids},
		{what: "CAA from a server that does not keep the case", resolvers: two(caa()),
			servers: two(view{records: caa(`0 issue "digicert.com"`).records, shout: true}),
			cas:     onlyFirst, code: forbids},
		{what: "CAA by a wildcard of the zone",
			domain: "shop.example.com", resolvers: two(
				zone.with("_acme-challenge.shop.example.com. 60 IN CNAME "+target+".",
					`*.example.com. 60 IN CAA 0 issue "digicert.com"`)), cas: onlyFirst, code: ok},
		{what: "CAA forbids, and the record is missing",
			resolvers: two(zone.with(`example.com. 60 IN CAA 0 issue "digicert.com"`)),
			code:      controlplane.CauseCNAMEMissing, allowed: none},
	}
}
