package dnsserver

import (
	"errors"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// anyPort is a port on every system.
type anyPort struct {
	conn packets
	many bool // the socket has every address of its family
	in   [batch]ipv4.Message
	out  [batch]ipv4.Message
	n    int // answers queued
}

// packets is what *ipv4.PacketConn and *ipv6.PacketConn have in common.
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

// source returns the control message that makes an answer leave from the address which the
// question was sent to.
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

// controlSize is room for the control message that tells where a message was sent to.
const controlSize = 64

func isIPv4(conn *net.UDPConn) bool { return conn.LocalAddr().(*net.UDPAddr).IP.To4() != nil }

// wantDestination asks for the address that each message is sent to, where the socket has
// more than one. It reports whether it is told.
func wantDestination(conn *net.UDPConn) bool {
	switch {
	case !conn.LocalAddr().(*net.UDPAddr).IP.IsUnspecified():
		return false
	case isIPv4(conn):
		return ipv4.NewPacketConn(conn).SetControlMessage(ipv4.FlagDst, true) == nil
	}
	return ipv6.NewPacketConn(conn).SetControlMessage(ipv6.FlagDst, true) == nil
}
