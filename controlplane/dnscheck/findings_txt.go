package dnscheck

import (
	"context"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// The functions in this file write the texts of the diagnoses in which the answer to the question
// of a CA is not the one that CNAME queries, other networks, or other servers show.

// severalCNAMEs is the diagnosis for a name with several CNAMEs. Their order in an answer varies,
// so it does not matter which one is the target.
func (l *lookup) severalCNAMEs(f findings, c chain) controlplane.Diagnosis {
	name := display(c.at())
	fix := l.instruct("Remove every CNAME at "+name+", then create only this record", f.zone)
	if c.at() != l.challenge {
		fix = l.instruct("Remove all but one CNAME at "+name+", or point "+display(l.challenge)+
			" directly to its target: replace its CNAME with this record", f.zone)
	}
	return l.report(f, controlplane.CauseCNAMEMultiple, name+" has several CNAME records, to "+
		joined(c.several)+
		". A name can have only one (RFC 2181 §10.1), and a CA follows any of them.", fix)
}

// inconsistent is the diagnosis for name servers, or resolvers, that contradict themselves.
func (l *lookup) inconsistent(f findings, chains []chain, c chain) controlplane.Diagnosis {
	who := labels(chains, func(o chain) bool { return o.end == c.end && o.between == c.between })
	d := l.report(f, controlplane.CauseNameserverInconsistent, "The answers of "+who+
		" for "+display(l.challenge)+" differ "+c.between+". A CA may get any of them.",
		"Wait until the DNS host has updated every server behind "+who+
			". If this takes longer than an hour, report it to the DNS host, or "+l.create(f.zone))
	observe(&d, seen(only(chains, func(o chain) bool { return o.end == c.end })))
	return d
}

// hiddenFromTXT is the diagnosis if the CNAME is correct, but answers to TXT queries contain other
// records or none.
func (l *lookup) hiddenFromTXT(
	ctx context.Context, f findings, chains []chain, c chain,
) controlplane.Diagnosis {
	who := labels(chains, func(o chain) bool { return o.end == c.end })
	name := display(c.at())
	what := "a TXT record"
	switch {
	case c.end == endConflict && len(c.path) == 1 && l.byWildcard(ctx, c.source, dns.TypeTXT):
		c.end, what = endOmitted, "a wildcard record"
	case c.end == endOmitted && c.last.nxdomain():
		what = "NXDOMAIN"
	case c.end == endOmitted:
		what = "no records"
	}
	summary := "At " + who + ", TXT queries for " + name + " return " + what +
		", although CNAME queries return the CNAME. A CA sends TXT queries, so it does not find the target."
	if c.end == endOmitted {
		return l.report(f, controlplane.CauseTXTOmitsCNAME, summary, l.returnCNAME(c, name))
	}
	d := l.report(f, controlplane.CauseTXTConflict, summary, "Remove the TXT record at "+name+
		", which another ACME client or the DNS host created, and keep the CNAME: they cannot coexist (RFC 1034 §3.6.2).")
	observe(&d, data(c.txt))
	return d
}

// returnCNAME returns the fix for a server that returns the CNAME only to CNAME queries.
func (l *lookup) returnCNAME(c chain, name string) string {
	command := "dig TXT " + name
	if c.source.authoritative {
		command += " @" + c.source.label
	}
	return "Update or replace the name servers: they must return the CNAME to queries of every type (RFC 1034 §4.3.2). " +
		"To check, run: " + command
}

// failsForTXTQueries is the diagnosis for a name that does not resolve for TXT queries, but does
// for CNAME queries.
func (l *lookup) failsForTXTQueries(f findings, chains []chain) controlplane.Diagnosis {
	failed := func(o chain) bool { return o.end == endTXTFailed }
	failing := only(chains, failed)
	c := failing[0]
	name := display(c.at())
	at, list := "the name servers of "+display(registrable(c.at())), ""
	if c.at() == l.challenge {
		at, list = "the name servers of "+display(f.zone.apex), serverList(f.zone)
	}
	if c.source.authoritative {
		at = labels(failing, failed)
	}
	d := l.report(f, controlplane.CauseTXTLookupFailed, "At "+at+", TXT queries for "+name+
		" fail ("+c.last.failure()+"), although CNAME queries succeed. A CA sends TXT queries.",
		"Check that every name server"+list+" answers TXT queries for "+name+
			" with the CNAME. Update name servers, firewalls, and load balancers that fail on this record type.")
	observe(&d, seen(failing))
	return d
}

// notServed is the diagnosis if the CNAME is correct, but its target does not resolve. That is not
// the customer's fault.
func (l *lookup) notServed(f findings) controlplane.Diagnosis {
	return l.report(f, controlplane.CauseTargetNotServed, display(l.challenge)+
		" points to its target, but the validation zone does not answer for it.",
		controlplane.FixOf(controlplane.CauseTargetNotServed))
}

// oneNetwork returns the cause if the zone's name servers answer only over UDP or only over TCP.
func (l *lookup) oneNetwork(f findings) (d controlplane.Diagnosis, ok bool) {
	if slices.ContainsFunc(f.servers,
		func(c chain) bool { return c.end != endUnreachable && c.noUDP == "" }) {
		return d, false
	}
	if d, ok = l.withoutNetwork(f, controlplane.CauseNameserverNoUDP); ok {
		return d, true
	}
	return l.withoutNetwork(f, controlplane.CauseNameserverNoTCP)
}

// withoutNetwork returns the finding about the name servers that do not answer over the network of
// the code. ok is false if all do.
func (l *lookup) withoutNetwork(f findings, code string) (d controlplane.Diagnosis, ok bool) {
	network, other, why := "TCP", "UDP", " Resolvers repeat a query over TCP if the answer over UDP is truncated."
	without := func(c chain) bool { return c.noTCP != "" }
	if code == controlplane.CauseNameserverNoUDP {
		network, other, why = "UDP", "TCP", " Resolvers query over UDP first."
		without = func(c chain) bool { return c.noUDP != "" }
	}
	failing := only(f.servers, without)
	if len(failing) == 0 {
		return d, false
	}
	who := labels(failing, without)
	d = l.report(f, code, "Queries over "+network+" to "+who+" fail."+why,
		"Allow "+network+" port 53 in the firewalls of "+who+
			", and check that the server answers there as it does over "+other+".")
	d.Expected = "the same answer over UDP and TCP"
	observe(&d, seen(failing))
	return d, true
}

// warnings returns the findings about some of the zone's name servers, while the others answer the
// question of a CA.
func (l *lookup) warnings(f findings) []controlplane.Diagnosis {
	var out []controlplane.Diagnosis
	if slices.ContainsFunc(f.servers, func(c chain) bool { return c.end == endTXTFailed }) {
		out = append(out, l.failsForTXTQueries(f, f.servers))
	}
	for _, code := range []string{controlplane.CauseNameserverNoUDP,
		controlplane.CauseNameserverNoTCP} {
		if d, ok := l.withoutNetwork(f, code); ok {
			out = append(out, d)
		}
	}
	lame := func(c chain) bool {
		return c.end == endUnreachable && c.last.msg != nil && c.noTCP == ""
	}
	if failing := only(f.servers, lame); len(failing) > 0 {
		who := labels(failing, lame)
		d := l.report(f, controlplane.CauseNameserverLame, "At "+who+", queries for "+
			display(f.zone.apex)+" fail ("+failing[0].last.failure()+").",
			"Remove "+who+" from the zone's name servers at the registrar, or set up the zone there.")
		observe(&d, seen(failing))
		out = append(out, d)
	}
	return out
}

// labels returns the names of the sources whose chains meet the condition.
func labels(chains []chain, condition func(chain) bool) string {
	var out []string
	for _, c := range only(chains, condition) {
		out = append(out, c.source.label)
	}
	return strings.Join(out, ", ")
}
