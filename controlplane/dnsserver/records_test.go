package dnsserver

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRecords holds that a value is there once, with its last expiry, and that nothing changes
// records which somebody reads.
func TestRecords(t *testing.T) {
	t.Parallel()
	one := func(value string, expires int64) records {
		r, ok := newRecord(Challenge{Value: value, ExpiresAt: time.Unix(0, expires)})
		if !ok {
			t.Fatalf("%q is too long", value)
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
	for i, want := range [][]int64{nil, {1}, {1, 2}, {1, 2, 3}, {2, 3, 4}, {3, 4}, {3, 4}, {3, 4, 5}, {4, 5}, {5}, nil} {
		if got := read(states[i]); !slices.Equal(got, want) {
			t.Errorf("after %d steps there are those until %v, want %v", i, got, want)
		}
		if n := states[i].count(); n != int64(len(want)) {
			t.Errorf("after %d steps it counts %d, want %d", i, n, len(want))
		}
		if states[i].anyLive(4) != slices.Contains(want, 5) {
			t.Errorf("after %d steps it is wrong about what is live", i)
		}
	}
	if _, ok := newRecord(Challenge{Value: long + "v"}); ok {
		t.Error("a value that is too long is taken")
	}
}
