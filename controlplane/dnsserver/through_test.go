package dnsserver

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// clock is a clock that tests advance.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func fails(context.Context) error { return errOffline }

func TestUnknownTargetIsReadThrough(t *testing.T) {
	t.Parallel()
	clock := newClock()
	source := newSource(row{label(1), nil})
	c := testConfig(source)
	c.Now = clock.Now
	s := startReady(t, c)

	expect(t, "known and in sync", askTXT(t, s, label(1)), "NOERROR")
	if n := source.lookups.Load(); n != 0 {
		t.Errorf("lookups for a target in memory = %d, want 0", n)
	}
	expect(t, "before it exists", askTXT(t, s, label(2)), "NXDOMAIN")
	source.put(label(2), challenge(2, "v"))
	expect(t, "within the reuse of the negative result", askTXT(t, s, label(2)), "NXDOMAIN")
	clock.advance(lookupMemory)
	expect(t, "after that", askTXT(t, s, label(2)), "NOERROR v")
	expect(t, "case and type", brief(ask(t, s, label(2)+"."+testZone, dns.TypeA)), "NOERROR")
	if n := source.lookups.Load(); n != 2 {
		t.Errorf("lookups = %d, want 2", n)
	}
	expect(t, "another target, before it exists", askTXT(t, s, label(3)), "NXDOMAIN")
	source.apply(func(f Feed) { f.AddTarget(label(3)) })
	expect(t, "immediately after the feed's change", askTXT(t, s, label(3)), "NOERROR")
	source.apply(func(f Feed) { f.RemoveTarget(label(2)) })
	source.mu.Lock()
	delete(source.rows, label(2))
	source.mu.Unlock()
	expect(t, "removed", askTXT(t, s, label(2)), "NXDOMAIN")
}

func TestOutOfSyncReadsThrough(t *testing.T) {
	t.Parallel()
	source := newSource(row{label(1), []Challenge{challenge(1, "v")}}, row{label(2), nil})
	s := startReady(t, testConfig(source))
	source.cut()
	eventually(t, "out of sync", func() bool { return !s.Ready() })
	source.onLookup(fails)
	expect(t, "live in memory", askTXT(t, s, label(1)), "NOERROR v")
	expect(t, "known, lookup fails", askTXT(t, s, label(2)), "SERVFAIL")
	source.onLookup(nil)
	source.put(label(2), challenge(2, "w"))
	expect(t, "known, by lookup", askTXT(t, s, label(2)), "NOERROR w")
}

func TestOneLookupServesAll(t *testing.T) {
	t.Parallel()
	source := newSource()
	s := startReady(t, testConfig(source))
	source.put(label(1), challenge(1, "v"))
	release := make(chan struct{})
	source.onLookup(func(context.Context) error { <-release; return nil })
	var wg sync.WaitGroup
	for i := range 20 {
		network := []string{"udp", "tcp"}[i%2]
		wg.Go(func() {
			r := exchange(t, network, s.Addr(), query(label(1)+"."+testZone, dns.TypeTXT))
			expect(t, network, brief(r), "NOERROR v")
		})
	}
	eventually(t, "waiting", func() bool {
		return s.through.waitingUDP.Load()+
			s.through.waitingTCP.Load() == 20
	})
	expect(t, "other name meanwhile", askTXT(t, s, "www"), "NXDOMAIN")
	close(release)
	wg.Wait()
	if n := source.lookups.Load(); n != 1 {
		t.Errorf("lookups = %d, want 1", n)
	}
}

func TestLookupsHaveABudget(t *testing.T) {
	t.Parallel()
	for _, inSync := range []bool{true, false} {
		source := newSource()
		source.offline = !inSync
		clock := newClock() // constant: the budget does not refill
		c := testConfig(source)
		c.Now, c.LookupRate = clock.Now, 10
		s := start(t, c)
		want := "SERVFAIL"
		if inSync {
			eventually(t, "ready", s.Ready)
			want = "NXDOMAIN"
		}
		for i := range 100 {
			got := askTXT(t, s, label(100+i))
			if i < 10 {
				expect(t, "within the budget", got, "NXDOMAIN")
			} else {
				expect(t, "beyond the budget", got, want)
			}
		}
		if n := source.lookups.Load(); n != 10 {
			t.Errorf("lookups with in sync %v = %d, want 10", inSync, n)
		}
		clock.advance(500 * time.Millisecond)
		for i := range 100 {
			askTXT(t, s, label(300+i))
		}
		if n := source.lookups.Load(); n != 15 {
			t.Errorf("lookups after half a second with in sync %v = %d, want 15", inSync, n)
		}
	}
}

func TestLookupsAreLimitedAndTimeOut(t *testing.T) {
	t.Parallel()
	source := newSource()
	c := testConfig(source)
	c.LookupConcurrency = 2
	s := startReady(t, c)
	release := make(chan struct{})
	source.onLookup(func(context.Context) error { <-release; return context.Canceled })
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() { expect(t, "stuck", askTXT(t, s, label(i)), "SERVFAIL") })
	}
	eventually(t, "stuck", func() bool { return source.lookups.Load() == 2 })
	expect(t, "third concurrent lookup", askTXT(t, s, label(3)), "NXDOMAIN")
	close(release)
	wg.Wait()

	source.onLookup(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	expect(t, "lookup that hangs", askTXT(t, s, label(4)), "SERVFAIL")
}

func TestChangeDuringALookup(t *testing.T) {
	t.Parallel()
	source := newSource()
	s := startReady(t, testConfig(source))
	entered, release := make(chan struct{}), make(chan struct{})
	source.onLookup(func(context.Context) error { close(entered); <-release; return nil })
	var wg sync.WaitGroup
	wg.Go(func() { expect(t, "memory takes precedence", askTXT(t, s, label(1)), "NOERROR v") })
	<-entered
	source.apply(func(f Feed) { f.AddTarget(label(1)); f.AddChallenge(challenge(1, "v")) })
	close(release)
	wg.Wait()
	source.onLookup(nil)
	source.apply(func(f Feed) { f.RemoveTarget(label(1)) })
	source.put(label(1), challenge(1, "w"))
	expect(t, "the lookup's result is not reused", askTXT(t, s, label(1)), "NOERROR w")
}
