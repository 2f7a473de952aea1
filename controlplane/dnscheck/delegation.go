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
	servers, part := l.zoneServers(ctx), l.portion(ctx)
	f.servers = make([]chain, len(servers))
	for i, s := range servers {
		wg.Go(func() { f.servers[i] = l.interview(ctx, s, part.has(i, part.tcp)) })
	}
	wg.Wait()
	return f
}

// diagnose ranks the causes. Answers of the zone's servers take precedence over cached answers of
// resolvers, and records found take precedence over missing ones. A server that fails does not
// count while others answer, because a CA's resolver then queries those.
func (l *lookup) diagnose(ctx context.Context, f findings) controlplane.Diagnosis {
	current := slices.ContainsFunc(f.servers, chain.delegated)
	contradicted := slices.ContainsFunc(f.servers, chain.wrong)
	switch {
	case count(f.resolvers, endUnreachable) == len(f.resolvers):
		return l.unreachable(f)
	case slices.ContainsFunc(f.servers, chain.divergent):
		return l.misdelegated(ctx, f, only(f.servers, chain.divergent))
	case current && contradicted:
		return l.disagree(f)
	case contradicted:
		return l.misdelegated(ctx, f, only(f.servers, chain.wrong))
	case !current && count(f.servers, endTXTFailed) > 0:
		return l.failsForTXTQueries(f, f.servers)
	case count(f.resolvers, endTarget) > 0:
		return l.pointsToTarget(f)
	case count(f.resolvers, endNotServed) > 0:
		return l.notServed(f)
	case current:
		return l.stale(ctx, f)
	default:
		return l.misdelegated(ctx, f, f.resolvers)
	}
}

// divergent reports whether a CA gets another answer from the source than the CNAME there. Then the
// cause is at this source, and the others do not matter.
func (c chain) divergent() bool {
	switch c.end {
	case endSeveral, endInconsistent, endConflict, endOmitted:
		return true
	}
	return false
}

// pointsToTarget returns the result if a resolver gets to the target. The target needs no record
// until a challenge is pending, but it must exist.
func (l *lookup) pointsToTarget(f findings) controlplane.Diagnosis {
	if slices.ContainsFunc(f.resolvers,
		func(c chain) bool { return c.end == endTarget && !c.last.nxdomain() }) {
		return l.healthy(f)
	}
	return l.notServed(f)
}

// misdelegated returns the cause if no decisive source has the record.
func (l *lookup) misdelegated(
	ctx context.Context, f findings, chains []chain,
) controlplane.Diagnosis {
	c := mostSpecific(chains)
	switch c.end {
	case endSeveral:
		return l.severalCNAMEs(f, c)
	case endInconsistent:
		return l.inconsistent(f, chains, c)
	case endConflict, endOmitted:
		return l.hiddenFromTXT(ctx, f, chains, c)
	case endTXTFailed:
		return l.failsForTXTQueries(f, chains)
	case endLoop:
		return l.chainCause(f, c, controlplane.CauseCNAMEChainLoop,
			"The CNAME records starting at %s form a loop.")
	case endTooLong:
		return l.chainCause(f, c, controlplane.CauseCNAMEChainTooLong,
			fmt.Sprintf(
				"The chain from %%s to its target has more than %d CNAME records, which CAs do not follow.", maxHops))
	case endElsewhere:
		if l.byWildcard(ctx, l.probeSource(f), dns.TypeCNAME) {
			return l.absent(f, " A wildcard record of the zone answers instead.")
		}
		return l.mismatch(f, c)
	case endFailed:
		return l.failed(ctx, f, c)
	default:
		return l.missing(ctx, f, c)
	}
}

// missing returns the cause if the challenge name has no CNAME. c is the chain of a source that
// shows it.
func (l *lookup) missing(ctx context.Context, f findings, c chain) controlplane.Diagnosis {
	if f.zone.missing {
		return l.noZone(f)
	}
	who := l.probeSource(f)
	for _, apex := range slices.Compact([]string{f.zone.apex, l.domain}) {
		doubled := l.challenge + apex // the challenge name ends with a dot
		if _, ok := dns.IsDomainName(doubled); !ok {
			continue
		}
		if c := l.follow(ctx, who, doubled); c.delegated() {
			return l.doubled(f, c)
		}
	}
	if c.end == endTXT && !l.byWildcard(ctx, c.source, dns.TypeTXT) {
		return l.conflict(f, c.txt)
	}
	if d, ok := l.addresses(ctx, f, who); ok {
		return d
	}
	if servers := l.subZone(ctx, f); len(servers) > 0 {
		return l.absentFromSubZone(f, servers)
	}
	return l.absent(f, "")
}

// byWildcard reports whether a name that does not exist also has records of the type. Then the
// records at the challenge name come from a wildcard, and a CNAME there replaces them (RFC 4592
// §3.3). CNAMEs are those in the answer to a TXT query.
func (l *lookup) byWildcard(ctx context.Context, who source, t uint16) bool {
	q := question{name: "_dcvaas-wildcard-probe." + l.domain, qtype: t}
	if t == dns.TypeCNAME {
		q.qtype = dns.TypeTXT
	}
	return len(l.ask(ctx, who, q).records(q.name, t)) > 0
}

// addresses returns the cause if the challenge name has addresses in place of the CNAME.
func (l *lookup) addresses(
	ctx context.Context, f findings, who source,
) (controlplane.Diagnosis, bool) {
	for _, t := range []uint16{dns.TypeA, dns.TypeAAAA} {
		q := question{name: l.challenge, qtype: t}
		found := l.ask(ctx, who, q).records(l.challenge, t)
		if len(found) > 0 && !l.byWildcard(ctx, who, t) {
			return l.proxied(f, found), true
		}
	}
	return controlplane.Diagnosis{}, false
}

// failed returns the cause if a name does not resolve: its DNSSEC signatures or its servers.
func (l *lookup) failed(ctx context.Context, f findings, c chain) controlplane.Diagnosis {
	name := c.at()
	if l.validationFails(ctx, question{name: name, qtype: dns.TypeCNAME}) {
		return l.bogus(f, name)
	}
	if d, ok := l.oneNetwork(f); ok && name == l.challenge {
		return d
	}
	return l.lame(f, name, l.subZone(ctx, f))
}

// stale returns the cause if all of the zone's servers have the record and no resolver does.
func (l *lookup) stale(ctx context.Context, f findings) controlplane.Diagnosis {
	negative := only(f.resolvers, func(c chain) bool { return c.end == endNoCNAME })
	if len(negative) == 0 {
		c := mostSpecific(f.resolvers)
		switch c.end {
		case endFailed:
			return l.failed(ctx, f, c)
		case endTXTFailed:
			return l.failsForTXTQueries(f, f.resolvers)
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

func only(chains []chain, condition func(chain) bool) []chain {
	var out []chain
	for _, c := range chains {
		if condition(c) {
			out = append(out, c)
		}
	}
	return out
}
