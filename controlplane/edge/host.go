package edge

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// OnlyHosts passes requests whose Host header is a loopback name or address, one of the names, or,
// if addresses is set, any IP address. A page of another site whose own name resolves to this
// listener (DNS rebinding) sends that name, and gets 421.
func OnlyHosts(names []string, addresses bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !HostIs(r, names, addresses) {
			http.Error(w, "This listener does not serve the host "+quoteHost(r.Host)+
				". Use an address of this machine, or have the operator configure the name.",
				http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// HostIs reports whether a request's Host header is a loopback name or address, one of the names,
// or, if addresses is set, any IP address. Ports are ignored.
func HostIs(r *http.Request, names []string, addresses bool) bool {
	host := hostName(r.Host)
	switch host {
	case "":
		return false
	case "localhost":
		return true
	}
	if ip, err := netip.ParseAddr(host); err == nil && (addresses || ip.Unmap().IsLoopback()) {
		return true
	}
	return slices.ContainsFunc(names, func(name string) bool { return hostName(name) == host })
}

// hostName returns a host in lower case, without port, brackets, and trailing dot.
func hostName(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// quoteHost quotes a Host header for a text.
func quoteHost(host string) string {
	return `"` + strings.ToValidUTF8(host[:min(len(host), 255)], "") + `"`
}
