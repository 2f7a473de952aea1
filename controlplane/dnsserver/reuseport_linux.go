package dnsserver

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// maxSockets is how many UDP sockets may share an address.
const maxSockets = 64

// reusePort lets several sockets have one address, among which the kernel spreads clients.
func reusePort(_, _ string, c syscall.RawConn) error {
	var err error
	if ctl := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}); ctl != nil {
		return ctl
	}
	return err
}
