package publicnet

import (
	"errors"
	"net"
	"testing"
)

// Private addresses in each form are refused before a packet is sent, also with the loopback
// interface allowed.
func TestDialerRejectsPrivateAddresses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1",
		"localhost:1", "10.0.0.1:53", "172.16.0.1:53", "192.168.1.1:53", "169.254.169.254:80",
		"100.64.0.1:53", "0.0.0.0:53", "224.0.0.1:53", "255.255.255.255:53", "[fd00::1]:53",
		"[fe80::1]:53", "[::ffff:10.0.0.1]:53", "[64:ff9b::a00:1]:53"} {
		for _, loopback := range []bool{false, true} {
			host, _, _ := net.SplitHostPort(address)
			if ip := net.ParseIP(host); loopback && (ip == nil || ip.IsLoopback()) {
				continue
			}
			conn, err := NewDialer(nil, Allowed(loopback)).DialContext(t.Context(), "tcp", address)
			if err == nil {
				_ = conn.Close()
			}
			if !errors.Is(err, ErrNotPublic) {
				t.Errorf("dial %s with loopback %v = %v, want %v", address, loopback, err,
					ErrNotPublic)
			}
		}
	}
	if _, err := NewDialer(nil, Allowed(true)).DialContext(t.Context(), "udp",
		"127.0.0.1:53"); !errors.Is(err, ErrNotPublic) {
		t.Errorf("dial over UDP = %v, want %v", err, ErrNotPublic)
	}
}

func TestDialerAllowsLoopback(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	conn, err := NewDialer(nil, Allowed(true)).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatalf("dial %s = %v, want a connection", l.Addr(), err)
	}
	_ = conn.Close()
}
