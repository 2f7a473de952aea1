package dnscheck

import (
	"errors"
	"net"
	"testing"
)

// TestDialsPublicAddressesOnly checks that the doctor uses controlplane.IsPublicAddr when it dials
// the name servers of a customer's zone.
func TestDialsPublicAddressesOnly(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{
		"127.0.0.1", "10.0.0.1", "169.254.169.254", "192.0.0.8", "192.0.2.1", "192.88.99.1",
		"198.18.0.1", "198.51.100.1", "203.0.113.1", "240.0.0.1", "255.255.255.255",
		"::ffff:127.0.0.1", "::ffff:198.18.0.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "100::1",
		"2001:0:4136:e378::1", "2001:db8::1", "2002:7f00:1::1", "3fff::1", "5f00::1", "fd00::1",
		"fec0::1",
	} {
		for _, network := range []string{"udp", "tcp"} {
			conn, err := publicDial(t.Context(), network, net.JoinHostPort(addr, "53"))
			if err == nil {
				_ = conn.Close()
			}
			if !errors.Is(err, errPrivate) {
				t.Errorf("publicDial(%s, %s) = %v, want %v", network, addr, err, errPrivate)
			}
		}
	}
}
