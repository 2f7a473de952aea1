package dnsserver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// All addresses of 127.0.0.0/8 are local on Linux, so that a test can use any number of clients.

// dialFrom opens a connection from an address of loopback.
func dialFrom(t *testing.T, s *Server, from string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.DialContext(t.Context(), "tcp", s.Addr())
	if err != nil {
		t.Fatalf("dial from %s: %v", from, err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn
}

// asked sends the question for target 1 and returns the answer, as brief does.
func asked(t *testing.T, conn net.Conn) string {
	t.Helper()
	_, _ = conn.Write(frame(t, label(1)+"."+testZone, 1))
	if m := readTCP(conn); m != nil {
		return brief(m)
	}
	return "no answer"
}

// TestFloodOverTCP floods a server that accepts 64 connections with 320, and meanwhile checks the
// answers to quiet clients: one that reconnects each time, and one that stays connected.
func TestFloodOverTCP(t *testing.T) {
	t.Parallel()
	oneAddress := func(int) string { return "127.10.0.1" }
	oneAggregate := func(i int) string { return fmt.Sprintf("127.11.0.%d", 1+i%200) }
	tenNetworks := func(i int) string { return fmt.Sprintf("127.12.%d.1", i%10) }
	manyNetworks := func(i int) string { return fmt.Sprintf("127.%d.%d.1", 13+i/200, i%200) }
	silent := func(*testing.T, net.Conn) {}
	oneOctet := func(_ *testing.T, conn net.Conn) { _, _ = conn.Write([]byte{0}) }
	mostOfIt := func(t *testing.T, conn net.Conn) {
		q := frame(t, label(1)+"."+testZone, 1)
		_, _ = conn.Write(q[:len(q)-1])
	}
	answered := func(t *testing.T, conn net.Conn) { asked(t, conn) }
	// sends questions without reading, until it is closed
	deaf := func(t *testing.T, conn net.Conn) {
		q := []byte(strings.Repeat(string(frame(t, label(1)+"."+testZone, 1)), 100))
		go func() {
			for {
				if _, err := conn.Write(q); err != nil {
					return
				}
			}
		}()
	}
	floods := map[string]struct {
		from  func(i int) string
		does  func(*testing.T, net.Conn)
		limit string // the limit that closes connections
		quiet string
	}{
		"one address":                    {oneAddress, silent, "network", "127.20.0.1"},
		"a neighbor of the quiet client": {oneAddress, silent, "network", "127.10.0.2"},
		"many addresses of an aggregate": {oneAggregate, silent, "aggregate", "127.20.0.1"},
		"the quiet client's aggregate":   {oneAggregate, silent, "aggregate", "127.11.0.250"},
		"ten networks":                   {tenNetworks, silent, "total", "127.20.0.1"},
		"many networks":                  {manyNetworks, silent, "total", "127.20.0.1"},
		"one octet, one address":         {oneAddress, oneOctet, "network", "127.20.0.1"},
		"one octet, many networks":       {manyNetworks, oneOctet, "total", "127.20.0.1"},
		"half a question, ten networks":  {tenNetworks, mostOfIt, "total", "127.20.0.1"},
		"idle after an answer":           {manyNetworks, answered, "total", "127.20.0.1"},
		"deaf, one address":              {oneAddress, deaf, "network", "127.20.0.1"},
		"deaf, ten networks":             {tenNetworks, deaf, "total", "127.20.0.1"},
	}
	for name, f := range floods {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg := newRegistry()
			c := testConfig(newSource(row{label(1), []Challenge{challenge(1, "v")}}))
			c.MaxTCPConns, c.Registerer = 64, reg
			s := startReady(t, c)
			stays := dialFrom(t, s, f.quiet)
			for i := range 320 {
				f.does(t, dialFrom(t, s, f.from(i)))
				// few enough to fit twice into an aggregate's limit, because accepting may lag
				if i%5 != 4 {
					continue
				}
				if got := asked(t, stays); got != "NOERROR v" {
					t.Fatalf("open connection after %d others: %s, want NOERROR v", i+1, got)
				}
				conn := dialFrom(t, s, f.quiet)
				if got := asked(t, conn); got != "NOERROR v" {
					t.Fatalf("new connection after %d others: %s, want NOERROR v", i+1, got)
				}
				_ = conn.Close()
			}
			text := gather(t, reg)
			if strings.Contains(text, `dcvaas_dns_tcp_evicted_total{limit="`+f.limit+`"} 0`) {
				t.Errorf("no connection was closed by the limit %q:\n%s", f.limit, text)
			}
			if strings.Contains(text, "127.") {
				t.Errorf("the metrics contain an address:\n%s", text)
			}
		})
	}
}

// TestHeavyNetworksMakeRoom checks that connections of networks with many are closed before the
// only one of a quiet network, even if that one is idle for longer.
func TestHeavyNetworksMakeRoom(t *testing.T) {
	t.Parallel()
	c := testConfig(newSource(row{label(1), []Challenge{challenge(1, "v")}}))
	c.MaxTCPConns = 64
	s := startReady(t, c)
	idle := dialFrom(t, s, "127.20.0.1")
	for i := range 300 {
		dialFrom(t, s, fmt.Sprintf("127.12.%d.1", i%10))
	}
	expect(t, "the first connection", asked(t, idle), "NOERROR v")
}

// TestExemptNetworkHasAllConnections checks that an exempt network, such as a proxy's, is subject
// only to the total limit.
func TestExemptNetworkHasAllConnections(t *testing.T) {
	t.Parallel()
	c := testConfig(newSource(row{label(1), []Challenge{challenge(1, "v")}}))
	c.MaxTCPConns, c.RateLimitExempt = 64, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/16")}
	s := startReady(t, c)
	conns := make([]net.Conn, 64)
	for i := range conns {
		conns[i] = dialFrom(t, s, "127.0.0.9")
	}
	for i, conn := range conns {
		expect(t, fmt.Sprint("connection ", i), asked(t, conn), "NOERROR v")
	}
	// A dialed connection may not be accepted yet; an answered one is.
	expect(t, "one more connection", asked(t, dialFrom(t, s, "127.0.0.9")), "NOERROR v")
	expect(t, "longest idle connection", asked(t, conns[0]), "no answer")
	expect(t, "next connection", asked(t, conns[1]), "NOERROR v")
}

// TestFloodFromASpoofedNetwork floods over UDP from a CA's network, as an attacker with spoofed
// addresses does. Each question of the CA's resolver is answered: truncated over UDP, then
// completely over TCP, while the attacker holds as many TCP connections as possible.
func TestFloodFromASpoofedNetwork(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c := testConfig(newSource(row{label(1), []Challenge{challenge(1, "v")}}))
	c.Now, c.RateLimit, c.MaxTCPConns = clock.Now, 10, 64
	s := startReady(t, c)
	for i := range 200 {
		dialFrom(t, s, fmt.Sprintf("127.12.%d.1", i%40))
	}
	dialUDP := func(from string) net.Conn {
		conn, err := (&net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}).DialContext(
			t.Context(), "udp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		return conn
	}
	plain, err := query(label(1)+"."+testZone, dns.TypeTXT).SetEdns0(1232, false).Pack()
	if err != nil {
		t.Fatal(err)
	}
	subnet := query(label(1)+"."+testZone, dns.TypeTXT).SetEdns0(1232, false)
	subnet.IsEdns0().Option = append(subnet.IsEdns0().Option,
		&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, Address: net.IPv4zero})
	options, err := subnet.Pack()
	if err != nil {
		t.Fatal(err)
	}
	spoofed, ca := dialUDP("127.30.0.66"), dialUDP("127.30.0.1")
	buf := make([]byte, 2048)
	truncated := 0
	for i := range 100 {
		for range 20 { // and their answers, so that no socket buffer overflows
			_, _ = spoofed.Write(plain)
		}
		for range 20 {
			if _, err := spoofed.Read(buf); err != nil {
				t.Fatalf("answer to the flood: %v", err)
			}
		}
		_, _ = ca.Write([][]byte{plain, options}[i%2])
		n, err := ca.Read(buf)
		if err != nil {
			t.Fatalf("question %d over UDP: %v", i, err)
		}
		m := new(dns.Msg)
		if err := m.Unpack(buf[:n]); err != nil {
			t.Fatal(err)
		}
		if !m.Truncated {
			t.Fatalf("question %d over UDP: %s, want it truncated", i, m)
		}
		truncated++
		conn := dialFrom(t, s, "127.30.0.1")
		if got := asked(t, conn); got != "NOERROR v" {
			t.Fatalf("question %d over TCP: %s, want NOERROR v", i, got)
		}
		_ = conn.Close()
	}
	if truncated != 100 {
		t.Errorf("truncated answers = %d, want 100", truncated)
	}
}

// TestManyPipelinedQuestionsWait checks that more questions than may wait for a lookup do not cost
// a connection, and that those over TCP do not displace those over UDP.
func TestManyPipelinedQuestionsWait(t *testing.T) {
	t.Parallel()
	source := newSource()
	s := startReady(t, testConfig(source))
	release := make(chan struct{})
	source.onLookup(func(context.Context) error { <-release; return nil })
	const conns, each = 20, 100
	var wg sync.WaitGroup
	answers := make([]int, conns)
	for i := range conns {
		conn := dialFrom(t, s, fmt.Sprintf("127.40.%d.1", i))
		var send []byte
		for n := range each {
			send = append(send, frame(t, label(2)+"."+testZone, uint16(n))...)
		}
		if _, err := conn.Write(send); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for range each {
				if m := readTCP(conn); m == nil || m.Rcode != dns.RcodeNameError {
					return
				}
				answers[i]++
			}
		})
	}
	eventually(t, "the maximum number of waiting questions",
		func() bool { return s.through.waitingTCP.Load() == lookupWaiters })
	udp := make(chan string)
	go func() {
		m, _, err := (&dns.Client{Timeout: 30 * time.Second}).Exchange(query(label(2)+"."+testZone,
			dns.TypeTXT), s.Addr())
		if err != nil {
			udp <- err.Error()
			return
		}
		udp <- brief(m)
	}()
	eventually(t, "the UDP question to wait",
		func() bool { return s.through.waitingUDP.Load() == 1 })
	close(release)
	wg.Wait()
	for i, n := range answers {
		if n != each {
			t.Errorf("connection %d: %d answers, want %d", i, n, each)
		}
	}
	expect(t, "over UDP", <-udp, "NXDOMAIN")
}

// TestLengthTakesNoMemory checks that a connection is closed when it announces a message that is
// longer than any valid question.
func TestLengthTakesNoMemory(t *testing.T) {
	t.Parallel()
	reg := newRegistry()
	c := testConfig(newSource())
	c.Registerer = reg
	s := startReady(t, c)
	conn := dialFrom(t, s, "127.0.0.1")
	_, _ = conn.Write([]byte{0xff, 0xff})
	if m := readTCP(conn); m != nil {
		t.Errorf("answer to an oversized length = %s, want none", m)
	}
	if text := gather(t, reg); !strings.Contains(text,
		`dcvaas_dns_dropped_total{reason="ignored",transport="tcp"} 1`) {
		t.Errorf("dropped_total does not count the message:\n%s", text)
	}
}
