package rules_test

import (
	"net/netip"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// specialNetworks are IANA's registries of special-purpose addresses, multicast, and deprecated
// networks.
var specialNetworks = []string{
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24",
	"192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32",
	"::/128", "::1/128", "::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23",
	"2001::/32", "2001:1::1/128", "2001:2::/48", "2001:3::/32", "2001:4:112::/48",
	"2001:10::/28", "2001:20::/28", "2001:30::/28", "2001:db8::/32", "2002::/16",
	"2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
}

func TestIsPublicAddr(t *testing.T) {
	t.Parallel()
	for _, s := range specialNetworks {
		p := netip.MustParsePrefix(s)
		for _, a := range []netip.Addr{p.Addr(), lastOf(p)} {
			wantPublic(t, a, false)
			if !a.Is4() {
				continue
			}
			wantPublic(t, netip.AddrFrom16(a.As16()), false) // mapped
			behind := netip.MustParseAddr("64:ff9b::").As16()
			v4 := a.As4()
			copy(behind[12:], v4[:])
			wantPublic(t, netip.AddrFrom16(behind), false)
		}
	}
	for _, s := range []string{
		"1.0.0.0", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
		"126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255",
		"172.32.0.0",
		"192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0",
		"198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255",
		"203.0.114.0",
		"223.255.255.255", "2001:200::", "2001:db7:ffff::1", "2001:db9::", "2003::",
		"2606:4700:4700::1111", "2a00:1450::1", "3fff:1000::",
		"::ffff:8.8.8.8", "64:ff9b::808:808",
	} {
		wantPublic(t, netip.MustParseAddr(s), true)
	}
	for _, a := range []netip.Addr{{}, netip.MustParseAddr("2606:4700::1%eth0"),
		netip.MustParseAddr("64:ff9b::808:808%eth0"), netip.MustParseAddr("4000::1"),
		netip.MustParseAddr("64:ff9c::808:808")} {
		wantPublic(t, a, false)
	}
}

func wantPublic(t *testing.T, a netip.Addr, public bool) {
	t.Helper()
	if got := rules.IsPublicAddr(a); got != public {
		t.Errorf("IsPublicAddr(%s) = %v, want %v", a, got, public)
	}
}

// lastOf returns the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
