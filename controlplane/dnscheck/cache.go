package dnscheck

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// longestReuse bounds how long an answer with records is reused. A shorter TTL applies.
	longestReuse = time.Hour
	// longestNegative bounds how long a negative answer is reused (RFC 2308 §5).
	longestNegative = 15 * time.Minute
	// cacheSize bounds the memory of the cache, in bytes.
	cacheSize = 16 << 20
	// entrySize is what an entry needs besides its answer and its names, in bytes.
	entrySize = 256
)

// cache keeps the answers that checks of several domains need: those to shared questions. It keeps
// an answer for its TTL, and removes those that were not used for the longest time when it is full.
// Failures are not kept. Checks that need the same answer at the same time share one query. A cache
// is safe for concurrent use.
type cache struct {
	now  func() time.Time
	size int // bound of used

	mu      sync.Mutex
	last    moment // of the latest query or check
	entries map[key]*list.Element
	recent  *list.List // of *entry, the most recently used one first
	flights map[key]*flight
	used    int // bytes
	reused  uint64
}

// moment orders the starts of queries and checks. Unlike the clock, it never repeats.
type moment uint64

// key identifies an answer.
type key struct {
	source string // address
	question
}

// answer is a reply with its origin.
type answer struct {
	reply
	sent moment // when its query was sent
	at   time.Time
}

// entry is an answer that is kept.
type entry struct {
	key     key
	raw     []byte // as on the wire, which needs less memory
	sent    moment
	at      time.Time
	expires time.Time
}

func (e *entry) bytes() int {
	return entrySize + len(e.raw) + len(e.key.source) + len(e.key.name)
}

// flight is a query in progress.
type flight struct {
	cancel  context.CancelFunc
	waiting int // checks
	done    chan struct{}
	answer  answer // set when done is closed; its reply only then
}

func newCache(now func() time.Time, size int) *cache {
	return &cache{now: now, size: size, entries: map[key]*list.Element{}, recent: list.New(),
		flights: map[key]*flight{}}
}

// moment returns a moment after every earlier one.
func (c *cache) moment() moment {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tick()
}

func (c *cache) tick() moment {
	c.last++
	return c.last
}

// has reports whether an answer is kept that was requested after since.
func (c *cache) has(k key, since moment) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	el := c.entries[k]
	return el != nil && el.Value.(*entry).sent > since && c.now().Before(el.Value.(*entry).expires)
}

// get returns an answer that was requested after since: the one that is kept, that of a query in
// progress, or that of a new query. The query continues while any caller waits for it. If ctx is
// done first, the answer has its error.
func (c *cache) get(
	ctx context.Context, k key, since moment, query func(context.Context) reply,
) answer {
	c.mu.Lock()
	if a, ok := c.use(k, since); ok {
		c.mu.Unlock()
		return a
	}
	f := c.flights[k]
	if f != nil && f.answer.sent > since {
		c.reused++
	} else {
		f = c.send(ctx, k, query)
	}
	f.waiting++
	c.mu.Unlock()
	select {
	case <-f.done:
		return f.answer
	case <-ctx.Done():
		c.leave(k, f)
		return answer{reply: reply{err: ctx.Err()}, sent: f.answer.sent, at: f.answer.at}
	}
}

// use returns the answer that is kept and marks it as used.
func (c *cache) use(k key, since moment) (answer, bool) {
	el := c.entries[k]
	if el == nil {
		return answer{}, false
	}
	e := el.Value.(*entry)
	if !c.now().Before(e.expires) {
		c.remove(el)
		return answer{}, false
	}
	m := new(dns.Msg)
	if e.sent <= since || m.Unpack(e.raw) != nil {
		return answer{}, false
	}
	c.recent.MoveToFront(el)
	c.reused++
	return answer{reply: reply{msg: m}, sent: e.sent, at: e.at}, true
}

// send starts a query. It does not end with ctx, because other checks may wait for it.
func (c *cache) send(ctx context.Context, k key, query func(context.Context) reply) *flight {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{cancel: cancel, done: make(chan struct{}),
		answer: answer{sent: c.tick(), at: c.now()}}
	c.flights[k] = f
	go func() {
		defer cancel()
		r := query(ctx)
		c.land(k, f, r, ctx.Err() != nil)
		close(f.done)
	}()
	return f
}

// land keeps the answer of a query, or forgets the previous one if the query failed. A query that
// every check has left shows nothing.
func (c *cache) land(k key, f *flight, r reply, left bool) {
	lifetime := r.lifetime(k.qtype)
	var raw []byte
	if lifetime > 0 {
		if packed, err := r.msg.Pack(); err == nil {
			raw = packed
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f.answer.reply = r
	if c.flights[k] == f {
		delete(c.flights, k)
	}
	if left {
		return
	}
	if el := c.entries[k]; el != nil {
		if el.Value.(*entry).sent > f.answer.sent {
			return
		}
		c.remove(el)
	}
	if raw == nil {
		return
	}
	e := &entry{key: k, raw: raw, sent: f.answer.sent, at: f.answer.at,
		expires: c.now().Add(lifetime)}
	c.entries[k] = c.recent.PushFront(e)
	c.used += e.bytes()
	for c.used > c.size {
		c.remove(c.recent.Back())
	}
}

// leave ends a query when the last check that waits for it has left.
func (c *cache) leave(k key, f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.waiting--
	if f.waiting > 0 {
		return
	}
	f.cancel()
	if c.flights[k] == f {
		delete(c.flights, k)
	}
}

func (c *cache) remove(el *list.Element) {
	e := c.recent.Remove(el).(*entry)
	delete(c.entries, e.key)
	c.used -= e.bytes()
}

// lifetime returns how long an answer to a question of the type may be reused: the shortest TTL of
// its records and, if it has none of the type, that of RFC 2308 §5. It returns 0 for a failure, and
// for a negative answer without an SOA record.
func (r reply) lifetime(qtype uint16) time.Duration {
	if !r.usable() {
		return 0
	}
	shortest, negative := longestReuse, true
	for _, rr := range r.msg.Answer {
		h := rr.Header()
		negative = negative && h.Rrtype != qtype
		shortest = min(shortest, time.Duration(h.Ttl)*time.Second)
	}
	if negative {
		return min(shortest, longestNegative, r.negativeTTL())
	}
	return shortest
}
