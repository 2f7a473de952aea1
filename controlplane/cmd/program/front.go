package program

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
)

// hsts makes browsers use only HTTPS for a year (RFC 6797).
const hsts = "max-age=31536000"

// withFront configures what all responses of the public listener have in common, and returns the
// listener to serve. If secure, responses have HSTS. When net/http rejects a request before it
// calls a handler, the client gets the response from unparsed instead of net/http's plain text.
func withFront(
	server *http.Server, l net.Listener, secure bool,
	unparsed func(status int, peer string) *http.Response,
) net.Listener {
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

// frontConn replaces the errors that net/http itself writes to a connection. Between two requests,
// while no handler is running, net/http writes nothing else. Output of handlers is never inspected.
type frontConn struct {
	*net.TCPConn // with CloseWrite, which net/http uses
	unparsed     func(status int, peer string) []byte
	handling     atomic.Bool
	replaced     bool // net/http's response was replaced; the rest of it is dropped
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

// errorStatus returns the status of a response that starts with b, if it is an error status.
func errorStatus(b []byte) (int, bool) {
	const version, length = "HTTP/1.", len("HTTP/1.1 400")
	if len(b) < length || !bytes.HasPrefix(b, []byte(version)) {
		return 0, false
	}
	status, err := strconv.Atoi(string(b[length-3 : length]))
	return status, err == nil && status >= http.StatusBadRequest
}
