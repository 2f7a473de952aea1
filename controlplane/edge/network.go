package edge

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// ClientIP returns the client's address: the peer's or, if the peer is a trusted proxy, the last
// entry of X-Forwarded-For, which that proxy wrote. It returns "" if the address is invalid.
func ClientIP(r *http.Request, trustedProxy bool) string {
	if lines := r.Header.Values("X-Forwarded-For"); trustedProxy && len(lines) > 0 {
		last := lines[len(lines)-1]
		last = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
		if addr, err := netip.ParseAddr(last); err == nil {
			return addr.Unmap().String()
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

// Network returns the client network of an address, by which limits count: the IPv4 address, or the
// /64 of an IPv6 address, the smallest network of one subscriber (RFC 6177). Invalid addresses
// share one network.
func Network(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return "unknown"
	}
	if addr = addr.Unmap().WithZone(""); addr.Is4() {
		return addr.String()
	}
	prefix, _ := addr.Prefix(64) // 64 is valid for IPv6
	return prefix.String()
}
