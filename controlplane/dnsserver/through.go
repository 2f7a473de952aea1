package dnsserver

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	lookupTimeout = time.Second // of one Source.Lookup
	lookupMemory  = time.Second // how long its result is reused
	lookupWaiters = 1024        // questions of one transport that may wait for one
	throughShards = 16
	sweepInterval = 10 * time.Second // of expired challenges
)

// through looks up targets in the Source if memory may be outdated. Concurrent questions for one
// label share a lookup. Its result is kept for a second, or until the feed sends a change for that
// label. The number of lookups is limited, so that a flood of random labels costs the database at
// most LookupRate queries per second.
type through struct {
	lookup  func(ctx context.Context, label string) (bool, []Challenge, error)
	now     func() time.Time
	metrics *metrics
	every   int64 // cost of one lookup, in nanoseconds of budget
	spent   atomic.Int64
	slots   chan struct{}
	// The waiting questions per transport. They are counted separately, so that a flood of spoofed
	// UDP questions does not block TCP, and one client's connections do not block UDP.
	waitingUDP, waitingTCP atomic.Int64

	shards [throughShards]throughShard
}

type throughShard struct {
	mu    sync.Mutex
	calls map[key]*call
}

// call is one lookup. done is closed when its result is set.
type call struct {
	done   chan struct{}
	exists bool
	recs   records
	err    error
	until  int64 // expiry of the result; 0 while it is running
}

func newThrough(c Config, m *metrics) *through {
	t := &through{lookup: c.Source.Lookup, now: c.Now, metrics: m,
		every: int64(time.Second) / int64(c.LookupRate),
		slots: make(chan struct{}, c.LookupConcurrency)}
	for i := range t.shards {
		t.shards[i].calls = make(map[key]*call)
	}
	return t
}

func (t *through) shard(k key) *throughShard { return &t.shards[k[1]%throughShards] }

// start returns the lookup of k: a finished one that has not expired, a running one, or a new one.
// It returns nil if the budget is exhausted.
func (t *through) start(ctx context.Context, k key, now int64) *call {
	s := t.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.calls[k]; c != nil && (c.until == 0 || c.until > now) {
		return c
	}
	if !t.afford(now) {
		t.metrics.lookups[lookupRefused].Add(1)
		return nil
	}
	for old, c := range s.calls { // at most LookupRate + LookupConcurrency entries
		if c.until != 0 && c.until <= now {
			delete(s.calls, old)
		}
	}
	c := &call{done: make(chan struct{})}
	s.calls[k] = c
	go t.run(ctx, k, c)
	return c
}

// afford takes one lookup from the budget and reserves a slot for it.
func (t *through) afford(now int64) bool {
	select {
	case t.slots <- struct{}{}:
	default:
		return false
	}
	if take(&t.spent, now, t.every, int64(time.Second)) {
		return true
	}
	<-t.slots
	return false
}

func (t *through) run(ctx context.Context, k key, c *call) {
	defer close(c.done)
	defer func() { <-t.slots }()
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	exists, challenges, err := t.lookup(ctx, k.String())
	var recs records
	for _, ch := range challenges {
		if r, ok := newRecord(ch); ok && exists {
			recs = recs.with(r)
		}
	}
	switch {
	case err != nil:
		t.metrics.lookups[lookupFailed].Add(1)
	case exists:
		t.metrics.lookups[lookupExists].Add(1)
	default:
		t.metrics.lookups[lookupAbsent].Add(1)
	}
	s := t.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.exists, c.recs, c.err = exists, recs, err
	c.until = t.now().Add(lookupMemory).UnixNano()
	if err != nil && s.calls[k] == c { // the next question retries
		delete(s.calls, k)
	}
}

// forget drops the result for k, and prevents a running lookup from being reused.
func (t *through) forget(k key) {
	s := t.shard(k)
	s.mu.Lock()
	delete(s.calls, k)
	s.mu.Unlock()
}

// enter reserves a place for a waiting question. The caller releases it with leave.
func (t *through) enter(waiting *atomic.Int64) bool {
	if waiting.Add(1) > lookupWaiters {
		waiting.Add(-1)
		return false
	}
	return true
}

func (t *through) leave(waiting *atomic.Int64) { waiting.Add(-1) }

// take takes one token from a bucket that refills every so many nanoseconds and holds burst
// nanoseconds' worth (GCRA). at is the bucket's state: the time at which it is full again.
func take(at *atomic.Int64, now, every, burst int64) bool {
	for {
		old := at.Load()
		next := max(old, now) + every
		if next > now+burst {
			return false
		}
		if at.CompareAndSwap(old, next) {
			return true
		}
	}
}

func (t *through) forgetAll() {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		clear(s.calls)
		s.mu.Unlock()
	}
}
