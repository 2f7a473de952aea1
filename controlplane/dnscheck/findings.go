package dnscheck

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Each function here writes one diagnosis: what a person reads.

func (l *look) say(f findings, code, summary, fix string) controlplane.Diagnosis {
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

func (l *look) healthy(f findings) controlplane.Diagnosis {
	return l.say(f, controlplane.CauseOK, display(l.challenge)+" leads to its target.", "")
}

func (l *look) unreachable(f findings) controlplane.Diagnosis {
	return l.say(f, controlplane.CauseResolverUnreachable, "No resolver could be asked, so nothing is known about "+display(l.challenge)+" now.",
		unreachableFix)
}

const unreachableFix = "Nothing needs to be done at the DNS host: the check is made again by itself. An operator sees to the way to the resolvers."

func (l *look) noZone(f findings) controlplane.Diagnosis {
	name := display(registrable(l.domain))
	return l.say(f, controlplane.CauseZoneNotFound, "There is no DNS zone for "+name+": it is delegated to no name server.",
		"Check the spelling of the name, that "+name+" is registered and has not expired, and that name servers are entered for it at the registrar. Then "+l.create(f.zone))
}

func (l *look) absent(f findings, more string) controlplane.Diagnosis {
	fix, longest := upper(l.create(f.zone)), time.Duration(0)
	for _, c := range f.resolvers {
		if c.end == endNone {
			longest = max(longest, c.last.negativeTTL())
		}
	}
	if longest > 30*time.Second {
		fix += "\nResolvers may go on saying that it is missing until " + l.now().UTC().Add(longest).Format(time.RFC3339) + "."
	}
	return l.say(f, controlplane.CauseCNAMEMissing, "There is no CNAME at "+display(l.challenge)+"."+more, fix)
}

func (l *look) mismatch(f findings, c chain) controlplane.Diagnosis {
	end := c.path[len(c.path)-1]
	summary := display(l.challenge) + " leads to " + display(end) + ", not to its target."
	_, ours, _ := strings.Cut(l.target, ".")
	switch {
	case strings.HasPrefix(end, l.target):
		summary += " The zone's name was appended to the value: it needs a trailing dot there."
	case dns.IsSubDomain(ours, end):
		summary += " That is the target of another name, or of another organization."
	case l.target == end+ours:
		summary += " The value was cut short: the zone " + display(ours) + " is missing at its end."
	}
	return l.say(f, controlplane.CauseCNAMEMismatch, summary, l.instruct("Replace the CNAME at "+display(l.challenge)+" by this record", f.zone))
}

func (l *look) chainCause(f findings, c chain, code, summary string) controlplane.Diagnosis {
	d := l.say(f, code, fmt.Sprintf(summary, display(l.challenge)), l.instruct("Let "+display(l.challenge)+" lead straight to its target: replace the CNAME there by this record", f.zone))
	observe(&d, seen([]chain{c}))
	return d
}

func (l *look) doubled(f findings, c chain) controlplane.Diagnosis {
	wrong := display(c.path[0])
	d := l.say(f, controlplane.CauseCNAMEDoubledLabel,
		"The record stands at "+wrong+": the DNS host appended the zone's name to a host field that had it already.",
		"Remove the record at "+wrong+", and "+l.create(f.zone))
	observe(&d, []string{c.String()})
	return d
}

func (l *look) conflict(f findings, txt []dns.RR) controlplane.Diagnosis {
	d := l.say(f, controlplane.CauseTXTConflict,
		"A TXT record stands at "+display(l.challenge)+", and a CNAME cannot stand beside it (RFC 1034 §3.6.2).",
		"Remove the TXT record at "+display(l.challenge)+"; another ACME client or the DNS host itself left it there. Then "+l.create(f.zone))
	observe(&d, data(txt))
	return d
}

func (l *look) proxied(f findings, addresses []dns.RR) controlplane.Diagnosis {
	d := l.say(f, controlplane.CauseCNAMEProxied,
		"The DNS host answers "+display(l.challenge)+" with addresses: it hides the CNAME behind its proxy, or there are address records in its place.",
		"Switch proxying or flattening off for this record (at Cloudflare: \"DNS only\"), or remove the address records. Where the CNAME is not there, "+l.create(f.zone))
	observe(&d, data(addresses))
	return d
}

// absentFromSubZone is cname-missing where the challenge name is a zone of its own: it
// cannot have a CNAME there, beside its SOA (RFC 1034 §3.6.2).
func (l *look) absentFromSubZone(f findings, servers []string) controlplane.Diagnosis {
	return l.say(f, controlplane.CauseCNAMEMissing,
		"There is no CNAME at "+display(l.challenge)+": NS records delegate the name, as a zone of its own, to "+joined(servers)+".",
		"Remove the NS records at "+display(l.challenge)+", as a CNAME cannot stand beside them. Then "+l.create(f.zone))
}

// lame blames the servers of a name that cannot be resolved. sub are those to which the
// challenge name itself is delegated, if it is.
func (l *look) lame(f findings, name string, sub []string) controlplane.Diagnosis {
	if name == l.challenge && len(sub) > 0 {
		return l.say(f, controlplane.CauseNameserverLame,
			"NS records delegate "+display(name)+", as a zone of its own, to "+joined(sub)+", and they do not answer for it.",
			"Remove the NS records at "+display(name)+": it takes a CNAME, and no zone of its own. Then "+l.create(f.zone))
	}
	whose := display(registrable(name)) // the best guess for a zone that does not answer
	if name == l.challenge {
		whose = display(f.zone.apex)
	}
	fix := "Make sure that the name servers entered at the registrar of " + whose + " are those of the DNS host that has the zone, and that the zone is active there."
	if len(f.zone.servers) > 0 && name == l.challenge {
		fix += " They are now " + joined(f.zone.servers) + "."
	}
	return l.say(f, controlplane.CauseNameserverLame, "The name servers of "+whose+" do not answer for "+display(name)+".", fix)
}

func (l *look) bogus(f findings, name string) controlplane.Diagnosis {
	return l.say(f, controlplane.CauseDNSSECBogus, "The DNSSEC signatures for "+display(name)+" do not verify, so resolvers and CAs refuse its answers.",
		bogusFix)
}

const bogusFix = "Sign the zone again at its DNS host, or remove the DS record at the registrar while the zone is not signed."

func (l *look) disagree(f findings) controlplane.Diagnosis {
	var with, without []string
	for _, c := range f.servers {
		switch {
		case c.end == endRight:
			with = append(with, c.source.label)
		case c.wrong():
			without = append(without, c.source.label)
		}
	}
	d := l.say(f, controlplane.CauseNameserversDisagree,
		"Some name servers of "+display(f.zone.apex)+" have the record and some do not; a CA may ask either.",
		"Wait until the DNS host has brought "+joined(without)+" up to date. If that takes longer than an hour, compare the zone's SOA serial there with that at "+
			joined(with)+", and remove name servers at the registrar that no longer belong to the zone.")
	observe(&d, seen(f.servers))
	return d
}

func (l *look) negativeCached(f findings, until time.Time) controlplane.Diagnosis {
	d := l.say(f, controlplane.CauseNegativeCached,
		"The record is there, but resolvers still remember that it was missing, until "+until.Format(time.RFC3339)+".",
		"Nothing needs to be done: the check is made again by itself.")
	d.Until = until
	return d
}

func (l *look) oldAnswer(f findings, c chain) controlplane.Diagnosis {
	until := l.now().UTC().Add(c.first.ttl(l.challenge, dns.TypeCNAME)).Truncate(time.Second)
	d := l.say(f, controlplane.CauseCNAMEMismatch,
		"The record was changed and is right now, but resolvers still remember the old one, until "+until.Format(time.RFC3339)+".",
		"Nothing needs to be done: the check is made again by itself.")
	d.Until = until
	return d
}

func observe(d *controlplane.Diagnosis, values []string) {
	d.Observed, d.Count = controlplane.Observed(values, "; "), len(values)
}

// seen is what was observed, with those who saw the same named together.
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

// data is records as "name TYPE value".
func data(rrs []dns.RR) []string {
	var out []string
	for _, rr := range rrs {
		h := rr.Header()
		out = append(out, display(h.Name)+" "+dns.TypeToString[h.Rrtype]+" "+strings.TrimPrefix(rr.String(), h.String()))
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

// upper makes s begin a sentence.
func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
