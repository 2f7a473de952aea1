package dnsserver

import (
	"strings"
	"testing"
	"time"
	"unsafe"
)

// TestLive checks that a target's values are returned unchanged, at any length and in sequence, and
// that an entry takes two cache lines.
func TestLive(t *testing.T) {
	t.Parallel()
	if n := unsafe.Sizeof(live{}); n != 128 {
		t.Errorf("size of live = %d octets, want two cache lines", n)
	}
	m := new(memory)
	k := key{19: 1}
	m.addTarget(k)
	var want records
	for i, n := range []int{43, 0, 43, 58, 61, 62, 63, 64, 300, 44} {
		r, _ := newRecord(Challenge{Value: strings.Repeat(string(rune('a'+i)), n),
			ExpiresAt: time.Unix(1, 0)})
		for range 2 { // alone, and after the previous ones
			m.addChallenge(k, r)
			want = want.with(r)
			var buf shortRecords
			if exists, got := m.find(k, &buf); !exists || string(got) != string(want) {
				t.Errorf("find after a value of %d octets = %v, %q; want true, %q", n, exists, got,
					want)
			}
			if i%3 != 0 {
				break
			}
			m.removeTarget(k)
			m.addTarget(k)
			want = nil
		}
	}
}

// TestSweep checks that each challenge is removed at its expiry and not before, regardless of other
// changes.
func TestSweep(t *testing.T) {
	t.Parallel()
	m := new(memory)
	add := func(n byte, value string, expires int64) {
		r, _ := newRecord(Challenge{Value: value, ExpiresAt: time.Unix(0, expires)})
		m.addTarget(key{19: n}) // all in one shard
		m.addChallenge(key{19: n}, r)
	}
	left := func(now, want int64) {
		t.Helper()
		m.sweep(time.Unix(0, now))
		if n := m.challenges.Load(); n != want {
			t.Errorf("challenges at %d = %d, want %d", now, n, want)
		}
	}
	add(1, "a", 10)
	add(1, "b", 30)
	add(2, "c", 20)
	left(9, 3)
	left(10, 2)
	left(10, 2)
	add(3, "d", 12)
	left(15, 2)
	m.removeTarget(key{19: 2})
	left(20, 1)
	add(4, "e", 25)
	left(29, 1)
	left(30, 0)
	if n := m.targets.Load(); n != 3 {
		t.Errorf("targets after the sweeps = %d, want 3", n)
	}
	for n := range byte(6) {
		if exists, recs := m.find(key{19: n}, new(shortRecords)); exists != (n == 1 || n == 3 ||
			n == 4) || len(recs) != 0 {
			t.Errorf("find(%d) = %v, %q; want the target without records", n, exists, recs)
		}
	}
}
