package dnscheck

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// CAIdentity is a CA as CAA records know it.
type CAIdentity = controlplane.CAIdentity

// CAA looks whether the CAA records of domain let each of cas issue for it, and for
// *.domain too with wildcard (RFC 8659, RFC 8657). It returns one finding for each, in
// their order. Domain is in A-label form. Whatever DNS does comes back as a finding; an
// error means that ctx ended first, or that an argument is no name.
func (d *Doctor) CAA(ctx context.Context, domain string, wildcard bool, cas []CAIdentity) ([]controlplane.CAAFinding, error) {
	if _, ok := dns.IsDomainName(domain); !ok || domain == "" {
		return nil, errors.New("dnscheck: " + domain + " is no domain name")
	}
	l := newLook(d, domain, ".")
	bounded, cancel := context.WithTimeout(ctx, 5*d.timeout)
	defer cancel()
	sets := l.relevantSets(bounded)
	found, _ := l.caaFindings(bounded, sets, wildcard, known(cas))
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return found, nil
}

// known fills in the identities of well-known CAs.
func known(cas []CAIdentity) []CAIdentity {
	out := slices.Clone(cas)
	for i, ca := range out {
		if len(ca.Identities) == 0 {
			out[i].Identities = Identities(ca.DirectoryURL)
		}
	}
	return out
}

// relevantSet is the relevant record set of the domain (RFC 8659 §3), as one source shows
// it.
type relevantSet struct {
	source source
	at     string     // the name of the tree climb whose records they are; empty where there are none up to the root
	alias  string     // where CNAMEs from there lead, and the records stand; empty without CNAMEs
	rrs    []*dns.CAA // never empty where at is set

	failedAt string // the name whose look-up failed, so that nothing is known of the set; empty where it is
	reply    reply  // to that look-up
}

// prefetch is how many names of the tree climb are asked for at once. Hardly any domain has
// more.
const prefetch = 6

// relevantSets looks for the relevant record set at every resolver and, where they are
// asked, at the zone's own name servers, which know it before the caches do.
func (l *look) relevantSets(ctx context.Context) []relevantSet {
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
		ahead(servers, l.theZone(ctx).apex)
		sources = append(sources, servers...)
	}
	wg.Wait()
	sets := make([]relevantSet, len(sources))
	for i, s := range sources {
		sets[i] = l.climb(ctx, s)
	}
	return sets
}

// climb goes from the domain towards the root until a name has CAA records. The climb is
// from parent to parent of the domain itself, never of what it is an alias for
// (RFC 8659 §3).
func (l *look) climb(ctx context.Context, s source) relevantSet {
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

// caaAt returns the CAA records of one name, with the name that CNAMEs lead to, and the
// reply that says so. A name server is asked about its own zone only, and the rest is asked
// of the resolvers.
func (l *look) caaAt(ctx context.Context, s source, name string) ([]*dns.CAA, string, reply) {
	q := question{name: name, qtype: dns.TypeCAA}
	if s.authoritative && !dns.IsSubDomain(l.theZone(ctx).apex, name) {
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

// caa returns the CAA records that the answer has for a name, by its CNAMEs, and the name
// at which they stand or would stand.
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
