package dnscheck

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// maxHops is the largest number of CNAMEs from the challenge name to the target. Unbound, which CAs
// use, stops after 11.
const maxHops = 10

// ending is how a chain of CNAMEs ends.
type ending int

// The endings, the most specific first. If no source shows the right chain, the first of these in
// the results is the reported cause.
const (
	endTarget      ending = iota // at the target
	endLoop                      // at a name that occurred before
	endTooLong                   // after maxHops, without reaching the target
	endElsewhere                 // at another name
	endFailed                    // a name of the chain does not resolve (SERVFAIL)
	endNoCNAME                   // at the first name: it has no CNAME
	endUnreachable               // the source is unreachable, or does not serve the zone
)

// chain is the chain of CNAMEs from the challenge name as one source shows it.
type chain struct {
	source source
	path   []string // the first name, then each CNAME's target
	end    ending
	first  reply // to the first query
	last   reply // to the last query
}

// wrong reports whether the source answered and does not show the right chain.
func (c chain) wrong() bool { return c.end != endTarget && c.end != endUnreachable }

// broken reports whether the source failed at the first name.
func (c chain) broken() bool { return c.end == endFailed && len(c.path) == 1 }

// follow follows the CNAMEs from name until the target or the end of the chain. A name server is
// queried only for the first name. The resolvers are queried for the rest, which is in other zones.
func (l *lookup) follow(ctx context.Context, s source, name string) chain {
	c := chain{source: s, path: []string{name}}
	for {
		q := question{name: c.path[len(c.path)-1], qtype: dns.TypeCNAME}
		if s.authoritative && len(c.path) > 1 {
			c.last = l.askAny(ctx, q)
		} else {
			c.last = l.ask(ctx, s, q)
		}
		if len(c.path) == 1 {
			c.first = c.last
		}
		next := c.last.cname(q.name)
		switch {
		case c.last.err != nil:
			c.end = endUnreachable
		case !c.last.usable():
			c.end = endFailed
		case next == "" && len(c.path) == 1:
			c.end = endNoCNAME
		case next == "":
			c.end = endElsewhere
		case next == l.target:
			c.path, c.end = append(c.path, next), endTarget
			if len(c.path)-1 > maxHops {
				c.end = endTooLong
			}
		case slices.Contains(c.path, next):
			c.path, c.end = append(c.path, next), endLoop
		case len(c.path) > maxHops:
			c.path, c.end = append(c.path, next), endTooLong
		default:
			c.path = append(c.path, next)
			continue
		}
		return c
	}
}

// String returns the chain as part of a sentence.
func (c chain) String() string {
	var names []string
	for _, n := range c.path {
		names = append(names, display(n))
	}
	path, last := strings.Join(names, " → "), names[len(names)-1]
	switch c.end {
	case endNoCNAME:
		if c.last.nxdomain() {
			return last + " does not exist (NXDOMAIN)"
		}
		return last + " has no CNAME"
	case endElsewhere:
		if c.last.nxdomain() {
			return path + ", which does not exist (NXDOMAIN)"
		}
		return path + ", which has no CNAME"
	case endLoop:
		return path + ", which is a loop"
	case endTooLong:
		return fmt.Sprintf("%s, a chain of %d CNAMEs", path, len(c.path)-1)
	case endFailed:
		why := dns.RcodeToString[c.last.msg.Rcode]
		if more := extendedError(c.last.msg); more != "" {
			why += ": " + more
		}
		if len(names) > 1 {
			return path + ", which does not resolve (" + why + ")"
		}
		return last + " does not resolve (" + why + ")"
	case endUnreachable:
		why := plainError(c.last.err)
		if c.last.err == nil {
			why = "answered " + dns.RcodeToString[c.last.msg.Rcode]
		}
		return "no answer for " + last + ": " + why
	default:
		return path
	}
}
