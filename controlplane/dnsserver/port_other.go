//go:build !linux

package dnsserver

import "net"

func newPort(conn *net.UDPConn) port { return newAnyPort(conn) }
