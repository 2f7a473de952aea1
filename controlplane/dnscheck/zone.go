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
	absent := false
	for name := l.domain; !isRegistry(name); {
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
		parent := parentOf(name)
		if soa := r.soa(); soa != nil && r.cname(name) == "" {
			apex := dns.CanonicalName(soa.Hdr.Name)
			switch {
			case apex == name:
				return zone{apex: apex, known: true, secure: r.validated()}
			case dns.IsSubDomain(apex, name):
				parent = apex
			}
		}
		name = parent
	}
	return zone{apex: registrable(l.domain), missing: absent}
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
