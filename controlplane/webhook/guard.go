package webhook

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// errNotPublic means that a connection was not made because its address is not allowed.
var errNotPublic = errors.New("webhook: the address is not on the public Internet")

const dialTimeout = 10 * time.Second

// newDialer returns a dialer that connects only to allowed addresses. It checks the address itself,
// after name resolution and before the first packet, so that a changed DNS record cannot bypass the
// check.
func newDialer(resolver *net.Resolver, allowed func(netip.Addr) bool) *net.Dialer {
	return &net.Dialer{
		Timeout:  dialTimeout,
		Resolver: resolver,
		ControlContext: func(_ context.Context, network, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || !strings.HasPrefix(network, "tcp") || !allowed(to.Addr()) {
				return errNotPublic
			}
			return nil
		},
	}
}

// isAllowed returns the function that reports whether an address is allowed.
func isAllowed(loopback bool) func(netip.Addr) bool {
	return func(a netip.Addr) bool {
		return rules.IsPublicAddr(a) || loopback && a.Unmap().IsLoopback()
	}
}
