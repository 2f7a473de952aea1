package dnsserver

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// shardCount is the number of shards. With 5,000 changes per second of 200 ns each over 256 locks,
// one read in 250,000 waits.
const shardCount = 256

// memory holds the zone's targets and live challenges. A target takes 24 octets plus its share of
// the table's free slots.
type memory struct {
	shards     [shardCount]shard
	targets    atomic.Int64
	challenges atomic.Int64
	synced     atomic.Bool // a snapshot is complete, and Follow is running
}

type shard struct {
	mu   sync.RWMutex
	keys table
	live []live   // indexed by the marks of keys
	free []uint32 // unused entries of live
	next int64    // the earliest expiry of a challenge
	_    [16]byte // padding to two cache lines
}

// live contains a key's challenges. They are stored next to the key if they are as short as an ACME
// challenge, so that an answer reads no other memory. It takes two cache lines.
type live struct {
	key   key
	size  uint8 // used length of short
	short [83]byte
	long  records // instead of short
}

func (l *live) set(recs records) {
	if len(recs) > len(l.short) {
		l.size, l.long = 0, recs
		return
	}
	l.size, l.long = uint8(copy(l.short[:], recs)), nil
}

// records returns the challenges, which are valid while the shard is locked.
func (l *live) records() records {
	if l.long != nil {
		return l.long
	}
	return l.short[:l.size]
}

// Bits of a key's mark. The bits above them are the number of its entry in the shard's live,
// counted from 1.
const (
	isTarget  = 1 << iota
	isSeen    // a target in the current snapshot, or added since
	liveShift = iota
)

// shard returns the shard of a key by its first octet. Labels are HMACs and therefore evenly
// distributed.
func (m *memory) shard(k *key) *shard { return &m.shards[k[0]] }

// shortRecords is a buffer for the result of find.
type shortRecords [len(live{}.short)]byte

// find returns whether the target is known, and its records including expired ones, in buf or in
// immutable memory.
func (m *memory) find(k key, buf *shortRecords) (exists bool, recs records) {
	s := m.shard(&k)
	s.mu.RLock()
	mark := s.keys.get(&k)
	if mark&isTarget != 0 && mark>>liveShift != 0 {
		if l := &s.live[mark>>liveShift-1]; l.long != nil {
			recs = l.long
		} else {
			recs = buf[:copy(buf[:], l.short[:l.size])]
		}
	}
	s.mu.RUnlock()
	return mark&isTarget != 0, recs
}

func (m *memory) addTarget(k key) {
	s := m.shard(&k)
	s.mu.Lock()
	defer s.mu.Unlock()
	mark := s.keys.get(&k)
	if mark&isTarget == 0 {
		m.targets.Add(1)
	}
	s.keys.set(&k, mark|isTarget|isSeen)
}

func (m *memory) removeTarget(k key) {
	s := m.shard(&k)
	s.mu.Lock()
	defer s.mu.Unlock()
	m.replace(s, k, nil)
	if s.keys.get(&k)&isTarget != 0 {
		m.targets.Add(-1)
	}
	s.keys.set(&k, 0)
}

func (m *memory) addChallenge(k key, one records) {
	s := m.shard(&k)
	s.mu.Lock()
	defer s.mu.Unlock()
	m.replace(s, k, s.records(&k).with(one))
}

func (m *memory) removeChallenge(k key, one records) {
	s := m.shard(&k)
	s.mu.Lock()
	defer s.mu.Unlock()
	m.replace(s, k, s.records(&k).without(one))
}

// sweep removes challenges that have expired by now. It skips shards without expired challenges.
func (m *memory) sweep(now time.Time) {
	ns := now.UnixNano()
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		if s.next <= ns {
			s.next = math.MaxInt64
			for i := range s.live {
				all := s.live[i].records()
				left := all.after(ns)
				if len(left) < len(all) {
					m.replace(s, s.live[i].key, left)
				}
				s.next = min(s.next, left.first())
			}
		}
		s.mu.Unlock()
	}
}

// startSnapshot marks all targets as unseen. commit removes those that are still unseen, and
// replaces all challenges. In between, memory has both old and new targets, so that a snapshot
// needs no second copy of a million names.
func (m *memory) startSnapshot() {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		s.keys.each(func(mark uint32) uint32 { return mark &^ isSeen })
		s.mu.Unlock()
	}
}

func (m *memory) commit(all map[key]records) {
	var byShard [shardCount][]live
	for k, recs := range all {
		l := live{key: k}
		l.set(recs)
		byShard[k[0]] = append(byShard[k[0]], l)
	}
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		s.keys.each(func(mark uint32) uint32 {
			if mark&isSeen != 0 {
				return isTarget | isSeen
			}
			if mark&isTarget != 0 {
				m.targets.Add(-1)
			}
			return 0
		})
		m.challenges.Add(count(byShard[i]) - count(s.live))
		s.live, s.free, s.next = byShard[i], nil, math.MaxInt64
		for n := range s.live {
			l := &s.live[n]
			s.next = min(s.next, l.records().first())
			s.keys.set(&l.key, s.keys.get(&l.key)|uint32(n+1)<<liveShift)
		}
		s.mu.Unlock()
	}
}

// replace sets a key's records. The caller holds the shard's lock.
func (m *memory) replace(s *shard, k key, recs records) {
	m.challenges.Add(recs.count() - s.records(&k).count())
	s.next = min(s.next, recs.first())
	mark := s.keys.get(&k)
	n := mark >> liveShift
	switch {
	case n == 0 && len(recs) == 0:
		return
	case n == 0:
		n = s.room()
		s.live[n-1].key = k
		s.live[n-1].set(recs)
	case len(recs) == 0:
		s.live[n-1] = live{}
		s.free = append(s.free, n)
		n = 0
	default:
		s.live[n-1].set(recs)
	}
	s.keys.set(&k, n<<liveShift|mark&(isTarget|isSeen))
}

// records returns the records of a key, whether or not it is a target.
func (s *shard) records(k *key) records {
	if n := s.keys.get(k) >> liveShift; n != 0 {
		return s.live[n-1].records()
	}
	return nil
}

// room returns the number of an unused entry in live.
func (s *shard) room() uint32 {
	if last := len(s.free) - 1; last >= 0 {
		n := s.free[last]
		s.free = s.free[:last]
		return n
	}
	s.live = append(s.live, live{})
	return uint32(len(s.live))
}

func count(all []live) (n int64) {
	for i := range all {
		n += all[i].records().count()
	}
	return n
}
