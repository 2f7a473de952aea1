package dnscheck

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// findings is where each source sees the challenge name lead.
type findings struct {
	resolvers []chain
	servers   []chain // of the zone's own name servers; empty where they are not asked
	zone      zone
}

// collect asks the resolvers and finds the zone at once, then asks the zone's servers.
func (l *look) collect(ctx context.Context) findings {
	f := findings{resolvers: make([]chain, len(l.resolvers))}
	var wg sync.WaitGroup
	for i, s := range l.resolvers {
		wg.Go(func() { f.resolvers[i] = l.follow(ctx, s, l.challenge) })
	}
	if l.askAuthority {
		wg.Go(func() { f.zone = l.theZone(ctx) })
	}
	wg.Wait()
	if !l.askAuthority {
		if count(f.resolvers, endRight) == 0 {
			f.zone = l.theZone(ctx) // the fix wants to say where
		}
		return f
	}
	servers := l.zoneServers(ctx)
	f.servers = make([]chain, len(servers))
	for i, s := range servers {
		wg.Go(func() {
			c := l.follow(ctx, s, l.challenge)
			if c.broken() {
				c.end = endUnreachable // it does not serve the zone, so it says nothing of the record
			}
			f.servers[i] = c
		})
	}
	wg.Wait()
	return f
}

// diagnose ranks the causes: what the zone's servers say goes before what a resolver
// remembers, and what was seen goes before what is missing.
func (l *look) diagnose(ctx context.Context, f findings) controlplane.Diagnosis {
	right := count(f.resolvers, endRight)
	truth := count(f.servers, endRight)
	contradicted := slices.ContainsFunc(f.servers, chain.wrong)
	switch {
	case count(f.resolvers, endUnreachable) == len(f.resolvers):
		return l.unreachable(f)
	case truth > 0 && contradicted:
		return l.disagree(f)
	case right > 0 && !contradicted:
		return l.healthy(f)
	case truth > 0:
		return l.stale(ctx, f)
	case contradicted:
		return l.wrong(ctx, f, f.servers)
	default:
		return l.wrong(ctx, f, f.resolvers)
	}
}

// wrong names the cause where nobody who counts shows the record.
func (l *look) wrong(ctx context.Context, f findings, chains []chain) controlplane.Diagnosis {
	c := telling(chains)
	switch c.end {
	case endLoop:
		return l.chainCause(f, c, controlplane.CauseCNAMEChainLoop, "The CNAMEs from %s lead in a circle.")
	case endTooLong:
		return l.chainCause(f, c, controlplane.CauseCNAMEChainTooLong,
			fmt.Sprintf("More than %d CNAMEs stand between %%s and its target; CAs give up on that.", maxHops))
	case endElsewhere:
		if l.byWildcard(ctx, f, question{name: l.challenge, qtype: dns.TypeCNAME}) {
			return l.absent(f, " A wildcard of the zone answers in its place.")
		}
		return l.mismatch(f, c)
	case endFailed:
		return l.failed(ctx, f, c)
	default:
		return l.missing(ctx, f)
	}
}

// missing names the cause where there is no CNAME at all at the challenge name.
func (l *look) missing(ctx context.Context, f findings) controlplane.Diagnosis {
	if f.zone.missing {
		return l.noZone(f)
	}
	who := l.informant(f)
	for _, apex := range slices.Compact([]string{f.zone.apex, l.domain}) {
		doubled := l.challenge + apex // the dot between them ends the challenge name
		if _, ok := dns.IsDomainName(doubled); !ok {
			continue
		}
		if c := l.follow(ctx, who, doubled); c.end == endRight {
			return l.doubled(f, c)
		}
	}
	if d, ok := l.otherRecord(ctx, f, who); ok {
		return d
	}
	if servers := l.subZone(ctx, f); len(servers) > 0 {
		return l.absentFromSubZone(f, servers)
	}
	return l.absent(f, "")
}

// byWildcard reports whether a name that nobody made has records of the type too: then those
// at the challenge name come from a wildcard, and a CNAME there takes their place
// (RFC 4592 §3.3).
func (l *look) byWildcard(ctx context.Context, f findings, q question) bool {
	q.name = "_dcvaas-wildcard-probe." + l.domain
	return len(l.ask(ctx, l.informant(f), q).records(q.name, q.qtype)) > 0
}

// otherRecord looks for what stands at the challenge name instead of a CNAME.
func (l *look) otherRecord(ctx context.Context, f findings, who source) (controlplane.Diagnosis, bool) {
	for _, t := range []uint16{dns.TypeTXT, dns.TypeA, dns.TypeAAAA} {
		q := question{name: l.challenge, qtype: t}
		there := l.ask(ctx, who, q).records(l.challenge, t)
		if len(there) == 0 || l.byWildcard(ctx, f, q) {
			continue
		}
		if t == dns.TypeTXT {
			return l.conflict(f, there), true
		}
		return l.proxied(f, there), true
	}
	return controlplane.Diagnosis{}, false
}

// failed names the cause where a name cannot be resolved: its DNSSEC is broken, or its
// servers are.
func (l *look) failed(ctx context.Context, f findings, c chain) controlplane.Diagnosis {
	name := c.path[len(c.path)-1]
	if l.validationFails(ctx, question{name: name, qtype: dns.TypeCNAME}) {
		return l.bogus(f, name)
	}
	return l.lame(f, name, l.subZone(ctx, f))
}

// stale names the cause where all the zone's servers are right and no resolver is yet.
func (l *look) stale(ctx context.Context, f findings) controlplane.Diagnosis {
	negative := slices.DeleteFunc(slices.Clone(f.resolvers), func(c chain) bool { return c.end != endNone })
	if len(negative) == 0 {
		c := telling(f.resolvers)
		if c.end == endFailed {
			return l.failed(ctx, f, c)
		}
		return l.oldAnswer(f, c)
	}
	soonest := negative[0].last.negativeTTL()
	for _, c := range negative[1:] {
		soonest = min(soonest, c.last.negativeTTL())
	}
	return l.negativeCached(f, l.now().UTC().Add(soonest).Truncate(time.Second))
}

// informant is who to ask about names beside the challenge name: a name server of the zone
// where one answers, as it has no cache, and a resolver otherwise.
func (l *look) informant(f findings) source {
	for _, c := range slices.Concat(f.servers, f.resolvers) {
		if c.wrong() && !c.broken() {
			return c.source
		}
	}
	return l.resolvers[0]
}

// telling returns the chain that says most: see ending. A first name that a source could
// not resolve says nothing beside another source's word that there is no CNAME.
func telling(chains []chain) chain {
	weight := func(c chain) int {
		switch {
		case c.broken():
			return int(endNone) + 1
		case c.end == endUnreachable:
			return int(endNone) + 2
		case c.end == endRight:
			return int(endNone) + 3
		}
		return int(c.end)
	}
	return slices.MinFunc(chains, func(a, b chain) int { return weight(a) - weight(b) })
}

func count(chains []chain, e ending) int {
	n := 0
	for _, c := range chains {
		if c.end == e {
			n++
		}
	}
	return n
}
