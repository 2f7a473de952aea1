package edge

import (
	"strconv"
	"testing"
	"time"
)

func TestRecentIsBounded(t *testing.T) {
	t.Parallel()
	r := recent[int]{life: time.Minute, max: 100}
	now := time.Now()
	for i := range 100_000 {
		r.put(strconv.Itoa(i), i, now)
	}
	if n := len(r.young) + len(r.old); n > 201 {
		t.Errorf("%d entries are kept, want at most 200", n)
	}
	if v, ok := r.get("99999", now); !ok || v != 99_999 {
		t.Errorf("get of the last = %d, %v, want 99999", v, ok)
	}
	if _, ok := r.get("0", now); ok {
		t.Error("the first of 100000 is still kept")
	}
	if _, ok := r.get("99999", now.Add(59*time.Second)); !ok {
		t.Error("an entry is gone before its life is over")
	}
	if _, ok := r.get("99999", now.Add(3*time.Minute)); ok {
		t.Error("an entry is kept after three lives")
	}
}
