package dnscheck_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const challenge = "_acme-challenge.example.com."

// The codes and warnings in the tables below.
const (
	ok           = controlplane.CauseOK
	missing      = controlplane.CauseCNAMEMissing
	mismatch     = controlplane.CauseCNAMEMismatch
	multiple     = controlplane.CauseCNAMEMultiple
	conflict     = controlplane.CauseTXTConflict
	omits        = controlplane.CauseTXTOmitsCNAME
	fails        = controlplane.CauseTXTLookupFailed
	notServed    = controlplane.CauseTargetNotServed
	inconsistent = controlplane.CauseNameserverInconsistent
	lame         = controlplane.CauseNameserverLame
	noUDP        = controlplane.CauseNameserverNoUDP
	noTCP        = controlplane.CauseNameserverNoTCP
	unreachable  = controlplane.CauseResolverUnreachable
)

// divergence is an answer to the question of a CA, TXT at the challenge name, that is not the CNAME
// which the server returns to CNAME queries.
type divergence struct {
	what     string
	rule     rule
	contains string // part of the text where it is the cause

	// The code if the name servers answer so, over both networks or over one of them: "ok" with a
	// warning is "ok+" and its code. One of two servers, then both.
	one, all, oneUDP, allUDP, oneTCP, allTCP string
	// the code if one or both of the resolvers answer so, and the name servers are not queried
	oneResolver, resolvers string
}

func divergences() []divergence {
	txt := rule{answer: []string{challenge + ` 60 IN TXT "old"`}}
	both := rule{answer: []string{challenge + ` 60 IN TXT "old"`, fineAt}}
	elsewhere := rule{answer: []string{challenge + " 60 IN CNAME other.example.net."}}
	twice := rule{answer: []string{challenge + " 60 IN CNAME other.example.net.", fineAt}}
	return []divergence{
		{"TXT records", txt, `TXT "old"`, conflict, conflict, inconsistent, inconsistent,
			inconsistent, inconsistent, ok, conflict},
		{"a TXT record and the CNAME", both, `TXT "old"`, conflict, conflict, inconsistent,
			inconsistent, inconsistent, inconsistent, ok, conflict},
		{"another CNAME", elsewhere, "other.example.net", inconsistent, inconsistent, inconsistent,
			inconsistent, inconsistent, inconsistent, ok, inconsistent},
		{"two CNAMEs", twice, "to " + target + ", other.example.net", multiple, multiple, multiple,
			multiple, multiple, multiple, ok, multiple},
		{"NODATA", rule{nothing: true}, "no records", omits, omits, inconsistent, inconsistent,
			inconsistent, inconsistent, ok, omits},
		{"NXDOMAIN", rule{rcode: dns.RcodeNameError}, "NXDOMAIN", omits, omits, inconsistent,
			inconsistent, inconsistent, inconsistent, ok, omits},
		{"SERVFAIL", rule{rcode: dns.RcodeServerFailure}, "SERVFAIL", "ok+" + fails, fails,
			"ok+" + fails, fails, "ok+" + noTCP, "ok+" + noTCP, ok, fails},
		{"NOTIMP", rule{rcode: dns.RcodeNotImplemented}, "NOTIMP", "ok+" + fails, fails,
			"ok+" + fails, fails, "ok+" + noTCP, "ok+" + noTCP, ok, fails},
		{"an answer that is not authoritative", rule{lame: true}, "not authoritative",
			"ok+" + fails, fails, "ok+" + fails, fails, "ok+" + noTCP, "ok+" + noTCP, ok, ok},
		{"REFUSED", rule{rcode: dns.RcodeRefused}, "REFUSED", "ok+" + fails, fails,
			"ok+" + fails, fails, "ok+" + noTCP, "ok+" + noTCP, ok, unreachable},
		{"silence", rule{silent: true}, "timed out", "ok+" + fails, fails, "ok+" + fails, fails,
			"ok+" + noTCP, "ok+" + noTCP, ok, fails},
		{"truncation", rule{truncated: true}, "truncated answer", "ok+" + noTCP, "ok+" + noTCP, ok,
			ok, "ok+" + noTCP, "ok+" + noTCP, ok, fails},
		{"FORMERR with EDNS", rule{noEDNS: true}, "", ok, ok, ok, ok, ok, ok, ok,
			unreachable},
	}
}

// txtSituations cover the question of a CA: each divergence at one or both name servers, over each
// network, and at one or both resolvers. The CNAME is right.
func txtSituations() []situation {
	fine := zone.with(fineAt)
	var out []situation
	add := func(d divergence, where, want string, resolvers, servers []view) {
		code, warns, _ := strings.Cut(want, "+")
		s := situation{what: d.what + " for TXT, " + where, resolvers: resolvers, servers: servers,
			code: code, warns: warns}
		switch {
		case code == inconsistent && d.rule.nothing:
			s.contains = []string{"has no CNAME"}
		case code != ok && code != unreachable:
			s.contains = []string{d.contains}
		}
		out = append(out, s)
	}
	for _, d := range divergences() {
		for network, want := range map[string][2]string{"": {d.one, d.all},
			"udp": {d.oneUDP, d.allUDP}, "tcp": {d.oneTCP, d.allTCP}} {
			x := d.rule
			x.qtype, x.at, x.network = dns.TypeTXT, challenge, network
			v, over := fine.except(x), " over "+cmp.Or(network, "UDP and TCP")
			add(d, "one name server"+over, want[0], two(fine), []view{fine, v})
			add(d, "both name servers"+over, want[1], two(fine), two(v))
		}
		x := d.rule
		x.qtype, x.at = dns.TypeTXT, challenge
		if x.noEDNS {
			x.qtype = 0 // of a resolver, whose queries are not repeated
		}
		v := fine.except(x)
		add(d, "one resolver", d.oneResolver, []view{v, fine}, nil)
		add(d, "both resolvers", d.resolvers, two(v), nil)
		add(d, "one resolver, other unreachable", d.resolvers, []view{v, {status: 503}}, nil)
	}
	slices.SortFunc(out, func(a, b situation) int { return strings.Compare(a.what, b.what) })
	return slices.Concat(out, cnameSituations(), multipleSituations(), targetSituations(),
		networkSituations())
}

// cnameSituations cover CNAME queries, which CAs do not send. The question of a CA leads to the
// target, so no answer to them matters.
func cnameSituations() []situation {
	fine := zone.with(fineAt)
	var out []situation
	for what, x := range map[string]rule{
		"NODATA": {nothing: true}, "NXDOMAIN": {rcode: dns.RcodeNameError},
		"SERVFAIL": {rcode: dns.RcodeServerFailure}, "REFUSED": {rcode: dns.RcodeRefused},
		"silence":       {silent: true},
		"another CNAME": {answer: []string{challenge + " 60 IN CNAME other.example.net."}},
		"two CNAMEs": {answer: []string{challenge + " 60 IN CNAME other.example.net.",
			fineAt}},
	} {
		x.qtype = dns.TypeCNAME
		v := fine.except(x)
		for where, s := range map[string]situation{
			"resolvers":                           {resolvers: two(v), servers: two(fine)},
			"name servers":                        {resolvers: two(fine), servers: two(v)},
			"resolvers and name servers":          {resolvers: two(v), servers: two(v)},
			"resolvers, name servers not queried": {resolvers: two(v)},
		} {
			s.what, s.code = what+" for CNAME, "+where, ok
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b situation) int { return strings.Compare(a.what, b.what) })
	return out
}

// multipleSituations cover several CNAMEs at one name, in both orders.
func multipleSituations() []situation {
	const to = " 300 IN CNAME "
	var out []situation
	add := func(what, code string, records ...string) {
		for _, order := range []string{"", ", in the other order"} {
			v := zone.with(records...)
			fine := zone.with(fineAt)
			for where, s := range map[string]situation{
				"resolvers": {resolvers: two(v)}, "name servers": {resolvers: two(v),
					servers: two(v)},
				"name servers, one seen by resolvers": {resolvers: two(fine), servers: two(v)},
				"one name server":                     {resolvers: two(fine), servers: []view{v, fine}},
			} {
				s.what, s.code = what+", "+where+order, code
				out = append(out, s)
			}
			slices.Reverse(records)
		}
	}
	add("two CNAMEs, one to the target", multiple, challenge+to+"other.example.net.", fineAt)
	add("two CNAMEs to other names", multiple, challenge+to+"other.example.net.",
		challenge+to+"another.example.net.")
	add("the same CNAME twice", ok, fineAt, challenge+to+strings.ToUpper(target)+".")
	for i, second := range []string{"other.example.net.", "zzz.acme.dcvaas-verify.com."} {
		at := "h1.example.net." + to
		for _, order := range []string{"", ", in the other order"} {
			records := []string{challenge + to + "h1.example.net.", at + target + ".", at + second}
			if order != "" {
				records[1], records[2] = records[2], records[1]
			}
			v := zone.with(records...)
			out = append(out, situation{what: fmt.Sprint("two CNAMEs at the second name ", i+1,
				order),
				resolvers: two(v), servers: two(zone.with(records[0])), code: multiple,
				contains: []string{"h1.example.net has several CNAME records",
					"Remove all but one CNAME at h1.example.net"}})
		}
	}
	failing := zone.with(challenge+to+"other.example.net.", fineAt).except(
		rule{qtype: dns.TypeTXT, at: challenge, rcode: dns.RcodeServerFailure})
	out = append(out, situation{what: "two CNAMEs, on which resolvers fail",
		resolvers: two(failing), code: multiple})
	slices.SortFunc(out, func(a, b situation) int { return strings.Compare(a.what, b.what) })
	return out
}

// targetSituations cover the target itself, in the validation zone.
func targetSituations() []situation {
	var out []situation
	for via, records := range map[string][]string{"directly": {fineAt}, "by a chain": hops(3)} {
		fine, server := zone.with(records...), zone.with(records[0])
		with := func(rcode int) view {
			v := fine
			v.served = rcode
			return v
		}
		absent, failing, live := with(dns.RcodeNameError), with(dns.RcodeServerFailure), fine
		live.live = true
		silent := fine.except(rule{qtype: dns.TypeTXT, silent: true})
		lost := live.except(rule{qtype: dns.TypeTXT, at: target, rcode: dns.RcodeServerFailure},
			rule{qtype: dns.TypeTXT, at: challenge, rcode: dns.RcodeServerFailure,
				answer: records})
		for _, s := range []situation{
			{what: "no records", resolvers: two(fine), code: ok},
			{what: "a TXT record", resolvers: two(live), code: ok},
			{what: "NXDOMAIN", resolvers: two(absent), code: notServed,
				contains: []string{target + ", which does not exist (NXDOMAIN)"}},
			{what: "NXDOMAIN at one resolver", resolvers: []view{absent, fine}, code: ok},
			{what: "NXDOMAIN at one resolver, SERVFAIL at the other",
				resolvers: []view{absent, failing}, code: notServed},
			{what: "SERVFAIL", resolvers: two(failing), code: notServed,
				contains: []string{target + ", which does not resolve (SERVFAIL)"}},
			{what: "SERVFAIL at one resolver", resolvers: []view{failing, live}, code: ok},
			{what: "SERVFAIL with the chain", resolvers: two(lost), code: notServed},
			{what: "silence", resolvers: two(silent), code: notServed,
				contains: []string{"timed out"}},
		} {
			s.what = "target " + via + ": " + s.what
			out = append(out, s)
			s.what, s.servers = s.what+", name servers queried", two(server)
			out = append(out, s)
		}
	}
	missingCAA := zone.with(fineAt, `example.com. 300 IN CAA 0 issue "digicert.com"`)
	missingCAA.served = dns.RcodeNameError
	slices.SortFunc(out, func(a, b situation) int { return strings.Compare(a.what, b.what) })
	return append(out, situation{what: "target: NXDOMAIN, and CAA forbids",
		resolvers: two(missingCAA), code: controlplane.CauseCAAForbids, allowed: []string{}})
}

// networkSituations cover name servers that answer over one network only, and combinations.
func networkSituations() []situation {
	fine := zone.with(fineAt)
	deaf := func(network string) view { return fine.except(rule{network: network, silent: true}) }
	refuses := func(network string) view {
		return fine.except(rule{network: network, rcode: dns.RcodeRefused})
	}
	broken := lameFor("_acme-challenge.", zone)
	cut := fine.except(rule{network: "udp", truncated: true}, rule{network: "tcp", silent: true})
	old := zone.with(challenge + ` 90 IN TXT "old"`)
	wildcard := fine.except(rule{qtype: dns.TypeTXT, at: "_",
		answer: []string{challenge + ` 60 IN TXT "all"`,
			`_dcvaas-wildcard-probe.example.com. 60 IN TXT "all"`}})
	loop := zone.with(challenge+" 60 IN CNAME a.example.com.",
		"a.example.com. 60 IN CNAME "+challenge).except(
		rule{qtype: dns.TypeTXT, at: challenge, rcode: dns.RcodeServerFailure})
	long := zone.with(hops(12)...).except(
		rule{qtype: dns.TypeTXT, at: challenge, rcode: dns.RcodeServerFailure})
	thirdFails := zone.with(hops(2)...).except(
		rule{qtype: dns.TypeTXT, at: challenge, rcode: dns.RcodeServerFailure},
		rule{qtype: dns.TypeTXT, at: "h1.", rcode: dns.RcodeServerFailure})
	txtFails := rule{qtype: dns.TypeTXT, at: challenge, rcode: dns.RcodeServerFailure}
	slow := zone.with(fineAt).except(rule{at: challenge, silent: true})
	return []situation{
		{what: "one name server without TCP", resolvers: two(fine), servers: []view{deaf("tcp"),
			fine}, code: ok, warns: noTCP,
			contains: []string{"Warning: Queries over TCP to ada.ns.cloudflare.com fail"}},
		{what: "name servers without TCP", resolvers: two(fine), servers: two(deaf("tcp")),
			code: ok, warns: noTCP},
		{what: "name servers that refuse over TCP", resolvers: two(fine),
			servers: two(refuses("tcp")), code: ok, warns: noTCP},
		{what: "one name server without UDP", resolvers: two(fine), servers: []view{deaf("udp"),
			fine}, code: ok, warns: noUDP},
		{what: "name servers without UDP", resolvers: two(fine), servers: two(deaf("udp")),
			code: ok, warns: noUDP},
		{what: "name servers without UDP, resolvers fail", resolvers: two(broken),
			servers: two(deaf("udp")), code: noUDP,
			contains: []string{"Allow UDP port 53", "timed out"}},
		{what: "name servers that refuse over UDP, resolvers fail", resolvers: two(broken),
			servers: two(refuses("udp")), code: noUDP, contains: []string{"REFUSED"}},
		{what: "truncated over UDP, without TCP", resolvers: two(fine), servers: two(cut), code: ok,
			warns: noTCP},
		{what: "truncated over UDP, without TCP, resolvers fail", resolvers: two(broken),
			servers: two(cut), code: noTCP,
			contains: []string{"Allow TCP port 53", "over TCP: timed out"}},
		{what: "one truncated over UDP, without TCP", resolvers: two(fine),
			servers: []view{cut, fine}, code: ok, warns: noTCP},

		{what: "TXT fails at the name servers and the resolvers",
			resolvers: two(fine.except(txtFails)), servers: two(fine.except(txtFails)),
			code: fails},
		{what: "TXT fails at the resolvers only", resolvers: two(fine.except(txtFails)),
			servers: two(fine), code: fails},
		{what: "TXT fails at one name server, missing at the other", resolvers: two(zone),
			servers: []view{fine.except(txtFails), zone}, code: missing},
		{what: "TXT fails at one name server, the other lame", resolvers: two(fine),
			servers: []view{fine.except(txtFails), {rcode: dns.RcodeRefused}}, code: fails},
		{what: "TXT fails, and the CNAME is another", resolvers: two(zone), servers: two(
			zone.with(challenge + " 60 IN CNAME other.example.net.").except(txtFails)),
			code: mismatch},
		{what: "TXT fails, and the CNAME is missing", resolvers: two(zone.except(txtFails)),
			code: missing},
		{what: "TXT fails at the second name", resolvers: two(thirdFails), code: fails,
			contains: []string{
				"At the name servers of example.net, TXT queries for h1.example.net fail (SERVFAIL)"}},
		{what: "TXT answered by a wildcard", resolvers: two(fine), servers: two(wildcard),
			code: omits, contains: []string{"wildcard"}},
		{what: "loop, on which resolvers fail", resolvers: two(loop),
			code: controlplane.CauseCNAMEChainLoop},
		{what: "too long, so that resolvers fail", resolvers: two(long),
			code: controlplane.CauseCNAMEChainTooLong},
		{what: "TXT record removed, cached by resolvers", resolvers: two(old), servers: two(fine),
			code: conflict, contains: []string{"is correct now"}, until: noon.Add(90e9)},
		{what: "resolvers wait for silent name servers", resolvers: two(slow), servers: two(
			view{silent: true}), code: lame, contains: []string{"timed out"}},
		{what: "resolvers silent, name servers right", resolvers: two(slow), servers: two(fine),
			code: unreachable},

		{what: "CAA truncated at the resolvers", resolvers: two(caa(`0 issue ";"`).except(
			rule{qtype: dns.TypeCAA, truncated: true})), code: controlplane.CauseCAALookupFailed,
			allowed: []string{}, contains: []string{"truncated answer"}},
		{what: "CAA truncated at one resolver", resolvers: []view{fine.except(
			rule{qtype: dns.TypeCAA, truncated: true}), fine}, code: ok},
		{what: "CAA truncated at one name server", resolvers: two(fine), servers: []view{fine,
			fine.except(rule{qtype: dns.TypeCAA, truncated: true})}, code: ok},
	}
}
