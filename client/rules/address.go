package rules

import "net/netip"

// notPublic4 are the IPv4 networks that are not on the public Internet (IANA IPv4 Special-Purpose
// Address Registry, RFC 6890; multicast, RFC 5771). They include networks of the registry that are
// global but contain no customer's hosts.
var notPublic4 = prefixes(
	"0.0.0.0/8",       // this network (RFC 791)
	"10.0.0.0/8",      // private use (RFC 1918)
	"100.64.0.0/10",   // carrier-grade NAT (RFC 6598)
	"127.0.0.0/8",     // loopback (RFC 1122)
	"169.254.0.0/16",  // link local (RFC 3927), and the clouds' metadata
	"172.16.0.0/12",   // private use (RFC 1918)
	"192.0.0.0/24",    // IETF protocol assignments (RFC 6890)
	"192.0.2.0/24",    // documentation (RFC 5737)
	"192.31.196.0/24", // AS112 (RFC 7535)
	"192.52.193.0/24", // AMT (RFC 7450)
	"192.88.99.0/24",  // 6to4 relays (RFC 7526)
	"192.168.0.0/16",  // private use (RFC 1918)
	"192.175.48.0/24", // AS112 (RFC 7534)
	"198.18.0.0/15",   // benchmarks (RFC 2544)
	"198.51.100.0/24", // documentation (RFC 5737)
	"203.0.113.0/24",  // documentation (RFC 5737)
	"224.0.0.0/4",     // multicast (RFC 5771)
	"240.0.0.0/4",     // reserved (RFC 1112), and the broadcast address
)

// nat64 is the prefix of a translator's addresses: the last 32 bits are the IPv4 address
// (RFC 6052 §2.1).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// global6 is the part of IPv6 that is allocated (RFC 4291 §2.4). It excludes unspecified and
// loopback (::/128, ::1/128), IPv4-compatible addresses (::/96), local-use NAT64
// (64:ff9b:1::/48), discard-only (100::/64, 100:0:0:1::/64), segment routing (5f00::/16), unique
// local (fc00::/7), link and site local (fe80::/10, fec0::/10), and multicast (ff00::/8).
var global6 = netip.MustParsePrefix("2000::/3")

// notPublic6 are the networks within global6 that are not on the public Internet (IANA IPv6
// Special-Purpose Address Registry), or that contain an IPv4 address.
var notPublic6 = prefixes(
	"2001::/23",         // IETF protocol assignments (RFC 2928): Teredo, benchmarks, ORCHID
	"2001:db8::/32",     // documentation (RFC 3849)
	"2002::/16",         // 6to4 (RFC 3056)
	"2620:4f:8000::/48", // AS112 (RFC 7534)
	"3fff::/20",         // documentation (RFC 9637)
)

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, s := range texts {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// IsPublicAddr reports whether an address is on the public Internet, so that the service may
// connect to it for a customer: a webhook's receiver or a name server. It checks a mapped IPv4
// address (::ffff:0:0/96) and one behind NAT64 as the IPv4 address.
func IsPublicAddr(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if a.Is4() {
		return !within(notPublic4, a)
	}
	return global6.Contains(a) && !within(notPublic6, a)
}

func within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
