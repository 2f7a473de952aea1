package dnsserver

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"time"
)

// How much of MaxTCPConns is for one client.
const (
	networkShare   = 8  // an IPv4 address or IPv6 /64 gets an eighth
	aggregateShare = 4  // an IPv4 /24 or IPv6 /48 gets a quarter
	heavyShare     = 16 // an aggregate with a sixteenth makes room first when all are taken
)

// The limits that a connection can be evicted by.
const (
	evictedByNetwork = iota
	evictedByAggregate
	evictedByTotal
	evictedKinds
)

var evictedNames = [evictedKinds]string{"network", "aggregate", "total"}

// tcpConns are the connections that are open. A new one always gets in: over a limit the
// connection that has been longest without a whole question goes, from the client that is over
// its limit, or, when all places are taken, from the aggregate that holds the most. Where none
// holds much, it is the longest of all, so that a few connections of one client outlive a
// flood from many addresses.
type tcpConns struct {
	limits  [evictedKinds]int
	heavyAt int
	exempt  []netip.Prefix // that no limit but the total is for
	metrics *metrics

	mu         sync.Mutex // of everything below
	all        group
	networks   map[netip.Prefix]*group
	aggregates map[netip.Prefix]*group
	heavy      map[*group]struct{} // aggregates with heavyAt or more, which are few
	draining   bool
}

// group is connections that share a limit.
type group struct {
	key   netip.Prefix
	conns list.List // of *tcpConn, the one longest without a whole question first
}

// place is where a group has a connection.
type place struct {
	in *group
	at *list.Element
}

func newTCPConns(c Config, m *metrics) *tcpConns {
	return &tcpConns{
		limits:  [...]int{max(1, c.MaxTCPConns/networkShare), max(1, c.MaxTCPConns/aggregateShare), c.MaxTCPConns},
		heavyAt: max(1, c.MaxTCPConns/heavyShare),
		exempt:  c.RateLimitExempt, metrics: m,
		networks: make(map[netip.Prefix]*group), aggregates: make(map[netip.Prefix]*group), heavy: make(map[*group]struct{}),
	}
}

// add takes a new connection, and returns the one to cut for it, if any. It reports false
// when the server stops.
func (t *tcpConns) add(c *tcpConn) (evicted *tcpConn, ok bool) {
	client := c.conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap().WithZone("")
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.draining {
		return nil, false
	}
	c.places[evictedByTotal].enter(&t.all, c)
	if !within(t.exempt, client) {
		network, aggregate := 64, 48
		if client.Is4() {
			network, aggregate = 32, 24
		}
		c.places[evictedByNetwork].enter(groupOf(t.networks, client, network), c)
		c.places[evictedByAggregate].enter(groupOf(t.aggregates, client, aggregate), c)
	}
	for kind, p := range c.places {
		if p.in == nil || p.in.conns.Len() <= t.limits[kind] {
			continue
		}
		from := p.in
		if kind == evictedByTotal {
			from = t.heaviest()
		}
		evicted = from.conns.Front().Value.(*tcpConn)
		t.forget(evicted)
		t.metrics.evicted[kind].Add(1)
		break
	}
	if a := c.places[evictedByAggregate].in; a != nil && a.conns.Len() >= t.heavyAt {
		t.heavy[a] = struct{}{}
	}
	return evicted, true
}

// heaviest returns the aggregate that holds the most, or all where none holds much.
func (t *tcpConns) heaviest() *group {
	most := &t.all
	for g := range t.heavy {
		if most == &t.all || g.conns.Len() > most.conns.Len() {
			most = g
		}
	}
	return most
}

// forget takes a connection out of its groups; of one that was evicted nothing is left to do.
func (t *tcpConns) forget(c *tcpConn) {
	for kind, p := range c.places {
		if p.in == nil {
			continue
		}
		p.in.conns.Remove(p.at)
		switch kind {
		case evictedByNetwork:
			if p.in.conns.Len() == 0 {
				delete(t.networks, p.in.key)
			}
		case evictedByAggregate:
			if p.in.conns.Len() < t.heavyAt {
				delete(t.heavy, p.in)
			}
			if p.in.conns.Len() == 0 {
				delete(t.aggregates, p.in.key)
			}
		}
	}
	c.places = [evictedKinds]place{}
}

// remove forgets a connection that has ended.
func (t *tcpConns) remove(c *tcpConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(c)
}

// touch says that a connection has sent a whole question.
func (t *tcpConns) touch(c *tcpConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range c.places {
		if p.in != nil {
			p.in.conns.MoveToBack(p.at)
		}
	}
}

// await sets the time within which the next question is to be there as a whole. It reports
// false when the server stops.
func (t *tcpConns) await(conn net.Conn, idle time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.draining && conn.SetReadDeadline(time.Now().Add(idle)) == nil
}

// drain makes every connection end when what it has read is answered.
func (t *tcpConns) drain() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.draining = true
	for e := t.all.conns.Front(); e != nil; e = e.Next() {
		_ = e.Value.(*tcpConn).conn.SetReadDeadline(time.Unix(1, 0))
	}
}

func (t *tcpConns) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for e := t.all.conns.Front(); e != nil; e = e.Next() {
		_ = e.Value.(*tcpConn).conn.Close()
	}
}

func (p *place) enter(g *group, c *tcpConn) { *p = place{in: g, at: g.conns.PushBack(c)} }

// groupOf returns the group of a client's network.
func groupOf(groups map[netip.Prefix]*group, client netip.Addr, bits int) *group {
	key, _ := client.Prefix(bits) // every address has so many bits
	g := groups[key]
	if g == nil {
		g = &group{key: key}
		groups[key] = g
	}
	return g
}
