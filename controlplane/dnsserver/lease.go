package dnsserver

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	leaseTime   = 10 * time.Second
	beatEvery   = 2 * time.Second
	beatRetry   = 250 * time.Millisecond // after one that failed
	beatTimeout = 3 * time.Second
	keptBeats   = 64 // numbers whose times are kept: a lease has at most 40
)

// Leases stores the lease of a server. Publishers of a value wait until every server with a lease
// serves it, so a server without one must not answer for targets: it could miss a value.
type Leases interface {
	// Extend stores a beat, and with it a lease of b.Lease from then on. After its commit, the feed
	// of the same server sends Feed.Mark with the beat's number.
	Extend(ctx context.Context, b Beat) error
	// End ends the lease.
	End(ctx context.Context) error
}

// Beat is a heartbeat of a server.
type Beat struct {
	Address  string // the first that the server listens on, host:port
	Number   int64  // counted from 1
	Received int64  // the number of the newest mark from the feed, 0 without one
	Lease    time.Duration
}

// lease is the lease of a server as far as the server knows. It ends here before it ends in the
// store, because it counts from the time before the beat was sent.
type lease struct {
	leases Leases // nil: the server needs no lease
	until  atomic.Int64
	// current is until when memory is known to contain every change that was committed before the
	// current lease started, while the feed is in sync.
	current atomic.Int64
	// received is the time at which the newest beat was sent that the feed has returned, or that of
	// the start.
	received atomic.Int64
	tried    chan struct{} // closed after the first beat

	mu       sync.Mutex
	sent     map[int64]int64 // number of a beat → time
	last     int64           // number of the last successful beat
	first    int64           // number of the first beat of this lease
	returned int64           // number of the newest beat that the feed has returned
	expire   *time.Timer     // on the monotonic clock: a changed wall clock extends no lease
}

func newLease(leases Leases) *lease {
	return &lease{leases: leases, tried: make(chan struct{}), sent: map[int64]int64{}}
}

// held reports whether the server may answer for targets.
func (l *lease) held(now int64) bool { return l.leases == nil || now < l.until.Load() }

// isCurrent reports whether memory that is in sync contains everything that the publishers rely on.
func (l *lease) isCurrent(now int64) bool { return l.leases == nil || now < l.current.Load() }

// lag returns the age of the newest beat that the feed has returned.
func (l *lease) lag(now int64) time.Duration { return time.Duration(now - l.received.Load()) }

// send records that a beat is sent.
func (l *lease) send(number, now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[number] = now
	delete(l.sent, number-keptBeats)
}

// extend records that a beat was stored. It returns true if the lease starts with it.
func (l *lease) extend(number, now int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	starts := l.until.Load() <= now
	if starts {
		l.first = number
		if l.returned < number {
			l.current.Store(0)
		}
	}
	l.last = number
	left := time.Duration(l.sent[number] + int64(leaseTime) - now)
	if left <= 0 {
		return false
	}
	l.until.Store(l.sent[number] + int64(leaseTime))
	if l.expire == nil {
		l.expire = time.AfterFunc(left, func() { l.until.Store(0) })
	} else {
		l.expire.Reset(left)
	}
	return starts
}

// mark records that the feed has sent every change before a beat.
func (l *lease) mark(number int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sent, ok := l.sent[number]
	if !ok || number < l.first {
		return
	}
	l.returned = max(l.returned, number)
	l.received.Store(max(l.received.Load(), sent))
	l.current.Store(max(l.current.Load(), sent+int64(leaseTime)))
}

// stored returns the number of the last successful beat, 0 without one.
func (l *lease) stored() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// beat extends the lease until ctx is done.
func (s *Server) beat(ctx context.Context) {
	l := s.lease
	for number := int64(1); ctx.Err() == nil; number++ {
		pause := beatEvery
		if err := s.beatOnce(ctx, number); err != nil {
			pause = beatRetry
			if ctx.Err() == nil {
				s.log.Warn("dnsserver: the lease was not extended", "error", err,
					"held", l.held(s.now().UnixNano()))
			}
		}
		if number == 1 {
			close(l.tried)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (s *Server) beatOnce(ctx context.Context, number int64) error {
	l := s.lease
	l.send(number, s.now().UnixNano())
	l.mu.Lock()
	b := Beat{Address: s.Addr(), Number: number, Received: l.returned, Lease: leaseTime}
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	if err := l.leases.Extend(ctx, b); err != nil {
		return err
	}
	if l.extend(number, s.now().UnixNano()) {
		s.log.Info("dnsserver: answering for targets", "lease", leaseTime)
	}
	return nil
}

// endLease ends the lease, so that publishers no longer wait for this server.
func (s *Server) endLease(ctx context.Context) {
	if s.lease.leases == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := s.lease.leases.End(ctx); err != nil {
		s.log.Warn("dnsserver: the lease was not ended; it expires", "error", err)
	}
}
