package dnscheck

import (
	"context"
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
	if err := checkNames(domain); err != nil {
		return nil, err
	}
	l := newLookup(d, domain, ".")
	l.caa = true
	bounded, cancel := context.WithTimeout(ctx, 5*d.timeout)
	defer cancel()
	sets := l.relevantSets(bounded)
	found, _ := l.caaFindings(bounded, sets, certified{true, wildcard}, known(cas))
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

// relevantSets returns the relevant record set from the zone's name servers, if they are queried,
// and from the resolvers. Those of the servers count, because they are not cached. While a server
// has one, it is enough that some resolver has one.
func (l *lookup) relevantSets(ctx context.Context) []relevantSet {
	if !l.askAuthority {
		return l.setsOf(ctx, l.resolvers, ".")
	}
	var wg sync.WaitGroup
	var some relevantSet
	wg.Go(func() { some = l.someSet(ctx) })
	var sets []relevantSet
	if servers := l.caaServers(ctx); len(servers) > 0 {
		sets = l.setsOf(ctx, servers, l.domainZone(ctx).apex)
	}
	wg.Wait()
	known := func(s relevantSet) bool { return s.failedAt == "" }
	if known(some) && slices.ContainsFunc(sets, known) {
		return append([]relevantSet{some}, sets...)
	}
	return append(l.setsOf(ctx, l.resolvers, "."), sets...)
}

// caaServers returns the zone's name servers that are queried for CAA records.
func (l *lookup) caaServers(ctx context.Context) []source {
	var out []source
	part := l.portion(ctx)
	for i, s := range l.zoneServers(ctx) {
		if part.has(i, part.caa) {
			out = append(out, s)
		}
	}
	return out
}

// setsOf returns the relevant record set from each source. The names up to apex are queried at
// once.
func (l *lookup) setsOf(ctx context.Context, sources []source, apex string) []relevantSet {
	var wg sync.WaitGroup
	for _, name := range l.ancestors(apex) {
		for _, s := range sources {
			wg.Go(func() { l.ask(ctx, s, question{name: name, qtype: dns.TypeCAA}) })
		}
	}
	wg.Wait()
	sets := make([]relevantSet, len(sources))
	for i, s := range sources {
		sets[i] = l.climb(ctx, s, func(q question) reply { return l.ask(ctx, s, q) })
	}
	return sets
}

// someSet returns the relevant record set from the first resolvers that answer.
func (l *lookup) someSet(ctx context.Context) relevantSet {
	ask := func(q question) reply { return l.askAny(ctx, q) }
	var wg sync.WaitGroup
	for _, name := range l.ancestors(".") {
		wg.Go(func() { ask(question{name: name, qtype: dns.TypeCAA}) })
	}
	wg.Wait()
	return l.climb(ctx, l.resolvers[0], ask)
}

// ancestors returns the first names of the tree climb, within apex.
func (l *lookup) ancestors(apex string) []string {
	var names []string
	for name := l.domain; name != "." && len(names) < prefetch; name = parentOf(name) {
		if !dns.IsSubDomain(apex, name) {
			break
		}
		names = append(names, name)
	}
	return names
}

// climb goes from the domain towards the root until a name has CAA records. It climbs the parents
// of the domain itself, not those of a CNAME target (RFC 8659 §3). ask queries the source.
func (l *lookup) climb(
	ctx context.Context, s source, ask func(question) reply,
) relevantSet {
	set := relevantSet{source: s}
	for name := l.domain; name != "."; name = parentOf(name) {
		rrs, end, r := l.caaAt(ctx, s, name, ask)
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
func (l *lookup) caaAt(
	ctx context.Context, s source, name string, ask func(question) reply,
) ([]*dns.CAA, string, reply) {
	q := question{name: name, qtype: dns.TypeCAA}
	if s.authoritative && !dns.IsSubDomain(l.domainZone(ctx).apex, name) {
		r := l.askAny(ctx, q)
		rrs, end := r.caa(name)
		return rrs, end, r
	}
	r := ask(q)
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
