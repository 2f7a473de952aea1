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
		{"a target", func(f Feed) { f.AddTarget(one) }, "NOERROR"},
		{"a value", func(f Feed) { f.AddChallenge(challenge(1, "a")) }, "NOERROR a"},
		{"a second", func(f Feed) { f.AddChallenge(challenge(1, "b")) }, "NOERROR a b"},
		{"the first again", func(f Feed) { f.AddChallenge(challenge(1, "a")) }, "NOERROR b a"},
		{"one less", func(f Feed) { f.RemoveChallenge(one, "b") }, "NOERROR a"},
		{"one that is not there less", func(f Feed) { f.RemoveChallenge(one, "c") }, "NOERROR a"},
		{"an expired one", func(f Feed) { f.AddChallenge(Challenge{one, "x", time.Now()}) }, "NOERROR a"},
		{"no target, no challenge", func(f Feed) { f.RemoveTarget(one) }, "NXDOMAIN"},
		{"a value without target", func(f Feed) { f.AddChallenge(challenge(1, "d")) }, "NXDOMAIN"},
		{"and then its target", func(f Feed) { f.AddTarget(one) }, "NOERROR d"},
		{"labels that are none", func(f Feed) { f.AddTarget("www"); f.RemoveTarget(""); f.AddChallenge(Challenge{Label: "x"}) }, "NOERROR d"},
		{"a value that is too long", func(f Feed) { f.AddChallenge(challenge(1, string(make([]byte, maxValue+1)))) }, "NOERROR d"},
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
		t.Errorf("%d challenges left after the sweep", n)
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
		t.Errorf("%d targets and %d challenges in memory, want 2 and 1", n, c)
	}
}

func TestSnapshotThatIsCutOffLeavesNoTrace(t *testing.T) {
	t.Parallel()
	s := offline(t)
	f := &feed{server: s}
	f.Begin().Target(label(7)) // no Commit
	if s.memory.synced.Load() {
		t.Error("in sync during a snapshot")
	}
	snap := f.Begin()
	snap.Target(label(1))
	snap.Commit()
	if n := s.memory.targets.Load(); n != 1 {
		t.Errorf("%d targets, want 1", n)
	}
}

func TestNotReadyIsAnsweredByLookups(t *testing.T) {
	t.Parallel()
	source := newSource(row{label(1), []Challenge{challenge(1, "v")}}, row{label(2), nil})
	source.offline = true
	s := start(t, testConfig(source))
	if s.Ready() {
		t.Error("ready without a snapshot")
	}
	expect(t, "live", askTXT(t, s, label(1)), "NOERROR v")
	expect(t, "target", askTXT(t, s, label(2)), "NOERROR")
	expect(t, "nothing", askTXT(t, s, label(3)), "NXDOMAIN")
	expect(t, "apex", dns.RcodeToString[ask(t, s, testZone, dns.TypeSOA).Rcode], "NOERROR")
	source.onLookup(fails)
	expect(t, "cannot know", askTXT(t, s, label(4)), "SERVFAIL")
	if r := ask(t, s, label(4)+"."+testZone, dns.TypeTXT); r.Authoritative || len(r.Ns) != 0 {
		t.Errorf("SERVFAIL as %s", r)
	}
	n := source.lookups.Load()
	expect(t, "never a target", askTXT(t, s, "www"), "NXDOMAIN")
	if source.lookups.Load() != n {
		t.Error("a label that is none caused a look-up")
	}
	source.restore()
	eventually(t, "ready when the source is back", s.Ready)
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*Config){
		"no zone":                func(c *Config) { c.Zone = "" },
		"the root":               func(c *Config) { c.Zone = "." },
		"a bad zone":             func(c *Config) { c.Zone = "a b.com" },
		"no name server":         func(c *Config) { c.NameServers = nil },
		"one without address":    func(c *Config) { c.NameServers = []NameServer{{Host: "ns.acme.dcvaas-verify.com"}} },
		"one that is the zone":   func(c *Config) { c.NameServers[0].Host = c.Zone },
		"one that is a target":   func(c *Config) { c.NameServers[0].Host = label(1) + "." + c.Zone },
		"addresses exchanged":    func(c *Config) { n := &c.NameServers[0]; n.IPv4, n.IPv6 = n.IPv6, n.IPv4 },
		"nowhere to listen":      func(c *Config) { c.Listen = nil },
		"a bad listen address":   func(c *Config) { c.Listen = []string{"127.0.0.1"} },
		"no source":              func(c *Config) { c.Source = nil },
		"a negative rate limit":  func(c *Config) { c.RateLimit = -1 },
		"a mailbox with no name": func(c *Config) { c.Mbox = "a..example.com" },
	}
	for what, edit := range tests {
		c := testConfig(newSource())
		edit(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s is taken", what)
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
		t.Errorf("%d CAA records, want none", n)
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
		t.Error("two servers have one address")
	}
	if err := other.Stop(t.Context()); err != nil && !errors.Is(err, t.Context().Err()) {
		t.Error(err)
	}
}
