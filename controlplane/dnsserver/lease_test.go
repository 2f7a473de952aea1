package dnsserver

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// fakeLeases stands in for the store of leases. It accepts beats, and returns marks through the
// feed of a source, unless they are held back.
type fakeLeases struct {
	source *fakeSource

	mu      sync.Mutex
	refused bool // the store is unreachable
	stalled bool // marks are not sent
	beats   []Beat
	ended   bool
}

func (l *fakeLeases) Extend(_ context.Context, b Beat) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refused {
		return errOffline
	}
	if l.ended {
		return errors.New("a beat after the end")
	}
	l.beats = append(l.beats, b)
	if !l.stalled {
		l.source.changes <- func(f Feed) { f.Mark(b.Number) }
	}
	return nil
}

func (l *fakeLeases) End(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	return nil
}

func (l *fakeLeases) set(refused, stalled bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused, l.stalled = refused, stalled
}

// fakeClock is a clock that is ahead of the real one.
type fakeClock struct{ ahead atomic.Int64 }

func (c *fakeClock) now() time.Time {
	return time.Now().Add(time.Duration(c.ahead.Load()))
}

func (c *fakeClock) advance(by time.Duration) { c.ahead.Add(int64(by)) }

var leasedLabel = label(1)

// leased is a server with a lease, whose store, feed, and clock a test controls.
type leased struct {
	*Server
	source *fakeSource
	leases *fakeLeases
	clock  *fakeClock
}

func newLeased(t *testing.T, configure func(*leased, *Config)) *leased {
	t.Helper()
	l := &leased{clock: &fakeClock{}, source: newSource(row{leasedLabel,
		[]Challenge{{leasedLabel, "one", time.Now().Add(time.Hour)}}})}
	l.leases = &fakeLeases{source: l.source}
	c := testConfig(l.source)
	c.Leases, c.Now = l.leases, l.clock.now
	if configure != nil {
		configure(l, &c)
	}
	l.Server = start(t, c)
	return l
}

func (l *leased) want(t *testing.T, answer string) {
	t.Helper()
	if got := askTXT(t, l.Server, leasedLabel); got != answer {
		t.Errorf("TXT at the target = %s, want %s", got, answer)
	}
}

func TestServerWithoutLeaseFencesItself(t *testing.T) {
	t.Parallel()
	l := newLeased(t, func(l *leased, _ *Config) { l.leases.set(true, false) })
	eventually(t, "the zone to be loaded", l.memory.synced.Load)
	l.want(t, "SERVFAIL")
	if l.Ready() {
		t.Error("Ready() without a lease = true, want false")
	}
	if r := ask(t, l.Server, testZone, dns.TypeSOA); r.Rcode != dns.RcodeSuccess {
		t.Errorf("SOA of the apex without a lease = %s, want NOERROR", dns.RcodeToString[r.Rcode])
	}
	if r := exchange(t, "tcp", l.Addr(), query(leasedLabel+"."+testZone, dns.TypeTXT)); r.Rcode !=
		dns.RcodeServerFailure || r.Authoritative {
		t.Errorf("TXT over TCP without a lease = %s, authoritative %t, want SERVFAIL, false",
			dns.RcodeToString[r.Rcode], r.Authoritative)
	}
	l.leases.set(false, false)
	eventually(t, "ready", l.Ready)
	l.want(t, "NOERROR one")
}

// A lease that is not extended ends by the clock, although memory looks current.
func TestLeaseLapses(t *testing.T) {
	t.Parallel()
	l := newLeased(t, nil)
	eventually(t, "ready", l.Ready)
	l.leases.set(true, false)
	eventually(t, "the last beat to be old", func() bool {
		l.clock.advance(leaseTime / 10)
		return !l.Leased()
	})
	l.want(t, "SERVFAIL")

	// The feed stalls: memory may lack what was published in between, so the server looks it up.
	l.source.put(leasedLabel, Challenge{leasedLabel, "one", l.clock.now().Add(time.Hour)},
		Challenge{leasedLabel, "two", l.clock.now().Add(time.Hour)})
	l.leases.set(false, true)
	eventually(t, "the lease", l.Leased)
	l.want(t, "NOERROR one two")
	if l.Ready() {
		t.Error("Ready() with a stalled feed = true, want false")
	}
	l.source.onLookup(func(context.Context) error { return errOffline })
	eventually(t, "the lookup to be forgotten", func() bool {
		return strings.HasPrefix(askTXT(t, l.Server, leasedLabel), "SERVFAIL")
	})
	l.leases.set(false, false)
	l.source.apply(func(f Feed) {
		f.AddChallenge(Challenge{leasedLabel, "two", l.clock.now().Add(time.Hour)})
	})
	eventually(t, "ready", l.Ready)
	l.want(t, "NOERROR one two")
}

// A lease ends on the monotonic clock too: setting the wall clock back does not extend it.
func TestLeaseIgnoresWallClock(t *testing.T) {
	t.Parallel()
	l := newLease(&fakeLeases{})
	l.send(1, 1000)
	l.extend(1, 1000+int64(leaseTime)-int64(10*time.Millisecond))
	eventually(t, "the lease to end", func() bool { return !l.held(1000) })
}

// A beat whose response arrives after the lease would have ended gives no lease.
func TestLateResponseGivesNoLease(t *testing.T) {
	t.Parallel()
	l := newLease(&fakeLeases{})
	l.send(1, 1000)
	if now := 1000 + int64(leaseTime); l.extend(1, now) || l.held(now) {
		t.Errorf("lease after a response %s late is held, want it not held", leaseTime)
	}
}

// Only marks of the current lease make memory current: what was published while the server had no
// lease was not waited for.
func TestMarksOfAnEarlierLease(t *testing.T) {
	t.Parallel()
	l := newLease(&fakeLeases{})
	second := int64(time.Second)
	l.send(1, 0)
	l.extend(1, second)
	l.mark(1)
	if !l.isCurrent(second) {
		t.Error("isCurrent after the mark = false, want true")
	}
	l.send(2, 2*second)
	l.send(3, 30*second) // a new lease
	l.extend(3, 31*second)
	for _, number := range []int64{1, 2, 99} {
		if l.mark(number); l.isCurrent(31 * second) {
			t.Errorf("isCurrent after mark %d = true, want false", number)
		}
	}
	if l.mark(3); !l.isCurrent(31 * second) {
		t.Error("isCurrent after the lease's own mark = false, want true")
	}
}

func TestStopEndsTheLease(t *testing.T) {
	t.Parallel()
	l := newLeased(t, nil)
	eventually(t, "ready", l.Ready)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := l.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	l.leases.mu.Lock()
	defer l.leases.mu.Unlock()
	if !l.leases.ended {
		t.Error("Stop did not end the lease")
	}
	if b := l.leases.beats[0]; b.Address != l.Addr() || b.Number < 1 || b.Lease != leaseTime {
		t.Errorf("first beat = %+v, want address %s, a number, and a lease of %s", b, l.Addr(),
			leaseTime)
	}
}

func TestLeaseMetrics(t *testing.T) {
	t.Parallel()
	reg := newRegistry()
	l := newLeased(t, func(_ *leased, c *Config) { c.Registerer = reg })
	eventually(t, "ready", l.Ready)
	got := gather(t, reg)
	for _, want := range []string{"dcvaas_dns_lease 1\n", "dcvaas_dns_feed_lag_seconds 0."} {
		if !strings.Contains(got, want) {
			t.Errorf("metrics do not contain %q:\n%s", want, got)
		}
	}
}
