package webhook

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// errNotPublic says that a connection was not made because of where it would have gone.
var errNotPublic = errors.New("webhook: the address is not on the public Internet")

const dialTimeout = 10 * time.Second

// newDialer returns a dialer that connects to allowed addresses only. It looks at the address
// itself, after the name was resolved and before the first packet: what the name resolved to
// at any other time does not matter.
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

// isAllowed returns which addresses may be connected to.
func isAllowed(loopback bool) func(netip.Addr) bool {
	return func(a netip.Addr) bool {
		return controlplane.IsPublicAddr(a) || loopback && a.Unmap().IsLoopback()
	}
}
