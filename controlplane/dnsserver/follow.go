package dnsserver

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Backoff between attempts to follow the source.
const (
	minPause = 100 * time.Millisecond
	maxPause = 5 * time.Second
)

// follow keeps memory in sync with the source until ctx is done.
func (s *Server) follow(ctx context.Context) {
	if s.lease.leases != nil {
		select { // the feed sends marks only from the time at which it starts
		case <-s.lease.tried:
		case <-ctx.Done():
			return
		}
	}
	pause := minPause
	for {
		f := &feed{server: s}
		err := s.source.Follow(ctx, f)
		s.memory.synced.Store(false)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("the source returned")
		}
		s.metrics.restarts.Add(1)
		if f.committed {
			pause = minPause
		}
		wait := pause/2 + rand.N(pause) // ±50%, so that replicas do not reconnect at once
		s.log.Warn("dnsserver: lost the feed, answering by lookups", "error", err, "retry_in", wait)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		pause = min(2*pause, maxPause)
	}
}

// sweep removes expired challenges until ctx is done. Expired challenges are never served.
func (s *Server) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.memory.sweep(s.now())
		}
	}
}

// feed receives the content from one call of Source.Follow.
type feed struct {
	server    *Server
	committed bool
}

var _ Feed = (*feed)(nil)

func (f *feed) StartSnapshot() Snapshot {
	f.server.memory.synced.Store(false)
	f.server.memory.startSnapshot()
	return &snapshot{feed: f, live: make(map[key]records), since: f.server.lease.stored()}
}

func (f *feed) Mark(number int64) { f.server.lease.mark(number) }

func (f *feed) AddTarget(label string) {
	if k, ok := f.key(label); ok {
		f.server.memory.addTarget(k)
		f.changed(k)
	}
}

func (f *feed) RemoveTarget(label string) {
	if k, ok := f.key(label); ok {
		f.server.memory.removeTarget(k)
		f.changed(k)
	}
}

func (f *feed) AddChallenge(c Challenge) {
	if k, r, ok := f.record(c); ok {
		f.server.memory.addChallenge(k, r)
		f.changed(k)
	}
}

func (f *feed) RemoveChallenge(label, value string) {
	if k, r, ok := f.record(Challenge{Label: label, Value: value}); ok {
		f.server.memory.removeChallenge(k, r)
		f.changed(k)
	}
}

func (f *feed) changed(k key) {
	f.server.through.forget(k)
	f.server.metrics.changes.Add(1)
}

func (f *feed) key(label string) (key, bool) {
	k, ok := parseLabel(label)
	if !ok {
		f.server.log.Warn("dnsserver: the feed sent an invalid label", "label", label)
	}
	return k, ok
}

func (f *feed) record(c Challenge) (key, records, bool) {
	k, ok := f.key(c.Label)
	if !ok {
		return k, nil, false
	}
	r, ok := newRecord(c)
	if !ok {
		f.server.log.Warn("dnsserver: the feed sent an oversized value", "label", c.Label,
			"octets", len(c.Value))
	}
	return k, r, ok
}

// snapshot writes targets directly to memory and keeps the few challenges until Commit.
type snapshot struct {
	feed  *feed
	live  map[key]records
	since int64 // number of a beat that was stored before the snapshot
}

func (p *snapshot) Target(label string) {
	if k, ok := p.feed.key(label); ok {
		p.feed.server.memory.addTarget(k)
	}
}

func (p *snapshot) Challenge(c Challenge) {
	if k, r, ok := p.feed.record(c); ok {
		p.live[k] = p.live[k].with(r)
	}
}

func (p *snapshot) Commit() {
	s := p.feed.server
	s.memory.commit(p.live)
	s.through.forgetAll()
	s.lease.mark(p.since)
	s.memory.synced.Store(true)
	p.feed.committed = true
	s.log.Info("dnsserver: zone loaded", "targets", s.memory.targets.Load(),
		"challenges", s.memory.challenges.Load())
}
