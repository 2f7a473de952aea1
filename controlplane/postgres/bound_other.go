//go:build !linux

package postgres

import "syscall"

// limitUnacknowledged does nothing: TCP keepalive detects a lost connection.
func limitUnacknowledged(_, _ string, _ syscall.RawConn) error { return nil }
