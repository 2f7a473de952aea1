package devstack

import (
	"fmt"
	"net"
	"strconv"
)

// FreePort returns a TCP port of 127.0.0.1 that nobody listens on. Another process may take it before the caller does:
// callers that can listen on port 0 themselves should.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("devstack: find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// PortOr returns preferred if 127.0.0.1 has that port free for both TCP and UDP (a DNS server needs both), and else a port
// that has. Preferred 0 asks for any.
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
	return 0, fmt.Errorf("devstack: no port of 127.0.0.1 is free for TCP and UDP")
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
