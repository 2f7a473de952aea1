package dnsserver

import (
	"bufio"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	tcpReadBuffer = 4 << 10  // per connection; longer questions are rejected
	tcpFlushAt    = 16 << 10 // answers are buffered while more questions are available
	tcpKernel     = 64 << 10 // kernel buffers of a connection, in octets per direction
	tcpLate       = 64       // answers of one connection that may wait for lookups in goroutines
)

// serveTCP accepts connections until the listener is closed.
func (s *Server) serveTCP(ln *net.TCPListener, count *counters) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			s.log.Warn("dnsserver: accept failed", "error", err)
			time.Sleep(10 * time.Millisecond) // such as too many open files
			continue
		}
		c := &tcpConn{server: s, conn: conn.(*net.TCPConn), count: count}
		evicted, ok := s.tcp.add(c)
		if !ok { // the server is stopping
			_ = conn.Close()
			continue
		}
		if evicted != nil {
			evicted.cut()
		}
		s.metrics.tcpConns.Add(1)
		s.serving.Go(func() {
			// otherwise it grows to megabytes if the client does not read
			_ = c.conn.SetReadBuffer(tcpKernel)
			_ = c.conn.SetWriteBuffer(tcpKernel)
			c.serve()
			s.tcp.remove(c)
			s.metrics.tcpConns.Add(-1)
		})
	}
}

// tcpConn is one connection. Questions may be pipelined. An answer that waits for a lookup does not
// delay those after it (RFC 7766 §6.2.1.1).
type tcpConn struct {
	server *Server
	conn   *net.TCPConn
	count  *counters
	places [3]place // in the groups that count it; guarded by tcpConns.mu
	late   sync.WaitGroup
	lateN  atomic.Int32 // answers that wait for a lookup, each in a goroutine

	mu  sync.Mutex // guards out, and serializes writes
	out []byte
}

// serve answers questions until the client closes the connection, is idle, or reads too slowly.
func (c *tcpConn) serve() {
	defer func() { _ = c.conn.Close() }()
	defer c.late.Wait()
	in := bufio.NewReaderSize(c.conn, tcpReadBuffer)
	var scratch []byte
	for {
		waited := in.Buffered() < 2 || in.Buffered() < 2+peekLen(in)
		if waited && (!c.flush() || !c.server.tcp.await(c.conn, c.server.config.TCPIdleTimeout)) {
			return
		}
		pkt, ok := c.next(in)
		if !ok {
			return
		}
		if waited {
			c.server.tcp.touch(c)
		}
		now := c.server.now().UnixNano()
		r := c.server.answer(scratch, pkt, true, now)
		if r.wait != nil {
			if r, ok = c.answerLate(pkt, r.wait); !ok {
				return
			}
		} else if len(r.wire) == 0 { // not a question
			c.count.dropped[dropIgnored].Add(1)
			return
		}
		if len(r.wire) > 0 {
			scratch = r.wire[:0]
			if !c.append(&r) {
				return
			}
		}
		_, _ = in.Discard(2 + len(pkt))
	}
}

// next returns the next question, in the memory of in. It returns false at the end of the stream,
// and for a message that is longer than any valid question, without allocating memory for it.
func (c *tcpConn) next(in *bufio.Reader) ([]byte, bool) {
	if _, err := in.Peek(2); err != nil {
		return nil, false
	}
	n := peekLen(in)
	if 2+n > in.Size() {
		c.count.dropped[dropIgnored].Add(1)
		return nil, false
	}
	framed, err := in.Peek(2 + n)
	if err != nil {
		return nil, false
	}
	return framed[2:], true
}

// answerLate answers a question when its lookup is done, in a goroutine. If too many are waiting,
// it waits itself, which delays the questions after it; only then the reply contains the answer.
func (c *tcpConn) answerLate(pkt []byte, wait *call) (reply, bool) {
	t := c.server.through
	if c.lateN.Load() >= tcpLate || !t.enter(&t.waitingTCP) {
		if !c.flush() {
			return reply{}, false
		}
		<-wait.done
		return c.server.slow(nil, pkt, true, c.server.now().UnixNano(), wait), true
	}
	question := append([]byte(nil), pkt...)
	c.lateN.Add(1)
	c.late.Go(func() {
		defer t.leave(&t.waitingTCP)
		defer c.lateN.Add(-1)
		<-wait.done
		r := c.server.slow(nil, question, true, c.server.now().UnixNano(), wait)
		_ = c.append(&r) && c.flush()
	})
	return reply{}, true
}

// cut closes the connection immediately and discards its data in the kernel.
func (c *tcpConn) cut() {
	_ = c.conn.SetLinger(0)
	_ = c.conn.Close()
}

// append queues an answer, and writes the queue if it is large.
func (c *tcpConn) append(r *reply) bool {
	c.count.count(r)
	c.mu.Lock()
	c.out = binary.BigEndian.AppendUint16(c.out, uint16(len(r.wire)))
	c.out = append(c.out, r.wire...)
	full := len(c.out) >= tcpFlushAt
	c.mu.Unlock()
	return !full || c.flush()
}

// flush writes the queued answers. If it returns false, the connection must be closed.
func (c *tcpConn) flush() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.out) == 0 {
		return true
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(c.server.config.TCPIdleTimeout))
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err == nil
}

// peekLen returns the length of the next message. Two octets must be buffered.
func peekLen(in *bufio.Reader) int {
	b, err := in.Peek(2)
	if err != nil {
		return 0
	}
	return int(binary.BigEndian.Uint16(b))
}
