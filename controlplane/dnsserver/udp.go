package dnsserver

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"
)

const (
	batch      = 32   // maximum number of messages per system call
	packetSize = 4096 // longest question that is read completely
	readBuffer = 4 << 20
)

// port reads and writes one UDP socket in batches. It is used by one goroutine.
type port interface {
	// read waits for messages and returns their number, at most batch. It invalidates the previous
	// messages.
	read() (int, error)
	// message returns the i-th message and its sender. The address is invalid if the message cannot
	// be answered. The octets are valid until the next read.
	message(i int) ([]byte, netip.AddrPort)
	// buffer returns an empty buffer for the next answer.
	buffer() []byte
	// queue queues the answer to the i-th message, which may be in that buffer.
	queue(i int, wire []byte)
	// flush sends the queued answers. Like any datagrams, they may be lost.
	flush()
	// later returns a function that answers the i-th message after the next read, from any
	// goroutine.
	later(i int) func(wire []byte)
}

// serveUDP answers one socket's questions until the socket is drained or closed.
func (s *Server) serveUDP(conn *net.UDPConn) {
	_ = conn.SetReadBuffer(readBuffer) // the kernel may allow less
	p := s.newPort(conn)
	count := s.metrics.newCounters("udp")
	for {
		n, err := p.read()
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // such as out of memory; always retried
			s.log.Warn("dnsserver: read failed", "error", err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		now := s.now().UnixNano()
		for i := range n {
			s.answerUDP(p, i, now, count)
		}
		p.flush()
	}
}

// answerUDP queues the answer to a message, if it is available now.
func (s *Server) answerUDP(p port, i int, now int64, count *counters) {
	pkt, from := p.message(i)
	if from.Port() == 0 || len(pkt) < headerLen || pkt[2]&0x80 != 0 {
		count.dropped[dropIgnored].Add(1)
		return
	}
	if !s.limiter.allow(from.Addr(), now) {
		q, ok := parse(pkt, true)
		if !ok {
			count.dropped[dropLimited].Add(1)
			return
		}
		count.count(&reply{qtype: q.qtype, tc: true})
		p.queue(i, truncated(p.buffer(), pkt, q))
		return
	}
	r := s.answer(p.buffer(), pkt, false, now)
	switch {
	case r.wait != nil && !s.through.enter(&s.through.waitingUDP):
		count.dropped[dropBusy].Add(1)
	case r.wait != nil:
		s.answerLate(append([]byte(nil), pkt...), r.wait, p.later(i), count)
	case len(r.wire) == 0:
		count.dropped[dropIgnored].Add(1)
	default:
		count.count(&r)
		p.queue(i, r.wire)
	}
}

// answerLate answers a question when its lookup is done.
func (s *Server) answerLate(pkt []byte, wait *call, send func([]byte), count *counters) {
	s.serving.Go(func() {
		defer s.through.leave(&s.through.waitingUDP)
		<-wait.done
		r := s.slow(make([]byte, 0, udpSize), pkt, false, s.now().UnixNano(), wait)
		count.count(&r)
		send(r.wire)
	})
}
