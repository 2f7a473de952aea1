package program

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
)

// hsts makes browsers use HTTPS alone for a year (RFC 6797).
const hsts = "max-age=31536000"

// withFront gives a server what is common to all responses of the public listener: HSTS if
// people reach it by HTTPS, and, in place of the plain text that net/http itself sends to
// clients whose requests it rejects before a handler is called, the response that unparsed
// returns. It returns the listener to serve.
func withFront(server *http.Server, l net.Listener, secure bool, unparsed func(status int, peer string) *http.Response) net.Listener {
	next := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(frontConnKey{}).(*frontConn); ok {
			c.handling.Store(true)
		}
		if secure {
			w.Header().Set("Strict-Transport-Security", hsts)
		}
		next.ServeHTTP(w, r)
	})
	server.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, frontConnKey{}, c)
	}
	server.ConnState = func(c net.Conn, state http.ConnState) {
		if c, ok := c.(*frontConn); ok && state == http.StateIdle {
			c.handling.Store(false)
		}
	}
	return &frontListener{Listener: l, unparsed: func(status int, peer string) []byte {
		resp := unparsed(status, peer)
		if secure {
			resp.Header.Set("Strict-Transport-Security", hsts)
		}
		var b bytes.Buffer
		_ = resp.Write(&b) // neither the buffer nor the response's body, which is in memory, fails
		return b.Bytes()
	}}
}

type frontConnKey struct{}

type frontListener struct {
	net.Listener // of TCP
	unparsed     func(status int, peer string) []byte
}

// Accept implements net.Listener.
func (l *frontListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return &frontConn{TCPConn: tcp, unparsed: l.unparsed}, err
	}
	return c, err
}

// frontConn replaces the errors that net/http writes to a connection itself. Between two
// requests, which is to say while no handler has been called, it writes nothing else: what a
// handler sends is never looked at, whatever it contains.
type frontConn struct {
	*net.TCPConn // with CloseWrite, which net/http uses
	unparsed     func(status int, peer string) []byte
	handling     atomic.Bool
	replaced     bool // a response was written in the place of net/http's; the rest of that is dropped
}

// Write implements net.Conn.
func (c *frontConn) Write(b []byte) (int, error) {
	if c.handling.Load() {
		return c.TCPConn.Write(b)
	}
	if c.replaced {
		return len(b), nil
	}
	status, ok := errorStatus(b)
	if !ok {
		return c.TCPConn.Write(b)
	}
	c.replaced = true
	if _, err := c.TCPConn.Write(c.unparsed(status, c.RemoteAddr().String())); err != nil {
		return 0, err
	}
	return len(b), nil
}

// errorStatus returns the status of a response that starts with b, if it is an error's.
func errorStatus(b []byte) (int, bool) {
	const version, length = "HTTP/1.", len("HTTP/1.1 400")
	if len(b) < length || !bytes.HasPrefix(b, []byte(version)) {
		return 0, false
	}
	status, err := strconv.Atoi(string(b[length-3 : length]))
	return status, err == nil && status >= http.StatusBadRequest
}
