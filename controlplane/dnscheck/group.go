package dnscheck

import (
	"context"
	"sync"
	"time"
)

// queriesPerName bounds the queries for a name that shares its zone with a name that was checked
// before it in the same call, if neither has a problem and its parents have been checked.
const queriesPerName = 12

// group is what the checks of one call share: the answers about common zones, which are sent only
// once in the call regardless of their TTL, and which resolvers have failed. It is safe for
// concurrent use.
type group struct {
	// ctx is that of the call, and of the queries that its checks share; nil if it has one check.
	ctx context.Context
	at  time.Time // start of the call; zero if it has one check

	started moment
	since   moment // answers to queries before it are not used

	mu    sync.Mutex
	calls map[key]*call   // of shared questions
	down  map[string]bool // resolvers that have failed, by address
	zones map[string]int  // how many names of a zone are checked, by apex
	next  *group          // see renewed
}

// newGroup returns a group that uses only answers to queries that are sent from now on.
func (d *Doctor) newGroup() *group {
	now := d.cache.moment()
	return newGroupSince(now)
}

func newGroupSince(m moment) *group {
	return &group{started: m, since: m, calls: map[key]*call{}, down: map[string]bool{},
		zones: map[string]int{}}
}

// renewed returns the group of the checks that repeat those of g, without answers to queries that
// were sent before g.
func (g *group) renewed() *group {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next == nil {
		n := newGroupSince(g.started)
		n.ctx, n.at, n.down = g.ctx, g.at, g.down
		g.next = n
	}
	return g.next
}

// join returns the call of a shared question: that of another check, or else c.
func (g *group) join(k key, c *call) *call {
	g.mu.Lock()
	defer g.mu.Unlock()
	if other := g.calls[k]; other != nil {
		return other
	}
	g.calls[k] = c
	return c
}

// answered returns the usable answer of another check to a shared question.
func (g *group) answered(k key) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.calls[k]
	return c != nil && c.isDone() && c.answer.usable()
}

// turn counts a name of the zone, and returns how many were counted before.
func (g *group) turn(apex string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.zones[apex]
	g.zones[apex]++
	return n
}

func (g *group) markDown(s source) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down[s.address] = true
}

func (g *group) isDown(s source) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.down[s.address]
}

// portion is which of the zone's name servers a check queries for CAA records and over TCP, besides
// UDP: all for the first name of a zone in the call, and as many as queriesPerName allows for the
// others. They take turns.
type portion struct{ first, servers, caa, tcp int }

// portion returns the portion of the check's name.
func (l *lookup) portion(ctx context.Context) portion {
	return l.part.get(func() portion {
		n := len(l.zoneServers(ctx))
		p := portion{servers: n, caa: n, tcp: n}
		if l.group.ctx == nil {
			return p
		}
		if p.first = l.turn(l.domainZone(ctx).apex); p.first == 0 {
			return p
		}
		left := max(queriesPerName-len(l.resolvers)-1-n, 1) // TXT at all, and CAA at a resolver
		p.caa = min(n, left)
		p.tcp = min(n, left-p.caa)
		return p
	})
}

// has reports whether the server at index i is among the number that take the turn.
func (p portion) has(i, number int) bool {
	return (i-p.first%max(p.servers, 1)+p.servers)%max(p.servers, 1) < number
}
