package dnsserver

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

// frame packs a question for TCP with the given ID.
func frame(t *testing.T, name string, id uint16) []byte {
	t.Helper()
	m := query(name, dns.TypeTXT)
	m.Id = id
	pkt, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(pkt))), pkt...)
}

func TestPipelining(t *testing.T) {
	t.Parallel()
	source := newSource(row{label(1), []Challenge{challenge(1, "v")}})
	s := startReady(t, testConfig(source))
	release := make(chan struct{})
	source.onLookup(func(context.Context) error { <-release; return nil })
	conn := dial(t, s)
	const n = 1000 // more than the 128 of miekg/dns
	send := frame(t, label(2)+"."+testZone, n)
	for i := range n {
		send = append(send, frame(t, label(1)+"."+testZone, uint16(i))...)
	}
	go func() { // in pieces of arbitrary length
		for len(send) > 0 {
			k := min(777, len(send))
			_, _ = conn.Write(send[:k])
			send = send[k:]
		}
	}()
	for i := range n {
		m := readTCP(conn)
		if m == nil || m.Id != uint16(i) || brief(m) != "NOERROR v" {
			t.Fatalf("answer %d = %v, want NOERROR v with that ID", i, m)
		}
	}
	close(release)
	if m := readTCP(conn); m == nil || m.Id != n || m.Rcode != dns.RcodeNameError {
		t.Errorf("delayed answer = %v, want the first question's", m)
	}
}

func TestHalfClosedConnectionIsAnswered(t *testing.T) {
	t.Parallel()
	source := newSource()
	s := startReady(t, testConfig(source))
	source.onLookup(func(context.Context) error { time.Sleep(50 * time.Millisecond); return nil })
	conn := dial(t, s)
	_, _ = conn.Write(append(frame(t, label(1)+"."+testZone, 1), frame(t, testZone, 2)...))
	_ = conn.(*net.TCPConn).CloseWrite()
	for range 2 {
		if readTCP(conn) == nil {
			t.Fatal("no answer after the client closed its side")
		}
	}
	if m := readTCP(conn); m != nil {
		t.Errorf("third answer = %s, want none", m)
	}
}

func TestIdleConnectionsEnd(t *testing.T) {
	t.Parallel()
	c := testConfig(newSource())
	c.TCPIdleTimeout = 100 * time.Millisecond
	s := startReady(t, c)
	for what, sent := range map[string][]byte{"silent": nil, "stuck": {0, 50, 1},
		"response": append([]byte{0, 12, 0, 0, 0x80}, make([]byte, 9)...), "short": {0, 1, 1}} {
		conn := dial(t, s)
		_, _ = conn.Write(sent)
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%s connection is still open", what)
		}
	}
}

func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	c := testConfig(newSource())
	c.MaxTCPConns, c.RateLimitExempt = 2, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s := startReady(t, c)
	a, b := dial(t, s), dial(t, s)
	for _, conn := range []net.Conn{a, b} {
		_, _ = conn.Write(frame(t, testZone, 1))
		if readTCP(conn) == nil {
			t.Fatal("no answer to an open connection")
		}
	}
	third := dial(t, s)
	_, _ = third.Write(frame(t, testZone, 1))
	if readTCP(third) == nil {
		t.Error("no answer to the third connection")
	}
	if _, err := a.Read(make([]byte, 1)); err == nil {
		t.Error("the first connection is still open")
	}
}

func TestStopAnswersReceivedQuestions(t *testing.T) {
	t.Parallel()
	source := newSource()
	s, err := New(testConfig(source))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "Addr before Start", s.Addr(), "")
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready", s.Ready)
	addr := s.Addr()
	entered, release := make(chan struct{}, 2), make(chan struct{})
	source.onLookup(func(context.Context) error { entered <- struct{}{}; <-release; return nil })
	answers := make(chan *dns.Msg, 2)
	for i, network := range []string{"udp", "tcp"} {
		go func() {
			c := &dns.Client{Net: network, Timeout: 5 * time.Second}
			m, _, _ := c.Exchange(query(label(i)+"."+testZone, dns.TypeTXT), addr)
			answers <- m
		}()
		<-entered
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(context.Background()) }()
	eventually(t, "unready", func() bool { return !s.Ready() })
	close(release)
	for range 2 {
		if m := <-answers; m == nil || m.Rcode != dns.RcodeNameError {
			t.Errorf("answer while stopping = %v, want NOERROR v", m)
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Errorf("second Stop error = %v, want nil", err)
	}
	if _, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		t.Error("the address still accepts connections after Stop")
	}
}

func TestStopReturnsWithItsContext(t *testing.T) {
	t.Parallel()
	source := newSource()
	s, err := New(testConfig(source))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	defer close(release)
	source.onLookup(func(context.Context) error { <-release; return nil })
	conn := dial(t, s)
	_, _ = conn.Write(frame(t, label(1)+"."+testZone, 1))
	eventually(t, "stuck", func() bool { return s.through.waitingTCP.Load() == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx); err == nil {
		t.Error("Stop with a hanging lookup = nil error, want the context's error")
	}
}
