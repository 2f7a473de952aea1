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
