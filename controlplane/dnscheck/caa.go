package dnscheck

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// CAIdentity identifies a CA in CAA records.
type CAIdentity = controlplane.CAIdentity

// CAA checks whether the CAA records of domain, and with wildcard also for *.domain, authorize each
// of cas (RFC 8659, RFC 8657). It returns one finding per CA, in their order. domain is in A-label
// form. DNS failures are returned as findings. An error means that ctx is done or that an argument
// is not a domain name.
func (d *Doctor) CAA(
	ctx context.Context, domain string, wildcard bool, cas []CAIdentity,
) ([]controlplane.CAAFinding, error) {
	if _, ok := dns.IsDomainName(domain); !ok || domain == "" {
		return nil, fmt.Errorf("dnscheck: invalid domain name %q", domain)
	}
	l := newLookup(d, domain, ".")
	bounded, cancel := context.WithTimeout(ctx, 5*d.timeout)
	defer cancel()
	sets := l.relevantSets(bounded)
	found, _ := l.caaFindings(bounded, sets, wildcard, known(cas))
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return found, nil
}

// known adds the identities of well-known CAs.
func known(cas []CAIdentity) []CAIdentity {
	out := slices.Clone(cas)
	for i, ca := range out {
		if len(ca.Identities) == 0 {
			out[i].Identities = Identities(ca.DirectoryURL)
		}
	}
	return out
}

// relevantSet is the relevant record set of the domain (RFC 8659 §3) from one source.
type relevantSet struct {
	source source
	at     string // the name that has the records, at the domain or above; empty if none has
	// the target of CNAMEs from there, which has the records; empty without CNAMEs
	alias string
	rrs   []*dns.CAA // not empty if at is set

	failedAt string // the name whose lookup failed, so that the set is unknown; empty on success
	reply    reply  // to that lookup
}

// prefetch is how many names of the tree climb are queried at once. Few domains have more.
const prefetch = 6

// relevantSets returns the relevant record set from every resolver and, if they are queried, from
// the zone's name servers, whose answers are not cached.
func (l *lookup) relevantSets(ctx context.Context) []relevantSet {
	sources := slices.Clone(l.resolvers)
	var wg sync.WaitGroup
	ahead := func(sources []source, apex string) {
		for name, n := l.domain, 0; name != "." && n < prefetch; name, n = parentOf(name), n+1 {
			if !dns.IsSubDomain(apex, name) {
				return
			}
			for _, s := range sources {
				wg.Go(func() { l.ask(ctx, s, question{name: name, qtype: dns.TypeCAA}) })
			}
		}
	}
	ahead(l.resolvers, ".")
	if servers := l.zoneServers(ctx); len(servers) > 0 {
		ahead(servers, l.domainZone(ctx).apex)
		sources = append(sources, servers...)
	}
	wg.Wait()
	sets := make([]relevantSet, len(sources))
	for i, s := range sources {
		sets[i] = l.climb(ctx, s)
	}
	return sets
}

// climb goes from the domain towards the root until a name has CAA records. It climbs the parents
// of the domain itself, not those of a CNAME target (RFC 8659 §3).
func (l *lookup) climb(ctx context.Context, s source) relevantSet {
	set := relevantSet{source: s}
	for name := l.domain; name != "."; name = parentOf(name) {
		rrs, end, r := l.caaAt(ctx, s, name)
		if !r.usable() {
			set.failedAt, set.reply = name, r
			return set
		}
		if len(rrs) > 0 {
			set.at, set.rrs = name, rrs
			if end != name {
				set.alias = end
			}
			return set
		}
	}
	return set
}

// caaAt returns the CAA records of one name, the name at the end of its CNAMEs, and the deciding
// reply. A name server is queried only for its own zone. The resolvers are queried for the rest.
func (l *lookup) caaAt(ctx context.Context, s source, name string) ([]*dns.CAA, string, reply) {
	q := question{name: name, qtype: dns.TypeCAA}
	if s.authoritative && !dns.IsSubDomain(l.domainZone(ctx).apex, name) {
		r := l.askAny(ctx, q)
		rrs, end := r.caa(name)
		return rrs, end, r
	}
	r := l.ask(ctx, s, q)
	rrs, end := r.caa(name)
	if s.authoritative && r.usable() && len(rrs) == 0 && end != name {
		r = l.askAny(ctx, question{name: end, qtype: dns.TypeCAA})
		rrs, end = r.caa(end)
	}
	return rrs, end, r
}

// caa returns the CAA records that the answer contains for a name, following its CNAMEs, and the
// name at the end of the CNAMEs.
func (r reply) caa(name string) ([]*dns.CAA, string) {
	for range maxHops + 1 {
		var rrs []*dns.CAA
		for _, rr := range r.records(name, dns.TypeCAA) {
			rrs = append(rrs, rr.(*dns.CAA))
		}
		next := r.cname(name)
		if len(rrs) > 0 || next == "" {
			return rrs, name
		}
		name = next
	}
	return nil, name
}
