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

// findings is the result of following the challenge name from each source.
type findings struct {
	resolvers []chain
	servers   []chain // of the zone's name servers; empty if they are not queried
	zone      zone
}

// collect queries the resolvers and finds the zone concurrently, then queries the zone's servers.
func (l *lookup) collect(ctx context.Context) findings {
	f := findings{resolvers: make([]chain, len(l.resolvers))}
	var wg sync.WaitGroup
	for i, s := range l.resolvers {
		wg.Go(func() { f.resolvers[i] = l.follow(ctx, s, l.challenge) })
	}
	if l.askAuthority {
		wg.Go(func() { f.zone = l.domainZone(ctx) })
	}
	wg.Wait()
	if !l.askAuthority {
		if count(f.resolvers, endTarget) == 0 {
			f.zone = l.domainZone(ctx) // the fix names the zone
		}
		return f
	}
	servers := l.zoneServers(ctx)
	f.servers = make([]chain, len(servers))
	for i, s := range servers {
		wg.Go(func() {
			c := l.follow(ctx, s, l.challenge)
			if c.broken() {
				c.end = endUnreachable // it does not serve the zone, so its answer does not count
			}
			f.servers[i] = c
		})
	}
	wg.Wait()
	return f
}

// diagnose ranks the causes. Answers of the zone's servers take precedence over cached answers of
// resolvers, and records found take precedence over missing ones.
func (l *lookup) diagnose(ctx context.Context, f findings) controlplane.Diagnosis {
	right := count(f.resolvers, endTarget)
	atServers := count(f.servers, endTarget)
	contradicted := slices.ContainsFunc(f.servers, chain.wrong)
	switch {
	case count(f.resolvers, endUnreachable) == len(f.resolvers):
		return l.unreachable(f)
	case atServers > 0 && contradicted:
		return l.disagree(f)
	case right > 0 && !contradicted:
		return l.healthy(f)
	case atServers > 0:
		return l.stale(ctx, f)
	case contradicted:
		return l.misdelegated(ctx, f, f.servers)
	default:
		return l.misdelegated(ctx, f, f.resolvers)
	}
}

// misdelegated returns the cause if no decisive source has the record.
func (l *lookup) misdelegated(
	ctx context.Context, f findings, chains []chain,
) controlplane.Diagnosis {
	c := mostSpecific(chains)
	switch c.end {
	case endLoop:
		return l.chainCause(f, c, controlplane.CauseCNAMEChainLoop,
			"The CNAME records starting at %s form a loop.")
	case endTooLong:
		return l.chainCause(f, c, controlplane.CauseCNAMEChainTooLong,
			fmt.Sprintf(
				"The chain from %%s to its target has more than %d CNAME records, which CAs do not follow.", maxHops))
	case endElsewhere:
		if l.byWildcard(ctx, f, question{name: l.challenge, qtype: dns.TypeCNAME}) {
			return l.absent(f, " A wildcard record of the zone answers instead.")
		}
		return l.mismatch(f, c)
	case endFailed:
		return l.failed(ctx, f, c)
	default:
		return l.missing(ctx, f)
	}
}

// missing returns the cause if the challenge name has no CNAME.
func (l *lookup) missing(ctx context.Context, f findings) controlplane.Diagnosis {
	if f.zone.missing {
		return l.noZone(f)
	}
	who := l.probeSource(f)
	for _, apex := range slices.Compact([]string{f.zone.apex, l.domain}) {
		doubled := l.challenge + apex // the challenge name ends with a dot
		if _, ok := dns.IsDomainName(doubled); !ok {
			continue
		}
		if c := l.follow(ctx, who, doubled); c.end == endTarget {
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

// byWildcard reports whether a name that does not exist also has records of the type. Then the
// records at the challenge name come from a wildcard, and a CNAME there replaces them (RFC 4592
// §3.3).
func (l *lookup) byWildcard(ctx context.Context, f findings, q question) bool {
	q.name = "_dcvaas-wildcard-probe." + l.domain
	return len(l.ask(ctx, l.probeSource(f), q).records(q.name, q.qtype)) > 0
}

// otherRecord finds a record at the challenge name that is not a CNAME.
func (l *lookup) otherRecord(
	ctx context.Context, f findings, who source,
) (controlplane.Diagnosis, bool) {
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

// failed returns the cause if a name does not resolve: its DNSSEC signatures or its servers.
func (l *lookup) failed(ctx context.Context, f findings, c chain) controlplane.Diagnosis {
	name := c.path[len(c.path)-1]
	if l.validationFails(ctx, question{name: name, qtype: dns.TypeCNAME}) {
		return l.bogus(f, name)
	}
	return l.lame(f, name, l.subZone(ctx, f))
}

// stale returns the cause if all of the zone's servers have the record and no resolver does.
func (l *lookup) stale(ctx context.Context, f findings) controlplane.Diagnosis {
	negative := slices.DeleteFunc(slices.Clone(f.resolvers),
		func(c chain) bool { return c.end != endNoCNAME })
	if len(negative) == 0 {
		c := mostSpecific(f.resolvers)
		if c.end == endFailed {
			return l.failed(ctx, f, c)
		}
		return l.positiveCached(f, c)
	}
	soonest := negative[0].last.negativeTTL()
	for _, c := range negative[1:] {
		soonest = min(soonest, c.last.negativeTTL())
	}
	return l.negativeCached(f, l.now().UTC().Add(soonest).Truncate(time.Second))
}

// probeSource returns the source for queries about other names: a responding name server of the
// zone, because it does not cache, otherwise a resolver.
func (l *lookup) probeSource(f findings) source {
	for _, c := range slices.Concat(f.servers, f.resolvers) {
		if c.wrong() && !c.broken() {
			return c.source
		}
	}
	return l.resolvers[0]
}

// mostSpecific returns the most specific chain (see ending). A SERVFAIL for the first name counts
// less than another source's answer that the name has no CNAME.
func mostSpecific(chains []chain) chain {
	weight := func(c chain) int {
		switch {
		case c.broken():
			return int(endNoCNAME) + 1
		case c.end == endUnreachable:
			return int(endNoCNAME) + 2
		case c.end == endTarget:
			return int(endNoCNAME) + 3
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
