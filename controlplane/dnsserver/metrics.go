package dnsserver

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
)

// The record types and response codes that metrics distinguish. Metrics never contain names.
var (
	typeNames  = [...]string{"other", "TXT", "A", "AAAA", "CAA", "NS", "SOA", "ANY"}
	rcodeNames = [...]string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
		"BADVERS"}
)

const (
	dropIgnored = iota // too short, or not a question
	dropLimited
	dropBusy // too many questions are waiting for a lookup
	dropKinds
)

var dropNames = [dropKinds]string{"ignored", "rate_limited", "busy"}

const (
	lookupExists = iota
	lookupAbsent
	lookupFailed
	lookupRefused // the budget was exhausted
	lookupKinds
)

var lookupNames = [lookupKinds]string{"exists", "absent", "failed", "refused"}

// metrics collects the server's metrics for Prometheus.
type metrics struct {
	memory   *memory
	lease    *lease
	now      func() time.Time
	lookups  [lookupKinds]atomic.Uint64
	restarts atomic.Uint64
	changes  atomic.Uint64
	tcpConns atomic.Int64
	evicted  [evictedKinds]atomic.Uint64

	mu       sync.Mutex
	counters []*counters
}

// counters are those of one goroutine or connection kind, to avoid contention.
type counters struct {
	transport string
	responses [len(typeNames)][len(rcodeNames)]atomic.Uint64
	truncated atomic.Uint64
	dropped   [dropKinds]atomic.Uint64
}

// newCounters returns counters that are included in the sums.
func (m *metrics) newCounters(transport string) *counters {
	c := &counters{transport: transport}
	m.mu.Lock()
	m.counters = append(m.counters, c)
	m.mu.Unlock()
	return c
}

// count counts a sent answer.
func (c *counters) count(r *reply) {
	c.responses[typeIndex(r.qtype)][rcodeIndex(r.rcode)].Add(1)
	if r.tc {
		c.truncated.Add(1)
	}
}

func typeIndex(t uint16) int {
	switch t {
	case dns.TypeTXT:
		return 1
	case dns.TypeA:
		return 2
	case dns.TypeAAAA:
		return 3
	case dns.TypeCAA:
		return 4
	case dns.TypeNS:
		return 5
	case dns.TypeSOA:
		return 6
	case dns.TypeANY:
		return 7
	}
	return 0
}

func rcodeIndex(rcode int) int {
	if rcode == dns.RcodeBadVers {
		return len(rcodeNames) - 1
	}
	return rcode
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("dcvaas_dns_"+name, help, labels, nil)
}

var (
	descResponses = desc("responses_total",
		"Answers sent, by transport, queried type, and response code.", "transport", "type",
		"rcode")
	descTruncated = desc("truncated_total", "Answers sent with TC set.", "transport")
	descDropped   = desc("dropped_total", "Messages not answered, by reason.", "transport",
		"reason")
	descLookups = desc("lookups_total", "Lookups of single targets in the source, by result.",
		"result")
	descRestarts = desc("feed_lost_total", "Number of times the feed was lost.")
	descChanges  = desc("changes_total", "Changes that the feed sent after a snapshot.")
	descInSync   = desc("in_sync", "1 while a snapshot is loaded and changes are followed.")
	descLease    = desc("lease", "1 while the server holds its lease. Without it, it answers SERVFAIL for targets.")
	descLag      = desc("feed_lag_seconds",
		"Age of the newest heartbeat that the feed has returned, in seconds, or time since the start before the first: memory contains every change before it. Normally at most 3.")
	descTargets    = desc("targets", "Targets in memory.")
	descChallenges = desc("challenges", "Challenges in memory.")
	descTCP        = desc("tcp_connections", "Open TCP connections.")
	descEvicted    = desc("tcp_evicted_total",
		"TCP connections closed to make room for a new one, by the limit that was reached: of an IPv4 address or IPv6 /64 (network), of an IPv4 /24 or IPv6 /48 (aggregate), or of all (total).", "limit")
)

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descResponses, descTruncated, descDropped, descLookups,
		descRestarts,
		descChanges, descInSync, descLease, descLag,
		descTargets, descChallenges, descTCP, descEvicted} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v))
	}
	for _, transport := range []string{"udp", "tcp"} {
		sum := m.sum(transport)
		for t := range typeNames {
			for r := range rcodeNames {
				if v := sum.responses[t][r].Load(); v > 0 {
					counter(descResponses, v, transport, typeNames[t], rcodeNames[r])
				}
			}
		}
		counter(descTruncated, sum.truncated.Load(), transport)
		for i := range dropNames {
			counter(descDropped, sum.dropped[i].Load(), transport, dropNames[i])
		}
	}
	for i := range lookupNames {
		counter(descLookups, m.lookups[i].Load(), lookupNames[i])
	}
	counter(descRestarts, m.restarts.Load())
	counter(descChanges, m.changes.Load())
	var synced int64
	if m.memory.synced.Load() {
		synced = 1
	}
	gauge(descInSync, synced)
	m.collectLease(ch)
	gauge(descTargets, m.memory.targets.Load())
	gauge(descChallenges, m.memory.challenges.Load())
	gauge(descTCP, m.tcpConns.Load())
	for i := range evictedNames {
		counter(descEvicted, m.evicted[i].Load(), evictedNames[i])
	}
}

// collectLease collects the metrics of the lease, if the server needs one.
func (m *metrics) collectLease(ch chan<- prometheus.Metric) {
	if m.lease.leases == nil {
		return
	}
	now := m.now().UnixNano()
	held := 0.0
	if m.lease.held(now) {
		held = 1
	}
	ch <- prometheus.MustNewConstMetric(descLease, prometheus.GaugeValue, held)
	ch <- prometheus.MustNewConstMetric(descLag, prometheus.GaugeValue, m.lease.lag(now).Seconds())
}

func (m *metrics) sum(transport string) *counters {
	m.mu.Lock()
	defer m.mu.Unlock()
	sum := new(counters)
	for _, c := range m.counters {
		if c.transport != transport {
			continue
		}
		for t := range typeNames {
			for r := range rcodeNames {
				sum.responses[t][r].Add(c.responses[t][r].Load())
			}
		}
		sum.truncated.Add(c.truncated.Load())
		for i := range dropNames {
			sum.dropped[i].Add(c.dropped[i].Load())
		}
	}
	return sum
}
