package dnsserver

import (
	"errors"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// anyPort is a port for any operating system.
type anyPort struct {
	conn packets
	many bool // the socket is bound to all addresses of its family
	in   [batch]ipv4.Message
	out  [batch]ipv4.Message
	n    int // answers queued
}

// packets contains the methods that *ipv4.PacketConn and *ipv6.PacketConn share.
type packets interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
	WriteBatch(ms []ipv4.Message, flags int) (int, error)
}

func newAnyPort(conn *net.UDPConn) port {
	p := &anyPort{many: wantDestination(conn)}
	if isIPv4(conn) {
		p.conn = ipv4.NewPacketConn(conn)
	} else {
		p.conn = ipv6.NewPacketConn(conn)
	}
	for i := range p.in {
		p.in[i].Buffers = [][]byte{make([]byte, packetSize)}
		p.out[i].Buffers = [][]byte{make([]byte, 0, packetSize)}
		if p.many {
			p.in[i].OOB = make([]byte, controlSize)
		}
	}
	return p
}

func (p *anyPort) read() (int, error) { return p.conn.ReadBatch(p.in[:], 0) }

func (p *anyPort) message(i int) ([]byte, netip.AddrPort) {
	m := &p.in[i]
	var from netip.AddrPort
	if a, ok := m.Addr.(*net.UDPAddr); ok {
		from = a.AddrPort()
	}
	return m.Buffers[0][:m.N], from
}

func (p *anyPort) buffer() []byte { return p.out[p.n].Buffers[0][:0] }

func (p *anyPort) queue(i int, wire []byte) {
	m := &p.out[p.n]
	m.Buffers[0], m.Addr, m.OOB = wire, p.in[i].Addr, p.source(i)
	p.n++
}

func (p *anyPort) flush() {
	p.send(p.out[:p.n])
	p.n = 0
}

func (p *anyPort) later(i int) func([]byte) {
	m := ipv4.Message{Addr: p.in[i].Addr, OOB: p.source(i)}
	return func(wire []byte) {
		m.Buffers = [][]byte{wire}
		p.send([]ipv4.Message{m})
	}
}

func (p *anyPort) send(ms []ipv4.Message) {
	for len(ms) > 0 {
		n, err := p.conn.WriteBatch(ms, 0)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		ms = ms[min(len(ms), max(n, 1)):]
	}
}

// source returns the control message that sends an answer from the address that received the
// question.
func (p *anyPort) source(i int) []byte {
	m := &p.in[i]
	if !p.many || m.NN == 0 {
		return nil
	}
	if from, ok := m.Addr.(*net.UDPAddr); ok && from.IP.To4() == nil {
		var cm ipv6.ControlMessage
		if cm.Parse(m.OOB[:m.NN]) == nil && cm.Dst != nil {
			return (&ipv6.ControlMessage{Src: cm.Dst}).Marshal()
		}
		return nil
	}
	var cm ipv4.ControlMessage
	if cm.Parse(m.OOB[:m.NN]) == nil && cm.Dst != nil {
		return (&ipv4.ControlMessage{Src: cm.Dst}).Marshal()
	}
	return nil
}

// controlSize is the buffer size for the control message with a message's destination.
const controlSize = 64

func isIPv4(conn *net.UDPConn) bool { return conn.LocalAddr().(*net.UDPAddr).IP.To4() != nil }

// wantDestination requests the destination address of each message if the socket is bound to
// several addresses. It reports whether messages will contain it.
func wantDestination(conn *net.UDPConn) bool {
	switch {
	case !conn.LocalAddr().(*net.UDPAddr).IP.IsUnspecified():
		return false
	case isIPv4(conn):
		return ipv4.NewPacketConn(conn).SetControlMessage(ipv4.FlagDst, true) == nil
	}
	return ipv6.NewPacketConn(conn).SetControlMessage(ipv6.FlagDst, true) == nil
}
