package dnsserver

import (
	"errors"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestChangesAreAnswered(t *testing.T) {
	t.Parallel()
	source := newSource()
	s := startReady(t, testConfig(source))
	one := label(1)
	steps := []struct {
		what   string
		change func(Feed)
		want   string
	}{
		{"nothing", func(Feed) {}, "NXDOMAIN"},
		{"target", func(f Feed) { f.AddTarget(one) }, "NOERROR"},
		{"value", func(f Feed) { f.AddChallenge(challenge(1, "a")) }, "NOERROR a"},
		{"second value", func(f Feed) { f.AddChallenge(challenge(1, "b")) }, "NOERROR a b"},
		{"first value again", func(f Feed) { f.AddChallenge(challenge(1, "a")) }, "NOERROR b a"},
		{"value removed", func(f Feed) { f.RemoveChallenge(one, "b") }, "NOERROR a"},
		{"unknown value removed", func(f Feed) { f.RemoveChallenge(one, "c") }, "NOERROR a"},
		{"expired value", func(f Feed) { f.AddChallenge(Challenge{one, "x", time.Now()}) },
			"NOERROR a"},
		{"target removed", func(f Feed) { f.RemoveTarget(one) }, "NXDOMAIN"},
		{"value without target", func(f Feed) { f.AddChallenge(challenge(1, "d")) }, "NXDOMAIN"},
		{"target of that value", func(f Feed) { f.AddTarget(one) }, "NOERROR d"},
		{"invalid labels",
			func(f Feed) {
				f.AddTarget("www")
				f.RemoveTarget("")
				f.AddChallenge(
					Challenge{Label: "x"})
			}, "NOERROR d"},
		{"oversized value",
			func(f Feed) { f.AddChallenge(challenge(1, string(make([]byte, maxValue+1)))) },
			"NOERROR d"},
	}
	for _, step := range steps {
		source.apply(step.change)
		expect(t, step.what, askTXT(t, s, one), step.want)
	}
}

func TestExpiredChallengesAreNeverAnswered(t *testing.T) {
	t.Parallel()
	clock := newClock()
	short, long := challenge(1, "short"), challenge(1, "long")
	short.ExpiresAt, long.ExpiresAt = clock.Now().Add(time.Minute), clock.Now().Add(2*time.Minute)
	c := testConfig(newSource(row{label(1), []Challenge{short, long}}))
	c.Now = clock.Now
	s := startReady(t, c)
	expect(t, "at first", askTXT(t, s, label(1)), "NOERROR short long")
	clock.advance(time.Minute)
	expect(t, "after a minute", askTXT(t, s, label(1)), "NOERROR long")
	clock.advance(time.Minute)
	expect(t, "after two", askTXT(t, s, label(1)), "NOERROR")
	s.memory.sweep(clock.Now())
	if n := s.memory.challenges.Load(); n != 0 {
		t.Errorf("challenges after the sweep = %d, want 1", n)
	}
}

func TestSnapshotReplacesEverything(t *testing.T) {
	t.Parallel()
	source := newSource(row{label(1), []Challenge{challenge(1, "old")}}, row{label(2), nil})
	s := startReady(t, testConfig(source))
	source.cut()
	eventually(t, "out of sync", func() bool { return !s.Ready() })
	source.mu.Lock()
	source.rows = map[string][]Challenge{label(1): {challenge(1, "new")}, label(3): nil}
	source.mu.Unlock()
	source.restore()
	eventually(t, "back in sync", s.Ready)
	expect(t, "kept", askTXT(t, s, label(1)), "NOERROR new")
	expect(t, "gone", askTXT(t, s, label(2)), "NXDOMAIN")
	expect(t, "new", askTXT(t, s, label(3)), "NOERROR")
	if n, c := s.memory.targets.Load(), s.memory.challenges.Load(); n != 2 || c != 1 {
		t.Errorf("targets = %d and challenges = %d in memory, want 2 and 1", n, c)
	}
}

func TestInterruptedSnapshot(t *testing.T) {
	t.Parallel()
	s := offline(t)
	f := &feed{server: s}
	f.StartSnapshot().Target(label(7)) // no Commit
	if s.memory.synced.Load() {
		t.Error("Ready during a snapshot = true, want false")
	}
	snap := f.StartSnapshot()
	snap.Target(label(1))
	snap.Commit()
	if n := s.memory.targets.Load(); n != 1 {
		t.Errorf("targets in memory = %d, want 1", n)
	}
}

func TestNotReadyIsAnsweredByLookups(t *testing.T) {
	t.Parallel()
	source := newSource(row{label(1), []Challenge{challenge(1, "v")}}, row{label(2), nil})
	source.offline = true
	s := start(t, testConfig(source))
	if s.Ready() {
		t.Error("Ready without a snapshot = true, want false")
	}
	expect(t, "live", askTXT(t, s, label(1)), "NOERROR v")
	expect(t, "target", askTXT(t, s, label(2)), "NOERROR")
	expect(t, "nothing", askTXT(t, s, label(3)), "NXDOMAIN")
	expect(t, "apex", dns.RcodeToString[ask(t, s, testZone, dns.TypeSOA).Rcode], "NOERROR")
	source.onLookup(fails)
	expect(t, "lookup fails", askTXT(t, s, label(4)), "SERVFAIL")
	if r := ask(t, s, label(4)+"."+testZone, dns.TypeTXT); r.Authoritative || len(r.Ns) != 0 {
		t.Errorf("SERVFAIL answer = %s, want no authority section and AA clear", r)
	}
	n := source.lookups.Load()
	expect(t, "not a target label", askTXT(t, s, "www"), "NXDOMAIN")
	if source.lookups.Load() != n {
		t.Error("an invalid label caused a lookup")
	}
	source.restore()
	eventually(t, "ready after the source returns", s.Ready)
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*Config){
		"no zone":        func(c *Config) { c.Zone = "" },
		"the root":       func(c *Config) { c.Zone = "." },
		"invalid zone":   func(c *Config) { c.Zone = "a b.com" },
		"no name server": func(c *Config) { c.NameServers = nil },
		"no glue address": func(c *Config) {
			c.NameServers = []NameServer{
				{Host: "ns.acme.dcvaas-verify.com"}}
		},
		"name server is the zone": func(c *Config) { c.NameServers[0].Host = c.Zone },
		"name server is a target": func(c *Config) {
			c.NameServers[0].Host = label(1) + "." +
				c.Zone
		},
		"addresses swapped": func(c *Config) {
			n := &c.NameServers[0]
			n.IPv4, n.IPv6 = n.IPv6,
				n.IPv4
		},
		"no listen address":   func(c *Config) { c.Listen = nil },
		"bad listen address":  func(c *Config) { c.Listen = []string{"127.0.0.1"} },
		"no source":           func(c *Config) { c.Source = nil },
		"negative rate limit": func(c *Config) { c.RateLimit = -1 },
		"invalid mailbox":     func(c *Config) { c.Mbox = "a..example.com" },
	}
	for what, edit := range tests {
		c := testConfig(newSource())
		edit(&c)
		if _, err := New(c); err == nil {
			t.Errorf("New with %s = nil error, want an error", what)
		}
	}
	c := testConfig(newSource())
	c.Mbox, c.CAA = "host.master@example.com", []CAA{}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "mailbox", s.static.soa.Mbox, `host\.master.example.com.`)
	if n := len(s.static.nodes[testZone][dns.TypeCAA]); n != 0 {
		t.Errorf("CAA records = %d, want 0", n)
	}
}

func TestBusyPort(t *testing.T) {
	t.Parallel()
	s := startReady(t, testConfig(newSource()))
	c := testConfig(newSource())
	c.Listen = []string{"127.0.0.1:0", s.Addr()}
	other, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(t.Context()); err == nil {
		t.Error("second Start on the same address = nil error, want an error")
	}
	if err := other.Stop(t.Context()); err != nil && !errors.Is(err, t.Context().Err()) {
		t.Error(err)
	}
}
