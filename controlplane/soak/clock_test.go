package soak

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

const day = 24 * time.Hour

// start is the beginning of the year.
var start = time.Date(2026, 1, 1, 9, 30, 0, 0, time.UTC)

// clock is constant until it is set, or until everyone who works sleeps.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	active int // workers that do not sleep
	asleep []sleeper
}

type sleeper struct {
	until time.Time
	wake  chan struct{}
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) set(t time.Time) { c.mu.Lock(); defer c.mu.Unlock(); c.now = rounded(t) }

// rounded returns t in the precision of Postgres, rounded up. Otherwise a time that is stored would
// be before the same time in memory, and the clock moves only between runs.
func rounded(t time.Time) time.Time {
	return t.Add(time.Microsecond - time.Nanosecond).Truncate(time.Microsecond)
}

// work registers a worker, which calls done at its end.
func (c *clock) work() (done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.active--
		c.advance()
	}
}

// sleep waits until d has passed. The clock moves to the next end of a sleep once all workers
// sleep, so that workers that sleep at the same time wait together.
func (c *clock) sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	s := sleeper{rounded(c.now.Add(d)), make(chan struct{})}
	c.asleep = append(c.asleep, s)
	c.active--
	c.advance()
	c.mu.Unlock()
	select {
	case <-s.wake:
		return ctx.Err()
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.asleep, s); i >= 0 {
		c.asleep = slices.Delete(c.asleep, i, i+1)
		c.active++
	}
	return ctx.Err()
}

// advance wakes those whose sleep ends first, if all workers sleep. The caller holds the lock.
func (c *clock) advance() {
	if c.active > 0 || len(c.asleep) == 0 {
		return
	}
	next := slices.MinFunc(c.asleep, func(a, b sleeper) int { return a.until.Compare(b.until) })
	if next.until.After(c.now) {
		c.now = next.until
	}
	c.asleep = slices.DeleteFunc(c.asleep, func(s sleeper) bool {
		if s.until.After(c.now) {
			return false
		}
		c.active++
		close(s.wake)
		return true
	})
}

func TestClockSleepsTogether(t *testing.T) {
	t.Parallel()
	c := &clock{now: start}
	var all sync.WaitGroup
	ends := make([]time.Time, 3)
	var dones []func()
	for range ends {
		dones = append(dones, c.work())
	}
	for i := range ends {
		all.Go(func() {
			defer dones[i]()
			for range 10 {
				_ = c.sleep(t.Context(), time.Duration(i+1)*time.Second)
			}
			ends[i] = c.Now()
		})
	}
	all.Wait()
	if got := c.Now().Sub(start); got != 30*time.Second {
		t.Errorf("clock after 10 sleeps each of 1 s, 2 s, and 3 s = %s, want 30s", got)
	}
	for i, end := range ends {
		if want := start.Add(time.Duration(i+1) * 10 * time.Second); end.Before(want) {
			t.Errorf("end of 10 sleeps of %d s = %s, want %s or later", i+1, end, want)
		}
	}
}

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
