package dnscheck

import (
	"context"
	"slices"
	"strings"

	"github.com/miekg/dns"
	"golang.org/x/net/publicsuffix"
)

// zone is the zone that contains a domain's records.
type zone struct {
	apex    string   // canonical; a guess if known is false
	servers []string // of its NS records, sorted
	known   bool
	secure  bool // a resolver has validated that
	missing bool // the zone does not exist: the name is not delegated by its registry
}

// domainZone returns the domain's zone and finds it on the first call.
func (l *lookup) domainZone(ctx context.Context) zone {
	return l.zone.get(func() zone { return l.findZone(ctx) })
}

// zoneServers returns the name servers of the domain's zone, or none if they are not queried.
func (l *lookup) zoneServers(ctx context.Context) []source {
	if !l.askAuthority {
		return nil
	}
	return l.servers.get(func() []source { return l.authorities(ctx, l.domainZone(ctx)) })
}

// subZone returns the name servers to which the challenge name itself is delegated, sorted, or none
// if it is not delegated. A name server of the zone shows the delegation by a referral, even if the
// servers it refers to are lame. A resolver shows it by the SOA of a negative answer.
func (l *lookup) subZone(ctx context.Context, f findings) []string {
	var found []string
	add := func(rrs []dns.RR) {
		for _, rr := range rrs {
			if ns, ok := rr.(*dns.NS); ok && dns.CanonicalName(ns.Hdr.Name) == l.challenge &&
				!slices.Contains(found, dns.CanonicalName(ns.Ns)) {
				found = append(found, dns.CanonicalName(ns.Ns))
			}
		}
	}
	for _, c := range f.servers {
		if c.first.msg != nil && !c.first.msg.Authoritative {
			add(c.first.msg.Ns)
		}
	}
	for _, c := range f.resolvers {
		soa := c.first.soa()
		if len(found) == 0 && soa != nil && dns.CanonicalName(soa.Hdr.Name) == l.challenge {
			add(l.ask(ctx, c.source, question{name: l.challenge, qtype: dns.TypeNS}).records(
				l.challenge, dns.TypeNS))
		}
	}
	slices.Sort(found)
	return found
}

// findZone finds the apex of the domain's zone by NS queries to the resolvers, from the domain
// upwards. The SOA of a negative answer contains the apex (RFC 2308 §2).
func (l *lookup) findZone(ctx context.Context) zone {
	name, absent := l.lowest(ctx)
	for !isRegistry(name) {
		r := l.askAny(ctx, question{name: name, qtype: dns.TypeNS})
		if rrs := r.records(name, dns.TypeNS); len(rrs) > 0 {
			z := zone{apex: name, known: true, secure: r.validated()}
			for _, rr := range rrs {
				z.servers = append(z.servers, dns.CanonicalName(rr.(*dns.NS).Ns))
			}
			slices.Sort(z.servers)
			return z
		}
		absent = r.nxdomain()
		next := r.apexAbove(name)
		if next == name {
			return zone{apex: name, known: true, secure: r.validated()}
		}
		name = next
	}
	return zone{apex: registrable(l.domain), missing: absent}
}

// lowest returns the name that may be the zone's apex and whose NS records are queried first. An
// answer without CAA records, which is requested anyway, shows the apex as one without NS records
// does. A registrable domain usually is an apex. absent reports that the domain does not exist.
func (l *lookup) lowest(ctx context.Context) (name string, absent bool) {
	if !l.caa || l.domain == registrable(l.domain) {
		return l.domain, false
	}
	r := l.askAny(ctx, question{name: l.domain, qtype: dns.TypeCAA})
	if !r.usable() || len(r.records(l.domain, dns.TypeCAA)) > 0 ||
		(r.soa() == nil && r.cname(l.domain) == "") {
		return l.domain, false
	}
	return r.apexAbove(l.domain), r.nxdomain()
}

// apexAbove returns the apex of the name's zone according to a negative answer, which may be the
// name itself, or its parent if the answer does not show an apex.
func (r reply) apexAbove(name string) string {
	if soa := r.soa(); soa != nil && r.cname(name) == "" {
		if apex := dns.CanonicalName(soa.Hdr.Name); dns.IsSubDomain(apex, name) {
			return apex
		}
	}
	return parentOf(name)
}

// isRegistry reports whether a name belongs to a registry rather than to a customer.
func isRegistry(name string) bool {
	name = display(name)
	suffix, icann := publicsuffix.PublicSuffix(name)
	return name == "." || (name == suffix && (icann || !strings.Contains(suffix, ".")))
}

// registrable returns the registrable domain above a name, canonical, or the name itself.
func registrable(name string) string {
	d, err := publicsuffix.EffectiveTLDPlusOne(display(name))
	if err != nil {
		return name
	}
	return d + "."
}

func parentOf(name string) string {
	i, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[i:]
}
