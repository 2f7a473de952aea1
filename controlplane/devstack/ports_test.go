package devstack_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

func TestPortOr(t *testing.T) {
	t.Parallel()
	free, err := devstack.PortOr(0)
	if err != nil || free == 0 {
		t.Fatalf("PortOr(0) = %d, %v, want a free port", free, err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for _, taken := range []int{tcp.Addr().(*net.TCPAddr).Port,
		udp.LocalAddr().(*net.UDPAddr).Port} {
		got, err := devstack.PortOr(taken)
		if err != nil || got == taken {
			t.Errorf("PortOr(%d) of a port in use = %d, %v, want another port", taken, got, err)
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(got)))
		if err != nil {
			t.Errorf("listening on the port from PortOr(): %v, want it free", err)
			continue
		}
		l.Close()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	quiet := l.Addr().(*net.TCPAddr).Port
	l.Close()
	if got, err := devstack.PortOr(quiet); err != nil || got != quiet {
		t.Errorf("PortOr(%d) of a free port = %d, %v, want the same port", quiet, got, err)
	}
}
