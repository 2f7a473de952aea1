package dnscheck_test

import (
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"

	"github.com/miekg/dns"
)

// network connects a doctor to servers in memory. In a synctest bubble, timeouts take no time.
type network struct {
	tally
	resolvers map[string]http.Handler // by host
	servers   map[string]dns.Handler  // by address
}

// tally counts the queries that servers received.
type tally struct{ doh, udp, tcp atomic.Int32 }

// RoundTrip implements http.RoundTripper.
func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.doh.Add(1)
	w := httptest.NewRecorder()
	n.resolvers[r.URL.Host].ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// dial connects to a name server.
func (n *network) dial(_ context.Context, protocol, address string) (net.Conn, error) {
	h := n.servers[address]
	if h == nil {
		return nil, &net.OpError{Op: "dial", Net: protocol, Err: net.ErrClosed}
	}
	mine, its := net.Pipe()
	if protocol == "udp" {
		go n.serve(h, &n.udp, datagrams{its})
		return datagrams{mine}, nil
	}
	go n.serve(h, &n.tcp, its)
	return mine, nil
}

// serve answers the queries of a connection.
func (n *network) serve(h dns.Handler, received *atomic.Int32, conn net.Conn) {
	defer func() { _ = conn.Close() }()
	c := dns.Conn{Conn: conn, UDPSize: 4096}
	for {
		q, err := c.ReadMsg()
		if err != nil {
			return
		}
		received.Add(1)
		h.ServeDNS(responder{conn: conn}, q)
	}
}

// datagrams is a connection that keeps the boundaries of messages, as UDP does. net.Pipe does, if
// the reader's buffer is large enough.
type datagrams struct{ net.Conn }

// ReadFrom implements net.PacketConn, which marks a connection for UDP.
func (d datagrams) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := d.Read(b)
	return n, d.RemoteAddr(), err
}

// WriteTo implements net.PacketConn.
func (d datagrams) WriteTo(b []byte, _ net.Addr) (int, error) { return d.Write(b) }

// LocalAddr implements net.Conn.
func (datagrams) LocalAddr() net.Addr { return &net.UDPAddr{} }

// responder writes answers to a connection.
type responder struct {
	dns.ResponseWriter
	conn net.Conn
}

// LocalAddr implements dns.ResponseWriter.
func (r responder) LocalAddr() net.Addr {
	if _, ok := r.conn.(datagrams); ok {
		return &net.UDPAddr{}
	}
	return &net.TCPAddr{}
}

// WriteMsg implements dns.ResponseWriter.
func (r responder) WriteMsg(m *dns.Msg) error {
	raw, err := m.Pack()
	if err != nil {
		return err
	}
	if _, ok := r.conn.(datagrams); !ok {
		raw = append(binary.BigEndian.AppendUint16(nil, uint16(len(raw))), raw...)
	}
	_, err = r.conn.Write(raw)
	return err
}
