package devstack

import (
	"fmt"
	"net"
	"strconv"
)

// FreePort returns a free TCP port on 127.0.0.1. Another process may take it before the caller
// does, so listen on port 0 instead if possible.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("devstack: finding a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// PortOr returns preferred if that port is free on 127.0.0.1 for both TCP and UDP, which a DNS
// server needs. Otherwise, or if preferred is 0, it returns another port that is free for both.
func PortOr(preferred int) (int, error) {
	if preferred != 0 && portFree(preferred) {
		return preferred, nil
	}
	for range 20 {
		port, err := FreePort()
		if err != nil {
			return 0, err
		}
		if portFree(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("devstack: found no port on 127.0.0.1 that is free for TCP and UDP")
}

func portFree(port int) bool {
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	defer l.Close()
	p, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	p.Close()
	return true
}
