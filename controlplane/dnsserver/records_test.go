package dnsserver

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRecords checks that each value is contained once, with its last expiry, and that records are
// not modified in place.
func TestRecords(t *testing.T) {
	t.Parallel()
	one := func(value string, expires int64) records {
		r, ok := newRecord(Challenge{Value: value, ExpiresAt: time.Unix(0, expires)})
		if !ok {
			t.Fatalf("newRecord(%q) = false, want true", value)
		}
		return r
	}
	read := func(r records) (all []int64) {
		for len(r) > 0 {
			expires, _, rest := r.next()
			all, r = append(all, expires), rest
		}
		return all
	}
	long := strings.Repeat("v", maxValue)
	states := []records{nil}
	then := func(r records) records {
		states = append(states, r)
		return r
	}
	r := then(records(nil).with(one("a", 1)))
	r = then(r.with(one("", 2)))
	r = then(r.with(one(long, 3)))
	r = then(r.with(one("a", 4)))
	r = then(r.without(one("", 0)))
	r = then(r.without(one("b", 0)))
	r = then(r.with(one("c", 5)))
	r = then(r.after(3))
	r = then(r.after(4))
	then(r.after(5))
	for i, want := range [][]int64{nil, {1}, {1, 2}, {1, 2, 3}, {2, 3, 4}, {3, 4}, {3, 4},
		{3, 4, 5}, {4, 5}, {5}, nil} {
		if got := read(states[i]); !slices.Equal(got, want) {
			t.Errorf("expiries after %d steps = %v, want %v", i, got, want)
		}
		if n := states[i].count(); n != int64(len(want)) {
			t.Errorf("count() after %d steps = %d, want %d", i, n, len(want))
		}
		if states[i].anyLive(4) != slices.Contains(want, 5) {
			t.Errorf("anyLive after %d steps is wrong", i)
		}
	}
	if _, ok := newRecord(Challenge{Value: long + "v"}); ok {
		t.Error("newRecord of an oversized value = true, want false")
	}
}
