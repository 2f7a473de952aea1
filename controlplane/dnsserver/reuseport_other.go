//go:build !linux

package dnsserver

import "syscall"

// maxSockets is 1, because the kernel does not distribute clients among sockets of one address.
const maxSockets = 1

func reusePort(_, _ string, _ syscall.RawConn) error { return nil }
