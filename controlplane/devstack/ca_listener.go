package devstack

import (
	"net"
	"sync"
)

// cutListener is a TCP listener that can reset all connections without releasing its port, which
// another process could take.
type cutListener struct {
	net.Listener

	mu    sync.Mutex
	down  bool
	conns map[*cutConn]struct{}
}

func newCutListener(l net.Listener) *cutListener {
	return &cutListener{Listener: l, conns: make(map[*cutConn]struct{})}
}

// Accept returns the next connection that arrives while the listener is not cut.
func (l *cutListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &cutConn{Conn: conn, owner: l}
		l.mu.Lock()
		down := l.down
		if !down {
			l.conns[c] = struct{}{}
		}
		l.mu.Unlock()
		if !down {
			return c, nil
		}
		c.reset()
	}
}

func (l *cutListener) setDown(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
	if !down {
		return
	}
	for c := range l.conns {
		c.reset()
		delete(l.conns, c)
	}
}

// cutConn notifies its listener when it is closed.
type cutConn struct {
	net.Conn
	owner *cutListener
}

func (c *cutConn) Close() error {
	c.owner.mu.Lock()
	delete(c.owner.conns, c)
	c.owner.mu.Unlock()
	return c.Conn.Close()
}

// reset closes the connection with a TCP reset instead of a regular close.
func (c *cutConn) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Conn.Close()
}
