package dnsserver

import (
	"testing"
	"time"
)

// TestSweep holds that each challenge goes at its end, and none before it, whatever came and
// went in between.
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
			t.Errorf("at %d there are %d challenges, want %d", now, n, want)
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
		t.Errorf("%d targets are left, want 3", n)
	}
	for n := range byte(6) {
		if exists, recs := m.find(key{19: n}); exists != (n == 1 || n == 3 || n == 4) || len(recs) != 0 {
			t.Errorf("of %d it says %v, %q", n, exists, recs)
		}
	}
}
