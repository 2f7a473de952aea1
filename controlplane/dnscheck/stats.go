package dnscheck

import "sync/atomic"

// Stats describes the queries of a Doctor since it was created, and its cache now.
type Stats struct {
	ResolverQueries, ServerQueries uint64 // sent to resolvers and to zones' name servers
	Reused                         uint64 // answers that an earlier or concurrent query had requested
	Entries, Bytes                 int    // of the answers that are kept
}

// counters count queries.
type counters struct{ resolver, server atomic.Uint64 }

// count counts a query to the source.
func (c *counters) count(s source) {
	if s.authoritative {
		c.server.Add(1)
		return
	}
	c.resolver.Add(1)
}

// Stats returns the counts.
func (d *Doctor) Stats() Stats {
	s := Stats{ResolverQueries: d.sent.resolver.Load(), ServerQueries: d.sent.server.Load()}
	d.cache.mu.Lock()
	defer d.cache.mu.Unlock()
	s.Reused, s.Entries, s.Bytes = d.cache.reused, len(d.cache.entries), d.cache.used
	return s
}
