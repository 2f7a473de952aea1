//go:build !linux

package dnsserver

import "syscall"

// maxSockets is 1 where the kernel does not spread clients among sockets of one address.
const maxSockets = 1

func reusePort(_, _ string, _ syscall.RawConn) error { return nil }
