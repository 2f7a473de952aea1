package rules

import (
	"net"
	"strings"
)

// MaxNetworks is how many networks the updates of an acme-dns account can be limited to.
const MaxNetworks = 100

// ParseNetwork returns a network in CIDR notation as acme-dns stores it: without the brackets
// around an IPv6 address, and otherwise as written. It returns an *Error for anything else.
func ParseNetwork(s string) (string, error) {
	s = strings.NewReplacer("[", "", "]", "").Replace(s)
	if _, _, err := net.ParseCIDR(s); err != nil {
		return "", &Error{Code: "network-invalid",
			Message: "It must be a network in CIDR notation, such as 192.0.2.0/24.",
			Fix:     "Use such a network. One address is 192.0.2.1/32."}
	}
	return s, nil
}
