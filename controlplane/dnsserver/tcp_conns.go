package dnsserver

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Shares of MaxTCPConns.
const (
	networkShare   = 8  // an IPv4 address or IPv6 /64 gets an eighth
	aggregateShare = 4  // an IPv4 /24 or IPv6 /48 gets a quarter
	heavyShare     = 16 // at the total limit, aggregates with a sixteenth are evicted first
)

// The limits that can evict a connection.
const (
	evictedByNetwork = iota
	evictedByAggregate
	evictedByTotal
	evictedKinds
)

var evictedNames = [evictedKinds]string{"network", "aggregate", "total"}

// tcpConns tracks the open connections. A new connection is always accepted. At a limit, the
// connection that has been without a complete question for the longest time is evicted: that of the
// client over its limit, or, at the total limit, of the aggregate with the most connections. If no
// aggregate has many, it is the longest of all. A few connections of one client therefore survive a
// flood from many addresses.
type tcpConns struct {
	limits  [evictedKinds]int
	heavyAt int
	exempt  []netip.Prefix // subject only to the total limit
	metrics *metrics

	mu         sync.Mutex // guards the fields below
	all        group
	networks   map[netip.Prefix]*group
	aggregates map[netip.Prefix]*group
	heavy      map[*group]struct{} // the few aggregates with heavyAt or more connections
	draining   bool
}

// group contains connections that share a limit.
type group struct {
	key   netip.Prefix
	conns list.List // of *tcpConn, the longest without a complete question first
}

// place is a connection's position in a group.
type place struct {
	in *group
	at *list.Element
}

func newTCPConns(c Config, m *metrics) *tcpConns {
	return &tcpConns{
		limits: [...]int{max(1, c.MaxTCPConns/networkShare), max(1, c.MaxTCPConns/aggregateShare),
			c.MaxTCPConns},
		heavyAt: max(1, c.MaxTCPConns/heavyShare),
		exempt:  c.RateLimitExempt, metrics: m,
		networks: make(map[netip.Prefix]*group), aggregates: make(map[netip.Prefix]*group),
		heavy: make(map[*group]struct{}),
	}
}

// add adds a new connection and returns the one to close for it, if any. It returns false if the
// server is stopping.
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

// heaviest returns the aggregate with the most connections, or all if no aggregate has many.
func (t *tcpConns) heaviest() *group {
	most := &t.all
	for g := range t.heavy {
		if most == &t.all || g.conns.Len() > most.conns.Len() {
			most = g
		}
	}
	return most
}

// forget removes a connection from its groups. For an evicted one it does nothing.
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

// remove removes a closed connection.
func (t *tcpConns) remove(c *tcpConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(c)
}

// touch records that a connection has sent a complete question.
func (t *tcpConns) touch(c *tcpConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range c.places {
		if p.in != nil {
			p.in.conns.MoveToBack(p.at)
		}
	}
}

// await sets the deadline for the next complete question. It returns false if the server is
// stopping.
func (t *tcpConns) await(conn net.Conn, idle time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.draining && conn.SetReadDeadline(time.Now().Add(idle)) == nil
}

// drain closes each connection after its received questions are answered.
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
	key, _ := client.Prefix(bits) // bits never exceeds the address length
	g := groups[key]
	if g == nil {
		g = &group{key: key}
		groups[key] = g
	}
	return g
}
