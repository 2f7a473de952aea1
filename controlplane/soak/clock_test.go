package soak

import (
	"math/rand/v2"
	"sync"
	"time"
)

const day = 24 * time.Hour

// start is the beginning of the year.
var start = time.Date(2026, 1, 1, 9, 30, 0, 0, time.UTC)

// clock is constant until it is set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) set(t time.Time) { c.mu.Lock(); defer c.mu.Unlock(); c.now = t }

// dice is a seeded random source that is safe for concurrent use.
type dice struct {
	mu     sync.Mutex
	source *rand.Rand
}

func newDice(seed uint64) *dice { return &dice{source: rand.New(rand.NewPCG(seed, 4))} }

func (d *dice) float() float64 { d.mu.Lock(); defer d.mu.Unlock(); return d.source.Float64() }

func (d *dice) below(n int) int { d.mu.Lock(); defer d.mu.Unlock(); return d.source.IntN(n) }

// between returns a duration from low to high.
func (d *dice) between(low, high time.Duration) time.Duration {
	return low + time.Duration(d.float()*float64(high-low))
}

// span is the time from from (inclusive) to to (exclusive).
type span struct{ from, to time.Time }

func (s span) has(t time.Time) bool { return !t.Before(s.from) && t.Before(s.to) }

func earlier(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
