package dnsserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// listeners holds the sockets of all addresses.
type listeners struct {
	udp []*net.UDPConn
	tcp []*net.TCPListener
}

// bindAttempts is how many free ports are tried to find one that is free for UDP and TCP in every
// family.
const bindAttempts = 10

// bind opens all addresses, or none.
func bind(ctx context.Context, addresses []string, sockets int) (*listeners, error) {
	all := new(listeners)
	for _, address := range addresses {
		l, err := bindAddress(ctx, address, sockets)
		if err != nil {
			all.close()
			return nil, fmt.Errorf("listen on %s: %w", address, err)
		}
		all.udp = append(all.udp, l.udp...)
		all.tcp = append(all.tcp, l.tcp...)
	}
	return all, nil
}

func bindAddress(ctx context.Context, address string, sockets int) (*listeners, error) {
	host, portName, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "udp", portName)
	if err != nil {
		return nil, err
	}
	hosts, err := hostAddrs(ctx, host)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		l, err := bindHosts(ctx, hosts, host == "", port, sockets)
		if err == nil {
			return l, nil
		}
		if port != 0 || attempt == bindAttempts || !errors.Is(err, syscall.EADDRINUSE) {
			return nil, err
		}
	}
}

// hostAddrs returns a host's addresses. An empty host means all addresses of both families.
func hostAddrs(ctx context.Context, host string) ([]netip.Addr, error) {
	if host == "" {
		return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}, nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// bindHosts opens addresses on one port. If optional is set, address families that the machine
// lacks are skipped.
func bindHosts(
	ctx context.Context, hosts []netip.Addr, optional bool, port, sockets int,
) (*listeners, error) {
	l := new(listeners)
	for _, ip := range hosts {
		family := "6"
		if ip.Unmap().Is4() {
			family = "4"
		}
		at := net.JoinHostPort(ip.Unmap().String(), strconv.Itoa(port))
		// TCP first: without SO_REUSEPORT it detects a port that is in use.
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp"+family, at)
		if err != nil {
			if optional && len(l.tcp) > 0 &&
				(errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL)) {
				continue
			}
			l.close()
			return nil, err
		}
		tcp := ln.(*net.TCPListener)
		l.tcp = append(l.tcp, tcp)
		port = tcp.Addr().(*net.TCPAddr).Port
		for range max(1, min(sockets, maxSockets)) {
			config := net.ListenConfig{Control: reusePort}
			conn, err := config.ListenPacket(ctx, "udp"+family, tcp.Addr().String())
			if err != nil {
				l.close()
				return nil, err
			}
			l.udp = append(l.udp, conn.(*net.UDPConn))
		}
	}
	return l, nil
}

// drain interrupts all reads. UDP sockets can still be written.
func (l *listeners) drain() {
	past := time.Unix(1, 0)
	for _, conn := range l.udp {
		_ = conn.SetReadDeadline(past)
	}
	for _, ln := range l.tcp {
		_ = ln.Close()
	}
}

func (l *listeners) close() {
	for _, conn := range l.udp {
		_ = conn.Close()
	}
	for _, ln := range l.tcp {
		_ = ln.Close()
	}
}
