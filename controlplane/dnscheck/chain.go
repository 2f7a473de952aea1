package dnscheck

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// maxHops is how many CNAMEs may lead from the challenge name to the target. Unbound, which
// CAs use, gives up after 11.
const maxHops = 10

// ending says how a chain of CNAMEs ends.
type ending int

// The endings. Where no source shows the chain right, the one nearest the top is the cause
// that is named: it says most.
const (
	endRight       ending = iota // at our target
	endLoop                      // at a name that was there before
	endTooLong                   // after maxHops, nowhere
	endElsewhere                 // at another name
	endFailed                    // a name on the way, or the first, could not be resolved (SERVFAIL)
	endNone                      // at once: there is no CNAME
	endUnreachable               // nobody could be asked, or a name server does not serve the zone
)

// chain is where one source sees the challenge name lead.
type chain struct {
	source source
	path   []string // the name that was asked first, and then each CNAME's target
	end    ending
	first  reply // to the first question
	last   reply // to the last
}

// wrong reports whether the source has said something that is not right.
func (c chain) wrong() bool { return c.end != endRight && c.end != endUnreachable }

// broken reports whether the source failed at the very first name.
func (c chain) broken() bool { return c.end == endFailed && len(c.path) == 1 }

// follow asks a source where name leads and goes on until the target, or until there is
// nowhere to go. A name server is asked for its own name only; the rest of the way is
// asked of the resolvers, as its zones are others'.
func (l *look) follow(ctx context.Context, s source, name string) chain {
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
			c.end = endNone
		case next == "":
			c.end = endElsewhere
		case next == l.target:
			c.path, c.end = append(c.path, next), endRight
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

// String is what was seen, as a part of a sentence.
func (c chain) String() string {
	var names []string
	for _, n := range c.path {
		names = append(names, display(n))
	}
	path, last := strings.Join(names, " → "), names[len(names)-1]
	switch c.end {
	case endNone:
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
		return path + ", which was there before"
	case endTooLong:
		return fmt.Sprintf("%s, which is %d CNAMEs", path, len(c.path)-1)
	case endFailed:
		why := dns.RcodeToString[c.last.msg.Rcode]
		if more := extendedError(c.last.msg); more != "" {
			why += ": " + more
		}
		if len(names) > 1 {
			return path + ", which cannot be resolved (" + why + ")"
		}
		return last + " cannot be resolved (" + why + ")"
	case endUnreachable:
		why := plainError(c.last.err)
		if c.last.err == nil {
			why = "it answers " + dns.RcodeToString[c.last.msg.Rcode]
		}
		return "no word on " + last + ": " + why
	default:
		return path
	}
}
