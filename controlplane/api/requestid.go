package api

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const maxRequestID = 128

// requestID returns the caller's Request-Id where it is fit to be logged and sent back, or a
// new one.
func requestID(r *http.Request) string {
	if id := r.Header.Get("Request-Id"); isRequestID(id) {
		return id
	}
	return controlplane.NewID("req")
}

func isRequestID(s string) bool {
	if s == "" || len(s) > maxRequestID {
		return false
	}
	for i := range len(s) {
		switch b := s[i]; {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9':
		case b == '.', b == '_', b == ':', b == '-':
		default:
			return false
		}
	}
	return true
}

// clientIP returns the caller's address, for the audit log: the peer's, or what our own
// proxy put last into X-Forwarded-For. It is empty where that is no address.
func (a *API) clientIP(r *http.Request) string {
	if a.config.TrustedProxy {
		lines := r.Header.Values("X-Forwarded-For")
		if len(lines) > 0 {
			last := lines[len(lines)-1]
			last = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
			if addr, err := netip.ParseAddr(last); err == nil {
				return addr.Unmap().String()
			}
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}
