package dnscheck

import (
	"context"
	"slices"
	"sync"

	"github.com/miekg/dns"
)

// interview sends the question of a CA, TXT at the challenge name, to a name server over UDP and
// over TCP, to which resolvers change if an answer over UDP is truncated. Without both, the latter
// is queried only if the answer over UDP is not complete.
func (l *lookup) interview(ctx context.Context, s source, both bool) chain {
	if !both {
		r := l.ask(ctx, s, question{name: l.challenge, qtype: dns.TypeTXT, network: overUDP})
		if r.usable() {
			return l.trace(ctx, s, l.challenge, r)
		}
	}
	var udp, tcp reply
	var wg sync.WaitGroup
	for network, r := range map[string]*reply{overUDP: &udp, overTCP: &tcp} {
		q := question{name: l.challenge, qtype: dns.TypeTXT, network: network}
		wg.Go(func() { *r = l.ask(ctx, s, q) })
	}
	wg.Wait()
	byUDP := l.trace(ctx, s, l.challenge, udp)
	switch {
	case byUDP.end == endNotServed: // the answer of a server that also resolves
		return byUDP
	case !udp.usable() && !udp.truncated():
		if c, ok := l.failsForTXT(ctx, s, udp); ok {
			return c
		}
		if !tcp.usable() {
			byUDP.end = endUnreachable // it does not serve the zone, so its answer does not count
			return byUDP
		}
		c := l.trace(ctx, s, l.challenge, tcp)
		c.noUDP = udp.failure()
		return c
	case udp.truncated():
		c := l.trace(ctx, s, l.challenge, tcp)
		if !tcp.usable() {
			c.end, c.noTCP = endUnreachable, tcp.failure()
		}
		return c
	case !tcp.usable():
		byUDP.noTCP = tcp.failure()
		return byUDP
	}
	return contrast(byUDP, l.trace(ctx, s, l.challenge, tcp))
}

// failsForTXT returns what a name server shows that does not answer the question of a CA, but
// answers CNAME queries. ok is false if it answers neither.
func (l *lookup) failsForTXT(ctx context.Context, s source, failure reply) (c chain, ok bool) {
	c = l.walk(ctx, s, l.challenge)
	switch {
	case len(c.path) == 1 && (c.end == endFailed || c.end == endUnreachable):
		return c, false
	case c.delegated(), c.end == endFailed, c.end == endUnreachable:
		return chain{source: s, path: c.path[:1], end: endTXTFailed, first: failure,
			last: failure}, true
	}
	return c, true // the CNAME is wrong too
}

// contrast returns the answer of a name server over both networks. If they differ, a CA may get
// either.
func contrast(udp, tcp chain) chain {
	switch {
	case udp.agrees(tcp), udp.end == endSeveral:
		return udp
	case tcp.end == endSeveral:
		return tcp
	}
	c := udp
	if !c.wrong() {
		c = tcp
	}
	c.end, c.between = endInconsistent, "over UDP and over TCP"
	c.answers = "over UDP: " + udp.describe() + "; over TCP: " + tcp.describe()
	return c
}

// explain adds what CNAME queries show to the findings of the sources that determine the cause.
func (l *lookup) explain(ctx context.Context, f *findings) {
	var wg sync.WaitGroup
	refine := func(c *chain) { wg.Go(func() { *c = l.refined(ctx, *c) }) }
	for i := range f.servers {
		if f.servers[i].wrong() {
			refine(&f.servers[i])
		}
	}
	wg.Wait()
	if count(f.resolvers, endTarget) > 0 || slices.ContainsFunc(f.servers, chain.wrong) {
		return
	}
	current := slices.ContainsFunc(f.servers, chain.delegated)
	for i := range f.resolvers {
		c := &f.resolvers[i]
		if current && (c.end == endNoCNAME || c.end == endTXT) {
			continue // cached
		}
		refine(c)
	}
	wg.Wait()
	if current {
		return
	}
	for i, c := range f.resolvers {
		if c.end == endUnreachable && timedOut(c.last.err) && l.resolverAnswered() {
			f.resolvers[i].end = endFailed // the resolver waits for the zone's name servers
		}
	}
}

// refined returns the chain with the reason why the answer to the question of a CA is not right, if
// CNAME queries show it.
func (l *lookup) refined(ctx context.Context, c chain) chain {
	unexplained := map[ending]ending{endTXT: endConflict, endNoCNAME: endOmitted,
		endElsewhere: endInconsistent}
	better, answered := unexplained[c.end]
	failed := c.end == endFailed || (c.end == endUnreachable && isUpstream(c.last.err))
	if !answered && !failed {
		return c
	}
	w := l.walk(ctx, c.source, c.path[0])
	w.first = c.first
	switch {
	case w.end == endSeveral:
		return w
	case answered && w.end == endTarget:
		c.between = "to CNAME queries and to TXT queries"
		c.answers = "to CNAME queries: " + w.describe() + "; to TXT queries: " + c.describe()
		c.end = better
		return c
	case answered, w.end == endUnreachable:
		return c
	case w.end == endTarget:
		return l.culprit(ctx, c, w)
	}
	return w
}

// culprit returns the chain w, which CNAME queries show, up to the name that fails for TXT queries.
// A resolver follows CNAMEs, so the last name that fails is at fault.
func (l *lookup) culprit(ctx context.Context, c, w chain) chain {
	replies := make([]reply, len(w.path))
	replies[0] = c.first
	var wg sync.WaitGroup
	for i, name := range w.path[1:] {
		wg.Go(func() {
			replies[i+1] = l.askOn(ctx, w.source, question{name: name, qtype: dns.TypeTXT})
		})
	}
	wg.Wait()
	for i := len(w.path) - 1; i >= 0; i-- {
		if replies[i].usable() {
			continue
		}
		c.path, c.last, c.end = w.path[:i+1], replies[i], endTXTFailed
		if i == len(w.path)-1 {
			c.end = endNotServed
		}
		break
	}
	return c
}
