package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

const (
	floodTick    = 10 * time.Millisecond
	floodSources = 24    // networks, each in a separate /24
	floodUDP     = 2_000 // queries per second, from all networks
	// additional queries per second from the test CA's /24: four times the rate limit
	floodSpoofed   = 400
	floodTCP       = 200     // connections per second
	floodTCPOpen   = 3_000   // open connections: more than the server's 2,048
	floodTCPAtOnce = 2_500   // connections opened before the round
	floodMost      = 200_000 // connections and queries per round
)

// dnsFloods keeps more idle connections to the name server than its limit, from many networks. It
// also sends UDP queries for names that need a lookup in Postgres, some of them from the CA's
// network.
func (n *noise) dnsFloods() error {
	server := n.o.dev.Config.DNS.Listen[0]
	open := make([]net.Conn, 0, floodTCPOpen)
	n.after = append(n.after, func() {
		for _, c := range open {
			_ = c.Close()
		}
	})
	serial := 0
	connect := func() error {
		serial++
		n.sent.Add(1)
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 90, byte(serial%floodSources),
			1)}, Timeout: time.Second}
		c, err := d.DialContext(n.ctx, "tcp", server)
		if err != nil {
			n.failed.Add(1)
			return err
		}
		// the length of a query that is never sent
		if _, err := c.Write([]byte{0, 40}); err != nil {
			n.failed.Add(1)
		}
		if len(open) == floodTCPOpen {
			_ = open[0].Close()
			open = open[1:]
		}
		open = append(open, c)
		return nil
	}
	var sources []*net.UDPConn
	for i := range floodSources + 1 {
		from := net.IPv4(127, 91, byte(i), 1)
		if i == 0 {
			from = net.IPv4(127, 0, 0, 9) // in the network of the CA's resolver
		}
		conn, err := (&net.Dialer{LocalAddr: &net.UDPAddr{IP: from}}).DialContext(n.ctx,
			"udp", server)
		if err != nil {
			return fmt.Errorf("open a socket on another loopback address: %w", err)
		}
		n.after = append(n.after, func() { _ = conn.Close() })
		sources = append(sources, conn.(*net.UDPConn))
	}
	ask := func(c *net.UDPConn) {
		n.sent.Add(1)
		if _, err := c.Write(n.question()); err != nil {
			n.failed.Add(1)
		}
	}
	for range floodTCPAtOnce {
		if err := connect(); err != nil {
			return fmt.Errorf("connect from another loopback address: %w", err)
		}
	}
	perTick := func(perSecond int) int { return perSecond * int(floodTick) / int(time.Second) }
	n.done.Go(func() {
		tick := time.NewTicker(floodTick)
		defer tick.Stop()
		for n.ctx.Err() == nil && n.sent.Load() < floodMost {
			for range perTick(floodTCP) {
				_ = connect() // counted
			}
			for range perTick(floodSpoofed) {
				ask(sources[0])
			}
			for i := range perTick(floodUDP) {
				ask(sources[1+i%floodSources])
			}
			select {
			case <-tick.C:
			case <-n.ctx.Done():
			}
		}
	})
	return nil
}

// question returns a query for a nonexistent target.
func (n *noise) question() []byte {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	label := make([]byte, 32)
	for i := range label {
		label[i] = letters[rand.IntN(len(letters))]
	}
	return packQuestion(string(label) + "." + n.o.dev.Config.Zone)
}
