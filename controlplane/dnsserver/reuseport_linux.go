package dnsserver

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// maxSockets is the maximum number of UDP sockets per address.
const maxSockets = 64

// reusePort lets several sockets share an address. The kernel distributes clients among them.
func reusePort(_, _ string, c syscall.RawConn) error {
	var err error
	if ctl := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}); ctl != nil {
		return ctl
	}
	return err
}
