package dnsserver

import (
	"maps"
	"math/rand/v2"
	"testing"
)

// TestTableIsAMap applies the same changes to a table and to a map, with keys that collide at both
// ends of the table and elsewhere, and compares them after each change.
func TestTableIsAMap(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		keys := make([]key, 1+r.IntN(300))
		for i := range keys {
			keys[i] = key{1: [...]byte{0, 1, 128, 254, 255}[r.IntN(5)], 2: byte(r.Uint32()) & 0x81,
				19: byte(i), 18: byte(i >> 8)}
		}
		var got table
		want := make(map[key]uint32)
		for range 2000 {
			k := keys[r.IntN(len(keys))]
			switch mark := r.Uint32N(3); r.IntN(100) {
			case 0:
				got.each(func(m uint32) uint32 { return m & 2 })
				maps.DeleteFunc(want, func(_ key, m uint32) bool { return m&2 == 0 })
			default:
				got.set(&k, mark)
				if want[k] = mark; mark == 0 {
					delete(want, k)
				}
			}
			if got.used != len(want) {
				t.Fatalf("seed %d: used = %d, want %d", seed, got.used, len(want))
			}
			if k := keys[r.IntN(len(keys))]; got.get(&k) != want[k] {
				t.Fatalf("seed %d: get(%s) = %d, want %d", seed, k, got.get(&k), want[k])
			}
		}
		for _, k := range keys {
			if got.get(&k) != want[k] {
				t.Errorf("seed %d: final get(%s) = %d, want %d", seed, k, got.get(&k), want[k])
			}
		}
	}
}

// TestTableIsSmall checks the memory per key at every size.
func TestTableIsSmall(t *testing.T) {
	t.Parallel()
	var tab table
	for i := range 10_000 {
		k, _ := parseLabel(label(i))
		tab.set(&k, 1)
		if n := len(tab.slots); i > 100 && (4*tab.used > 3*n || 5*tab.used < 2*n) {
			t.Fatalf("slots for %d keys = %d, outside the bounds", tab.used, n)
		}
	}
}
