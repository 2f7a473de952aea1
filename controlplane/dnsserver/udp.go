package dnsserver

import (
	"errors"
	"net"
	"os"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

const (
	batch      = 32   // messages a system call takes at most
	packetSize = 4096 // of the longest question that is read whole
	readBuffer = 4 << 20
)

// packets is what *ipv4.PacketConn and *ipv6.PacketConn have in common.
type packets interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
	WriteBatch(ms []ipv4.Message, flags int) (int, error)
}

// serveUDP answers one socket's questions until reading ends.
func (s *Server) serveUDP(conn *net.UDPConn) {
	_ = conn.SetReadBuffer(readBuffer) // the kernel may allow less
	pc, oob := packetConn(conn)
	count := s.metrics.newCounters("udp")
	in, out := make([]ipv4.Message, batch), make([]ipv4.Message, batch)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, packetSize)}
		in[i].OOB = make([]byte, oob)
		out[i].Buffers = [][]byte{make([]byte, 0, packetSize)}
	}
	for {
		n, err := pc.ReadBatch(in, 0)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
				return
			}
			s.log.Warn("cannot read from the DNS socket", "error", err)
			time.Sleep(10 * time.Millisecond) // such as out of memory; never a reason to end
			continue
		}
		now := s.now().UnixNano()
		replies := out[:0]
		for i := range in[:n] {
			m := &in[i]
			next := &out[len(replies)]
			r := s.answerUDP(pc, next.Buffers[0], m, now, count)
			if len(r) > 0 {
				next.Buffers[0], next.Addr, next.OOB = r, m.Addr, source(m, oob > 0)
				replies = out[:len(replies)+1]
			}
		}
		send(pc, replies)
	}
}

// answerUDP returns the answer to a message, in out's memory, or nil if there is none now.
func (s *Server) answerUDP(pc packets, out []byte, m *ipv4.Message, now int64, count *counters) []byte {
	pkt := m.Buffers[0][:m.N]
	from, ok := m.Addr.(*net.UDPAddr)
	if !ok || from.Port == 0 || len(pkt) < headerLen || pkt[2]&0x80 != 0 {
		count.dropped[dropIgnored].Add(1)
		return nil
	}
	switch s.limiter.check(client(from), now) {
	case drop:
		count.dropped[dropLimited].Add(1)
		return nil
	case slip:
		if q, ok := parse(pkt); ok {
			count.count(&reply{qtype: q.qtype, tc: true})
			return truncated(out, pkt, q)
		}
		count.dropped[dropLimited].Add(1)
		return nil
	}
	r := s.answer(out, pkt, false, now)
	if r.wait != nil {
		if !s.through.wait() {
			count.dropped[dropBusy].Add(1)
			return nil
		}
		late := ipv4.Message{Addr: m.Addr, OOB: source(m, len(m.OOB) > 0)}
		question := append([]byte(nil), pkt...)
		s.serving.Go(func() {
			defer s.through.leave()
			<-r.wait.done
			r := s.slow(make([]byte, 0, udpSize), question, false, s.now().UnixNano(), r.wait)
			count.count(&r)
			late.Buffers = [][]byte{r.wire}
			send(pc, []ipv4.Message{late})
		})
		return nil
	}
	if len(r.wire) == 0 {
		count.dropped[dropIgnored].Add(1)
		return nil
	}
	count.count(&r)
	return r.wire
}

// send writes what it can; a message that cannot be sent is lost, as it may be on its way.
func send(pc packets, ms []ipv4.Message) {
	for len(ms) > 0 {
		n, err := pc.WriteBatch(ms, 0)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		ms = ms[min(len(ms), max(n, 1)):]
	}
}

// packetConn returns the batch interface of a socket, and how much room each message needs
// for the address that it was sent to, 0 if the socket has only one.
func packetConn(conn *net.UDPConn) (packets, int) {
	at := conn.LocalAddr().(*net.UDPAddr)
	if at.IP.To4() != nil {
		pc := ipv4.NewPacketConn(conn)
		if at.IP.IsUnspecified() && pc.SetControlMessage(ipv4.FlagDst, true) == nil {
			return pc, len(ipv4.NewControlMessage(ipv4.FlagDst | ipv4.FlagInterface))
		}
		return pc, 0
	}
	pc := ipv6.NewPacketConn(conn)
	if at.IP.IsUnspecified() && pc.SetControlMessage(ipv6.FlagDst, true) == nil {
		return pc, len(ipv6.NewControlMessage(ipv6.FlagDst | ipv6.FlagInterface))
	}
	return pc, 0
}

// source returns the control message that makes an answer leave from the address which the
// question was sent to, on a socket that has many.
func source(m *ipv4.Message, many bool) []byte {
	if !many || m.NN == 0 {
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
