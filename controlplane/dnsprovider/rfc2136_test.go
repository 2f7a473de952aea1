package dnsprovider

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnsprovider/dnsprovidertest"
)

const (
	keySecret   = dnsprovidertest.KeySecret
	otherSecret = "b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldC1vdGhlci0="
)

const target = "abcdefghijklmnopqrstuvwxyz234567.validation.example"

func access(
	t *testing.T, address string, change func(*controlplane.RFC2136Credentials),
) controlplane.HostAccess {
	t.Helper()
	c := controlplane.RFC2136Credentials{Server: address, KeyName: "dcvaas",
		Algorithm: controlplane.HMACSHA256, KeySecret: keySecret, Zones: []string{"example.com"}}
	if change != nil {
		change(&c)
	}
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return controlplane.HostAccess{Type: controlplane.ConnectionRFC2136, Credentials: raw}
}

// server is a name server that runs as a child process.
type server struct {
	*dnsprovidertest.Server
	t *testing.T
}

// access returns the access with a key of the server, after change.
func (s *server) access(change func(*controlplane.RFC2136Credentials)) controlplane.HostAccess {
	return access(s.t, s.Address, change)
}

func loopback() *Hosts { return New(Config{Loopback: true, Timeout: time.Minute}) }

func record(label string) controlplane.HostRecord {
	return controlplane.HostRecord{Zone: "example.com",
		Name: "_acme-challenge." + label + ".example.com", Value: target}
}

// wantHostError fails unless err is a HostError of the kind, whose text has no secret.
func wantHostError(t *testing.T, what string, err error, kind controlplane.HostErrorKind) {
	t.Helper()
	e, ok := errors.AsType[*controlplane.HostError](err)
	switch {
	case !ok || e.Kind != kind:
		t.Errorf("%s = %v, want %s", what, err, kind)
	case strings.Contains(e.Error(), keySecret) || strings.Contains(e.Error(), otherSecret):
		t.Errorf("%s = %v, which contains the secret", what, err)
	case e.Message == "" || strings.Contains(e.Message, "127.0.0.1"):
		t.Errorf("%s = %q, want a message without an address", what, e.Message)
	}
}

// TestServers runs everything that a connection does against the name servers that it is for.
func TestServers(t *testing.T) {
	t.Parallel()
	for name, start := range dnsprovidertest.Servers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{start(t), t}
			testAccess(t, s)
			testCreate(t, s)
			testConflicts(t, s)
			testReplace(t, s)
			testRemove(t, s)
		})
	}
}

func testAccess(t *testing.T, s *server) {
	t.Helper()
	h, ctx := loopback(), t.Context()
	for what, change := range map[string]func(*controlplane.RFC2136Credentials){
		"hmac-sha256": nil,
		"hmac-sha512": func(c *controlplane.RFC2136Credentials) {
			c.KeyName, c.Algorithm = "long", controlplane.HMACSHA512
		},
	} {
		if err := h.Test(ctx, s.access(change)); err != nil {
			t.Errorf("Test(%s) = %v, want nil", what, err)
		}
	}
	for what, bad := range map[string]struct {
		kind   controlplane.HostErrorKind
		change func(*controlplane.RFC2136Credentials)
	}{
		"unknown key": {controlplane.HostInvalid,
			func(c *controlplane.RFC2136Credentials) { c.KeyName = "unknown" }},
		"wrong secret": {controlplane.HostInvalid,
			func(c *controlplane.RFC2136Credentials) { c.KeySecret = otherSecret }},
		"wrong algorithm": {controlplane.HostInvalid,
			func(c *controlplane.RFC2136Credentials) { c.Algorithm = controlplane.HMACSHA512 }},
		"wrong zone": {controlplane.HostNoZone,
			func(c *controlplane.RFC2136Credentials) { c.Zones = []string{"example.org"} }},
		"zone of other servers": {controlplane.HostNoZone,
			func(c *controlplane.RFC2136Credentials) { c.Zones = []string{"sub.example.com"} }},
		"name that is not a zone": {controlplane.HostNoZone,
			func(c *controlplane.RFC2136Credentials) { c.Zones = []string{"ns.example.com"} }},
	} {
		wantHostError(t, "Test("+what+")", h.Test(ctx, s.access(bad.change)), bad.kind)
	}
	reader := s.access(func(c *controlplane.RFC2136Credentials) { c.KeyName = "reader" })
	_, err := h.Create(ctx, reader, record("reader"), nil)
	if !controlplane.IsHostError(err, controlplane.HostInvalid) &&
		!controlplane.IsHostError(err, controlplane.HostDenied) &&
		!controlplane.IsHostError(err, controlplane.HostNoZone) {
		t.Errorf("Create with a key without permission = %v, want an error", err)
	}
	for _, off := range []time.Duration{-time.Hour, time.Hour} {
		skewed := New(Config{Loopback: true, Timeout: time.Minute,
			Now: func() time.Time { return time.Now().Add(off) }})
		err := skewed.Test(ctx, s.access(nil))
		wantHostError(t, "Test with a clock off by "+off.String(), err, controlplane.HostInvalid)
		if err == nil || !strings.Contains(err.Error(), "clock") {
			t.Errorf("Test with a clock off by %s = %v, want the clock as its cause", off, err)
		}
	}
}

func testCreate(t *testing.T, s *server) {
	t.Helper()
	h, ctx, r := loopback(), t.Context(), record("new")
	if found, err := h.Records(ctx, s.access(nil), r.Zone, r.Name); err != nil || len(found) > 0 {
		t.Errorf("Records(%s) = %v, %v, want none", r.Name, found, err)
	}
	if _, err := h.Create(ctx, s.access(nil), r, nil); err != nil {
		t.Errorf("Create(%s) = %v, want nil", r.Name, err)
	}
	if got := s.Query(r.Name, dns.TypeCNAME); !slices.Equal(got, []string{target + "."}) {
		t.Errorf("after Create: %s has %q, want %s.", r.Name, got, target)
	}
	// Its response may be lost: a second one says what the name has.
	_, err := h.Create(ctx, s.access(nil), r, nil)
	wantHostError(t, "Create of an existing record", err, controlplane.HostConflict)
	e, _ := errors.AsType[*controlplane.HostError](err)
	if e == nil || len(e.Found) != 1 || !e.Found[0].Is(target) {
		t.Errorf("Create of an existing record = %+v, want the record in Found", e)
	}
	for label, want := range map[string]controlplane.HostErrorKind{
		"x.sub": controlplane.HostNoZone, "sub": controlplane.HostNoZone} {
		_, err := h.Create(ctx, s.access(nil), record(label), nil)
		wantHostError(t, "Create below a zone of other servers", err, want)
	}
	narrow := s.access(func(c *controlplane.RFC2136Credentials) { c.KeyName = "narrow" })
	if _, err := h.Create(ctx, narrow, record("mine"), nil); err != nil {
		t.Errorf("Create with a key for the name = %v, want nil", err)
	}
	_, err = h.Create(ctx, narrow, record("others"), nil)
	wantHostError(t, "Create with a key for another name", err, controlplane.HostDenied)
}

// conflicts are the records of the servers' zone.
var conflicts = map[string][]controlplane.RecordSet{
	"txt": {{Type: "TXT", Values: []string{`"left by another client"`}}},
	"two": {{Type: "A", Values: []string{"192.0.2.1"}},
		{Type: "TXT", Values: []string{`"one" "two"`}}},
	"a":     {{Type: "A", Values: []string{"192.0.2.1"}}},
	"cname": {{Type: "CNAME", Values: []string{"elsewhere.example.net."}}},
	"odd":   nil, // of a type that is not read
}

func named(label string, sets []controlplane.RecordSet) []controlplane.RecordSet {
	sets = slices.Clone(sets)
	for i := range sets {
		sets[i].Name = record(label).Name
	}
	return sets
}

func testConflicts(t *testing.T, s *server) {
	t.Helper()
	h, ctx := loopback(), t.Context()
	for label, sets := range conflicts {
		r, want := record(label), named(label, sets)
		found, err := h.Records(ctx, s.access(nil), r.Zone, r.Name)
		if diff := cmp.Diff(want, found); err != nil || diff != "" {
			t.Errorf("Records(%s) = %v, (-want +got)\n%s", r.Name, err, diff)
		}
		_, err = h.Create(ctx, s.access(nil), r, nil)
		wantHostError(t, "Create("+r.Name+")", err, controlplane.HostConflict)
		e, _ := errors.AsType[*controlplane.HostError](err)
		if e == nil || !controlplane.SameRecords(e.Found, want) {
			t.Errorf("Create(%s) = %+v, want Found %v", r.Name, e, want)
		}
	}
}

func testReplace(t *testing.T, s *server) {
	t.Helper()
	h, ctx := loopback(), t.Context()
	for label, sets := range map[string][]controlplane.RecordSet{
		"txt":   {{Type: "TXT", Values: []string{`"another value"`}}},
		"two":   conflicts["two"][1:], // not all types
		"cname": {{Type: "CNAME", Values: []string{"other.example.net."}}},
		"odd":   {{Type: "TXT", Values: []string{`"x"`}}},
		"a":     {{Type: "A", Values: []string{"192.0.2.1", "192.0.2.2"}}}, // more than it has
		"none":  {{Type: "A", Values: []string{"192.0.2.1"}}},
		"txt2":  {{Type: "A", Values: []string{"192.0.2.1\nx.example.com. A 192.0.2.1"}}},
	} {
		before := s.Query(record(label).Name, dns.TypeTXT)
		_, err := h.Create(ctx, s.access(nil), record(label), sets)
		wantHostError(t, "Create("+label+") in place of what it has not", err,
			controlplane.HostConflict)
		if after := s.Query(record(label).Name, dns.TypeTXT); !slices.Equal(before, after) {
			t.Errorf("after a conflict: %s has %q, want %q", label, after, before)
		}
	}
	for label, sets := range conflicts {
		if sets == nil {
			continue
		}
		r := record(label)
		if _, err := h.Create(ctx, s.access(nil), r, sets); err != nil {
			t.Errorf("Create(%s) in place of what it has = %v, want nil", r.Name, err)
		}
		if got := s.Query(r.Name, dns.TypeCNAME); !slices.Equal(got, []string{target + "."}) {
			t.Errorf("after Create: %s has %q, want %s.", r.Name, got, target)
		}
	}
}

func testRemove(t *testing.T, s *server) {
	t.Helper()
	h, ctx, r := loopback(), t.Context(), record("new")
	changed := r
	changed.Value = "other.validation.example"
	err := h.Remove(ctx, s.access(nil), changed)
	wantHostError(t, "Remove of a changed record", err, controlplane.HostChanged)
	if got := s.Query(r.Name, dns.TypeCNAME); len(got) != 1 {
		t.Errorf("after Remove of a changed record: %s has %q, want it unchanged", r.Name, got)
	}
	if err := h.Remove(ctx, s.access(nil), r); err != nil {
		t.Errorf("Remove(%s) = %v, want nil", r.Name, err)
	}
	if got := s.Query(r.Name, dns.TypeCNAME); len(got) != 0 {
		t.Errorf("after Remove: %s has %q, want none", r.Name, got)
	}
	err = h.Remove(ctx, s.access(nil), r)
	wantHostError(t, "Remove of a removed record", err, controlplane.HostChanged)
}

// TestUnreachable checks servers that give no usable response.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	go func() {
		for {
			if c, err := silent.Accept(); err != nil {
				return
			} else {
				t.Cleanup(func() { _ = c.Close() })
			}
		}
	}()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	h := New(Config{Loopback: true, Timeout: 100 * time.Millisecond})
	for what, address := range map[string]string{"silent server": silent.Addr().String(),
		"closed port": closed.Addr().String()} {
		wantHostError(t, "Test("+what+")", h.Test(t.Context(), access(t, address, nil)),
			controlplane.HostUnreachable)
	}
	if err := h.Test(t.Context(), controlplane.HostAccess{Type: controlplane.ConnectionRFC2136,
		Credentials: []byte(keySecret)}); err == nil || strings.Contains(err.Error(), keySecret) {
		t.Errorf("Test with malformed credentials = %v, want an error without them", err)
	}
}

// TestOnlyPublicServers checks that private addresses, and names that resolve to them, are never
// connected to.
func TestOnlyPublicServers(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		if c, err := l.Accept(); err == nil {
			t.Error("the private address received a connection")
			_ = c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	h := New(Config{Timeout: time.Minute})
	for _, host := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1",
		"169.254.169.254", "100.64.0.1", "192.168.1.1", "localhost"} {
		err := h.Test(t.Context(), access(t, net.JoinHostPort(host, port), nil))
		wantHostError(t, "Test("+host+")", err, controlplane.HostInvalid)
	}
}

// TestUnsignedResponses checks that a response is not trusted without a signature.
func TestUnsignedResponses(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	forger := &dns.Server{Listener: l, Handler: dns.HandlerFunc(
		func(w dns.ResponseWriter, r *dns.Msg) {
			m := new(dns.Msg).SetReply(r)
			if m.Authoritative = true; r.Opcode == dns.OpcodeQuery {
				soa, _ := dns.NewRR("example.com. 1 IN SOA a. b. 1 1 1 1 1")
				m.Answer = []dns.RR{soa}
			}
			_ = w.WriteMsg(m)
		})}
	go func() { _ = forger.ActivateAndServe() }()
	t.Cleanup(func() { _ = forger.ShutdownContext(context.Background()) })
	a := access(t, l.Addr().String(), nil)
	wantHostError(t, "Test", loopback().Test(t.Context(), a), controlplane.HostInvalid)
	_, err = loopback().Create(t.Context(), a, record("new"), nil)
	wantHostError(t, "Create", err, controlplane.HostInvalid)
}
