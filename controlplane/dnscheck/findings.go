package dnscheck

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// The functions in this file write the texts of one diagnosis each.

func (l *lookup) report(f findings, code, summary, fix string) controlplane.Diagnosis {
	d := controlplane.Diagnosis{
		Code: code, Summary: summary, Fix: fix,
		Expected: display(l.challenge) + " → " + display(l.target),
	}
	observe(&d, seen(slices.Concat(f.resolvers, f.servers)))
	if f.zone.known {
		d.Zone = display(f.zone.apex)
		if h, ok := hostOf(f.zone.servers); ok {
			d.DNSHost = h.name
		}
	}
	return d
}

func (l *lookup) healthy(f findings) controlplane.Diagnosis {
	summary := display(l.challenge) + " points to its target."
	for _, w := range l.warnings(f) {
		summary += " Warning: " + w.Summary
	}
	return l.report(f, controlplane.CauseOK, summary, "")
}

func (l *lookup) unreachable(f findings) controlplane.Diagnosis {
	return l.report(f, controlplane.CauseResolverUnreachable,
		"No resolver is reachable, so the state of "+display(l.challenge)+" is unknown.",
		controlplane.FixOf(controlplane.CauseResolverUnreachable))
}

func (l *lookup) noZone(f findings) controlplane.Diagnosis {
	name := display(registrable(l.domain))
	return l.report(f, controlplane.CauseZoneNotFound,
		name+" has no DNS zone: it is not delegated to any name server.",
		"Check the spelling of the name, that "+name+
			" is registered and has not expired, and that its name servers are configured at the registrar. Then "+l.create(f.zone))
}

func (l *lookup) absent(f findings, more string) controlplane.Diagnosis {
	fix, longest := upper(l.create(f.zone)), time.Duration(0)
	for _, c := range f.resolvers {
		if c.end == endNoCNAME {
			longest = max(longest, c.last.negativeTTL())
		}
	}
	if longest > 30*time.Second {
		fix += "\nResolvers may cache its absence until " +
			l.now().UTC().Add(longest).Format(time.RFC3339) + "."
	}
	return l.report(f, controlplane.CauseCNAMEMissing, display(l.challenge)+" has no CNAME record."+
		more, fix)
}

func (l *lookup) mismatch(f findings, c chain) controlplane.Diagnosis {
	end := c.path[len(c.path)-1]
	summary := display(l.challenge) + " points to " + display(end) + " instead of its target."
	_, ours, _ := strings.Cut(l.target, ".")
	switch {
	case strings.HasPrefix(end, l.target):
		summary += " The DNS host appended the zone's name to the value: the value needs a trailing dot."
	case dns.IsSubDomain(ours, end):
		summary += " That is the target of another domain or of another organization."
	case l.target == end+ours:
		summary += " The value is truncated: it must end with the zone " + display(ours) + "."
	}
	return l.report(f, controlplane.CauseCNAMEMismatch, summary,
		l.instruct("Replace the CNAME at "+display(l.challenge)+" with this record", f.zone))
}

func (l *lookup) chainCause(f findings, c chain, code, summary string) controlplane.Diagnosis {
	d := l.report(f, code, fmt.Sprintf(summary, display(l.challenge)),
		l.instruct("Point "+display(l.challenge)+
			" directly to its target: replace its CNAME with this record", f.zone))
	observe(&d, seen([]chain{c}))
	return d
}

func (l *lookup) doubled(f findings, c chain) controlplane.Diagnosis {
	wrong := display(c.path[0])
	d := l.report(f, controlplane.CauseCNAMEDoubledLabel,
		"The record is at "+wrong+
			": the DNS host appended the zone's name to a name that already contained it.",
		"Remove the record at "+wrong+", and "+l.create(f.zone))
	observe(&d, []string{c.String()})
	return d
}

func (l *lookup) conflict(f findings, txt []dns.RR) controlplane.Diagnosis {
	d := l.report(f, controlplane.CauseTXTConflict,
		display(l.challenge)+
			" has a TXT record, which cannot coexist with a CNAME (RFC 1034 §3.6.2).",
		"Remove the TXT record at "+display(l.challenge)+
			", which another ACME client or the DNS host created. Then "+l.create(f.zone))
	observe(&d, data(txt))
	return d
}

func (l *lookup) proxied(f findings, addresses []dns.RR) controlplane.Diagnosis {
	d := l.report(f, controlplane.CauseCNAMEProxied,
		"The DNS host returns addresses for "+display(l.challenge)+
			": a proxy hides the CNAME, or address records exist in its place.",
		"Disable proxying or flattening for this record (at Cloudflare: \"DNS only\"), or remove the address records. If the CNAME is missing, "+l.create(f.zone))
	observe(&d, data(addresses))
	return d
}

// absentFromSubZone is the diagnosis for a challenge name that is a separate zone. A CNAME cannot
// coexist with the zone's SOA record (RFC 1034 §3.6.2).
func (l *lookup) absentFromSubZone(f findings, servers []string) controlplane.Diagnosis {
	return l.report(f, controlplane.CauseCNAMEMissing,
		display(l.challenge)+
			" has no CNAME record: NS records delegate the name as a separate zone to "+
			joined(servers)+".",
		"Remove the NS records at "+display(l.challenge)+
			", because a CNAME cannot coexist with them. Then "+l.create(f.zone))
}

// lame is the diagnosis for a name that does not resolve because of its name servers. sub are the
// servers to which the challenge name itself is delegated, if any.
func (l *lookup) lame(f findings, name string, sub []string) controlplane.Diagnosis {
	if name == l.challenge && len(sub) > 0 {
		return l.report(f, controlplane.CauseNameserverLame,
			"NS records delegate "+display(name)+" as a separate zone to "+joined(sub)+
				", but these servers do not answer for it.",
			"Remove the NS records at "+display(name)+
				": the name needs a CNAME, not a separate zone. Then "+l.create(f.zone))
	}
	owner := display(registrable(name)) // the best guess for a zone that does not answer
	if name == l.challenge {
		owner = display(f.zone.apex)
	}
	fix := "Check that the name servers configured at the registrar of " + owner +
		" are those of the DNS host that serves the zone, and that the zone is active there."
	if len(f.zone.servers) > 0 && name == l.challenge {
		fix += " The name servers are currently " + joined(f.zone.servers) + "."
	}
	return l.report(f, controlplane.CauseNameserverLame, "The name servers of "+owner+
		" do not answer for "+display(name)+".", fix)
}

func (l *lookup) bogus(f findings, name string) controlplane.Diagnosis {
	return l.report(f, controlplane.CauseDNSSECBogus, "The DNSSEC signatures for "+display(name)+
		" are invalid, so resolvers and CAs reject its answers.",
		controlplane.FixOf(controlplane.CauseDNSSECBogus))
}

func (l *lookup) disagree(f findings) controlplane.Diagnosis {
	var with, without []string
	for _, c := range f.servers {
		switch {
		case c.end == endTarget:
			with = append(with, c.source.label)
		case c.wrong():
			without = append(without, c.source.label)
		}
	}
	d := l.report(f, controlplane.CauseNameserversDisagree,
		"Some name servers of "+display(f.zone.apex)+
			" have the record and some do not. A CA may query any of them.",
		"Wait until the DNS host has updated "+joined(without)+
			". If this takes longer than an hour, compare the zone's SOA serial there with that at "+
			joined(with)+
			", and remove name servers at the registrar that no longer serve the zone.")
	observe(&d, seen(f.servers))
	return d
}

func (l *lookup) negativeCached(f findings, until time.Time) controlplane.Diagnosis {
	d := l.report(f, controlplane.CauseNegativeCached,
		"The record exists, but resolvers cache its absence until "+until.Format(time.RFC3339)+".",
		controlplane.FixOf(controlplane.CauseNegativeCached))
	d.Until = until
	return d
}

func (l *lookup) positiveCached(f findings, c chain) controlplane.Diagnosis {
	code, t := controlplane.CauseCNAMEMismatch, dns.TypeCNAME
	if c.end == endTXT {
		code, t = controlplane.CauseTXTConflict, dns.TypeTXT
	}
	until := l.now().UTC().Add(c.first.ttl(l.challenge, t)).Truncate(time.Second)
	d := l.report(f, code,
		"The record is correct now, but resolvers cache the previous one until "+
			until.Format(time.RFC3339)+".",
		controlplane.FixOf(controlplane.CauseNegativeCached))
	d.Until = until
	return d
}

func observe(d *controlplane.Diagnosis, values []string) {
	d.Observed, d.Count = controlplane.Observed(values, "; "), len(values)
}

// seen returns the observations. Sources with the same observation are listed together.
func seen(chains []chain) []string {
	var what []string
	who := map[string][]string{}
	for _, c := range chains {
		s := c.String()
		if _, ok := who[s]; !ok {
			what = append(what, s)
		}
		who[s] = append(who[s], c.source.label)
	}
	for i, s := range what {
		what[i] = controlplane.SeenBy(s, who[s])
	}
	return what
}

// data returns records as "name TYPE value".
func data(rrs []dns.RR) []string {
	var out []string
	for _, rr := range rrs {
		h := rr.Header()
		out = append(out, display(h.Name)+" "+dns.TypeToString[h.Rrtype]+" "+
			strings.TrimPrefix(rr.String(), h.String()))
	}
	return out
}

func joined(names []string) string {
	shown := make([]string, len(names))
	for i, n := range names {
		shown[i] = display(n)
	}
	return controlplane.Observed(shown, ", ")
}

// upper returns s with its first letter in upper case.
func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
