package dnscheck

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// maxHops is the largest number of CNAMEs from the challenge name to the target. Unbound, which CAs
// use, stops after 11.
const maxHops = 10

// ending is how a chain of CNAMEs ends.
type ending int

// The endings, the most specific first. If no source shows the right chain, the first of these in
// the results is the reported cause.
const (
	endTarget       ending = iota // at the target
	endSeveral                    // at a name with several CNAMEs
	endLoop                       // at a name that occurred before
	endTooLong                    // after maxHops, without reaching the target
	endInconsistent               // the source contradicts itself
	endConflict                   // at a name with TXT records besides its CNAME
	endOmitted                    // at the first name: its CNAME is not in answers to TXT queries
	endElsewhere                  // at another name
	endTXTFailed                  // a name fails for TXT queries, but not for CNAME queries
	endNotServed                  // at the target, whose own lookup fails
	endFailed                     // a name of the chain does not resolve
	endTXT                        // at the first name: it has TXT records and no CNAME
	endNoCNAME                    // at the first name: it has no CNAME
	endUnreachable                // the source is unreachable, or does not serve the zone
)

// chain is the chain of CNAMEs from the challenge name as one source shows it.
type chain struct {
	source source
	path   []string // the first name, then each CNAME's target
	end    ending
	first  reply // to the first query
	last   reply // to the last query

	several []string // the targets, at endSeveral
	txt     []dns.RR // the TXT records, at endTXT and endConflict
	// at endInconsistent: between what the answers differ, and the answers
	between, answers string
	// of a name server: why it does not answer over UDP or over TCP; empty if it does
	noUDP, noTCP string
}

// at returns the last name of the path.
func (c chain) at() string { return c.path[len(c.path)-1] }

// wrong reports whether the source answered and does not show the right chain.
func (c chain) wrong() bool {
	switch c.end {
	case endTarget, endNotServed, endTXTFailed, endUnreachable:
		return false
	}
	return true
}

// delegated reports whether the source shows the right chain, though its target may not resolve.
func (c chain) delegated() bool { return c.end == endTarget || c.end == endNotServed }

// broken reports whether the source failed at the first name.
func (c chain) broken() bool { return c.end == endFailed && len(c.path) == 1 }

// agrees reports whether two answers of one source have the same meaning for a CA.
func (c chain) agrees(d chain) bool {
	return (c.delegated() && d.delegated()) || (c.end == d.end && slices.Equal(c.path, d.path))
}

// follow sends the question of a CA, TXT at the name, and follows the CNAMEs of the answer until
// the target or the end of the chain.
func (l *lookup) follow(ctx context.Context, s source, name string) chain {
	return l.trace(ctx, s, name, l.ask(ctx, s, question{name: name, qtype: dns.TypeTXT}))
}

// trace follows the CNAMEs in r, the source's answer to the question of a CA. If they leave the
// source's zone, the resolvers are queried for the rest.
func (l *lookup) trace(ctx context.Context, s source, name string, r reply) chain {
	c := chain{source: s, path: []string{name}, first: r, last: r}
	for asked := name; ; {
		at := c.at()
		next, txt := c.last.targets(at), c.last.records(at, dns.TypeTXT)
		switch {
		case c.last.err != nil:
			c.end = endUnreachable
		case len(next) > 1:
			c.end, c.several = endSeveral, next
		case len(next) == 1 && len(txt) > 0:
			c.end, c.txt = endConflict, txt
		case len(next) == 1:
			if c.extend(next[0], l.target) {
				continue
			}
			if c.end == endTarget && !c.last.usable() {
				c.end = endNotServed
			}
		case at != asked && !c.last.settles(s, at):
			asked = at
			c.last = l.askOn(ctx, s, question{name: at, qtype: dns.TypeTXT})
			continue
		case !c.last.usable():
			c.end = endFailed
		case len(c.path) > 1:
			c.end = endElsewhere
		case len(txt) > 0:
			c.end, c.txt = endTXT, txt
		default:
			c.end = endNoCNAME
		}
		return c
	}
}

// settles reports whether an answer, to a question for another name, shows that the CNAMEs end at
// this one. A name server shows that only for its own zone.
func (r reply) settles(s source, at string) bool {
	return !s.authoritative && r.usable() &&
		(r.nxdomain() || r.soa() != nil || len(r.records(at, dns.TypeTXT)) > 0)
}

// walk follows the CNAMEs from name by CNAME queries, which show a chain that TXT queries do not. A
// name server is queried over UDP.
func (l *lookup) walk(ctx context.Context, s source, name string) chain {
	c := chain{source: s, path: []string{name}}
	c.first = l.ask(ctx, s, question{name: name, qtype: dns.TypeCNAME, network: s.udp()})
	c.last = c.first
	for {
		next := c.last.targets(c.at())
		switch {
		case c.last.err != nil:
			c.end = endUnreachable
		case !c.last.usable():
			c.end = endFailed
		case len(next) > 1:
			c.end, c.several = endSeveral, next
		case len(next) == 0 && len(c.path) == 1:
			c.end = endNoCNAME
		case len(next) == 0:
			c.end = endElsewhere
		case c.extend(next[0], l.target):
			c.last = l.askOn(ctx, s, question{name: c.at(), qtype: dns.TypeCNAME})
			continue
		}
		return c
	}
}

// udp returns the network for queries that must not be repeated over TCP.
func (s source) udp() string {
	if s.authoritative {
		return overUDP
	}
	return ""
}

// askOn queries the source for a later name of a chain: for a name server, which serves only its
// own zone, any resolver.
func (l *lookup) askOn(ctx context.Context, s source, q question) reply {
	if s.authoritative {
		return l.askAny(ctx, q)
	}
	return l.ask(ctx, s, q)
}

// extend adds a CNAME to the chain. It returns false if that ends the chain.
func (c *chain) extend(next, target string) bool {
	loop := slices.Contains(c.path, next)
	c.path = append(c.path, next)
	long := len(c.path)-1 > maxHops
	switch {
	case next == target && !long:
		c.end = endTarget
	case loop && next != target:
		c.end = endLoop
	case long:
		c.end = endTooLong
	default:
		return true
	}
	return false
}

// String returns the chain as part of a sentence.
func (c chain) String() string {
	if c.end == endInconsistent {
		return c.answers
	}
	s := c.describe()
	if c.noUDP != "" {
		s += " (over UDP: " + c.noUDP + ")"
	}
	if c.noTCP != "" {
		s += " (over TCP: " + c.noTCP + ")"
	}
	return s
}

func (c chain) describe() string {
	var names []string
	for _, n := range c.path {
		names = append(names, display(n))
	}
	path, which := strings.Join(names, " → "), " "
	if len(names) > 1 {
		which = ", which "
	}
	switch c.end {
	case endSeveral:
		return path + which + "has several CNAMEs: " + joined(c.several)
	case endLoop:
		return path + ", which is a loop"
	case endTooLong:
		return fmt.Sprintf("%s, a chain of %d CNAMEs", path, len(c.path)-1)
	case endConflict, endTXT:
		return controlplane.Observed(data(c.txt), ", ")
	case endElsewhere, endNoCNAME, endOmitted:
		if c.last.nxdomain() {
			return path + which + "does not exist (NXDOMAIN)"
		}
		return path + which + "has no CNAME"
	case endTXTFailed:
		return path + which + "fails for TXT queries (" + c.last.failure() + ")"
	case endFailed, endNotServed:
		return path + which + "does not resolve (" + c.last.failure() + ")"
	case endUnreachable:
		why := c.last.failure()
		if c.last.err == nil {
			why = "answered " + why
		}
		return "no answer for " + display(c.at()) + ": " + why
	}
	if c.last.nxdomain() {
		return path + ", which does not exist (NXDOMAIN)"
	}
	return path
}
