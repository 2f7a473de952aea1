package dnscheck

import (
	"context"
	"slices"
	"strings"

	"github.com/miekg/dns"
	"golang.org/x/net/publicsuffix"
)

// zone is where a domain's records are kept.
type zone struct {
	apex    string   // canonical; a guess where known is false
	servers []string // of its NS records, sorted
	known   bool
	missing bool // there is no such zone: the name is not delegated by its registry
}

// theZone returns the domain's zone, which is looked for once.
func (l *look) theZone(ctx context.Context) zone {
	l.zoneOnce.Do(func() { l.zone = l.findZone(ctx) })
	return l.zone
}

// zoneServers returns the name servers of the domain's zone; none where they are not asked.
func (l *look) zoneServers(ctx context.Context) []source {
	if !l.askAuthority {
		return nil
	}
	l.serversOnce.Do(func() { l.servers = l.authorities(ctx, l.theZone(ctx)) })
	return l.servers
}

// subZone returns the name servers to which the challenge name itself is delegated, sorted;
// none where it is not. A name server of the zone shows it by a referral, even where those
// it refers to are lame, and a resolver by the SOA of a negative answer.
func (l *look) subZone(ctx context.Context, f findings) []string {
	var found []string
	add := func(rrs []dns.RR) {
		for _, rr := range rrs {
			if ns, ok := rr.(*dns.NS); ok && dns.CanonicalName(ns.Hdr.Name) == l.challenge && !slices.Contains(found, dns.CanonicalName(ns.Ns)) {
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
			add(l.ask(ctx, c.source, question{name: l.challenge, qtype: dns.TypeNS}).records(l.challenge, dns.TypeNS))
		}
	}
	slices.Sort(found)
	return found
}

// findZone climbs from the domain to the apex of its zone by asking the resolvers for NS.
// A negative answer's SOA says where the apex is (RFC 2308 §2).
func (l *look) findZone(ctx context.Context) zone {
	absent := false
	for name := l.domain; !isRegistry(name); {
		r := l.askAny(ctx, question{name: name, qtype: dns.TypeNS})
		if rrs := r.records(name, dns.TypeNS); len(rrs) > 0 {
			z := zone{apex: name, known: true}
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
				return zone{apex: apex, known: true}
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
