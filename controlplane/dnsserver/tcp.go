package dnsserver

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	tcpReadBuffer = 4 << 10
	tcpFlushAt    = 16 << 10 // answers are gathered while more questions are at hand
)

// tcpConns are the connections that are open.
type tcpConns struct {
	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	draining bool
}

// serveTCP accepts connections until the listener is closed.
func (s *Server) serveTCP(ln *net.TCPListener, count *counters) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			s.log.Warn("cannot accept a DNS connection", "error", err)
			time.Sleep(10 * time.Millisecond) // such as out of files
			continue
		}
		if !s.tcp.add(conn, s.config.MaxTCPConns) {
			count.dropped[dropBusy].Add(1)
			_ = conn.Close()
			continue
		}
		s.metrics.tcpConns.Add(1)
		s.serving.Go(func() {
			c := &tcpConn{server: s, conn: conn, count: count}
			c.serve()
			s.tcp.remove(conn)
			s.metrics.tcpConns.Add(-1)
		})
	}
}

// tcpConn is one connection. Questions may be pipelined; an answer that has to wait for a
// look-up does not hold up those behind it (RFC 7766 §6.2.1.1).
type tcpConn struct {
	server *Server
	conn   net.Conn
	count  *counters
	late   sync.WaitGroup

	mu  sync.Mutex // held while out is changed or written
	out []byte
}

// serve answers until the client ends, falls silent or is too slow to read.
func (c *tcpConn) serve() {
	defer func() { _ = c.conn.Close() }()
	defer c.late.Wait()
	in := bufio.NewReaderSize(c.conn, tcpReadBuffer)
	var pkt, scratch []byte
	for {
		if in.Buffered() < 2 || in.Buffered() < 2+peekLen(in) {
			if !c.flush() || !c.server.tcp.await(c.conn, c.server.config.TCPIdleTimeout) {
				return
			}
		}
		var size [2]byte
		if _, err := io.ReadFull(in, size[:]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint16(size[:]))
		if cap(pkt) < n {
			pkt = make([]byte, max(n, 512))
		}
		pkt = pkt[:n]
		if _, err := io.ReadFull(in, pkt); err != nil {
			return
		}
		now := c.server.now().UnixNano()
		r := c.server.answer(scratch, pkt, true, now)
		if r.wait != nil {
			if !c.answerLate(pkt, r.wait) {
				return
			}
			continue
		}
		if len(r.wire) == 0 { // not a question: this is no client of ours
			c.count.dropped[dropIgnored].Add(1)
			return
		}
		scratch = r.wire[:0]
		if !c.append(&r) {
			return
		}
	}
}

// answerLate answers a question when its look-up is done.
func (c *tcpConn) answerLate(pkt []byte, wait *call) bool {
	if !c.server.through.wait() {
		c.count.dropped[dropBusy].Add(1)
		return false
	}
	question := append([]byte(nil), pkt...)
	c.late.Go(func() {
		defer c.server.through.leave()
		<-wait.done
		r := c.server.slow(nil, question, true, c.server.now().UnixNano(), wait)
		_ = c.append(&r) && c.flush()
	})
	return true
}

// append queues an answer, and writes when there is much.
func (c *tcpConn) append(r *reply) bool {
	c.count.count(r)
	c.mu.Lock()
	c.out = binary.BigEndian.AppendUint16(c.out, uint16(len(r.wire)))
	c.out = append(c.out, r.wire...)
	full := len(c.out) >= tcpFlushAt
	c.mu.Unlock()
	return !full || c.flush()
}

// flush writes what is queued; false ends the connection.
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

// peekLen returns the length of the next message; two octets are buffered.
func peekLen(in *bufio.Reader) int {
	b, err := in.Peek(2)
	if err != nil {
		return 0
	}
	return int(binary.BigEndian.Uint16(b))
}

// add takes a new connection, unless there are too many or the server stops.
func (t *tcpConns) add(conn net.Conn, most int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.draining || len(t.conns) >= most {
		return false
	}
	t.conns[conn] = struct{}{}
	return true
}

func (t *tcpConns) remove(conn net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, conn)
}

// await sets the time within which the next message is to be there. It reports false when
// the server stops.
func (t *tcpConns) await(conn net.Conn, idle time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.draining && conn.SetReadDeadline(time.Now().Add(idle)) == nil
}

// drain makes every connection end when what it has read is answered.
func (t *tcpConns) drain() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.draining = true
	for conn := range t.conns {
		_ = conn.SetReadDeadline(time.Unix(1, 0))
	}
}

func (t *tcpConns) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for conn := range t.conns {
		_ = conn.Close()
	}
}
