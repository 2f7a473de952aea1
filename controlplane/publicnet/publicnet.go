// Package publicnet connects to hosts that customers name, such as the receivers of webhooks and
// their name servers, only at addresses on the public Internet. The packages for such hosts use its
// dialer. It makes no requests.
package publicnet

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

// ErrNotPublic means that a connection was not made because its address is not allowed.
var ErrNotPublic = errors.New("publicnet: the address is not on the public Internet")

const dialTimeout = 10 * time.Second

// NewDialer returns a dialer that makes TCP connections, only to allowed addresses. It checks the
// address itself, after name resolution and before the first packet, so that a changed DNS record
// cannot bypass the check. Its error for other addresses wraps ErrNotPublic.
func NewDialer(resolver *net.Resolver, allowed func(netip.Addr) bool) *net.Dialer {
	return &net.Dialer{
		Timeout:  dialTimeout,
		Resolver: resolver,
		ControlContext: func(_ context.Context, network, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || !strings.HasPrefix(network, "tcp") || !allowed(to.Addr()) {
				return ErrNotPublic
			}
			return nil
		},
	}
}

// Allowed returns the function that reports whether an address is on the public Internet. With
// loopback, which is for development, it also allows the loopback interface.
func Allowed(loopback bool) func(netip.Addr) bool {
	return func(a netip.Addr) bool {
		return rules.IsPublicAddr(a) || loopback && a.Unmap().IsLoopback()
	}
}
