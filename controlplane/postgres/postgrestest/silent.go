package postgrestest

import (
	"context"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// Silent is a relay in front of a server that can fail without a trace: it keeps connections open,
// accepts new ones, and drops all data.
type Silent struct {
	Addr string

	mu      sync.Mutex
	dropped bool
	conns   map[*silentConn]struct{}
}

type silentConn struct{ dead bool } // guarded by Silent.mu

// NewSilent returns a relay in front of a server, for the duration of the test.
func NewSilent(t testing.TB, network, address string) *Silent {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	s := &Silent{Addr: l.Addr().String(), conns: map[*silentConn]struct{}{}}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(func() { stop(); _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go s.relay(ctx, client, network, address)
		}
	}()
	return s
}

// SilentDSN returns a DSN for the same database through a Silent relay.
func SilentDSN(t testing.TB, dsn string) (string, *Silent) {
	t.Helper()
	server, err := pgconn.ParseConfig(dsn)
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	network, address := pgconn.NetworkAddress(server.Host, server.Port)
	s := NewSilent(t, network, address)
	u := url.URL{Scheme: "postgres", User: url.UserPassword(server.User, server.Password),
		Host: s.Addr, Path: "/" + server.Database, RawQuery: "sslmode=disable"}
	return u.String(), s
}

// Drop drops all further data of all connections, and of new ones until Restore.
func (s *Silent) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped = true
	for c := range s.conns {
		c.dead = true
	}
}

// Restore forwards the data of new connections. Existing ones stay silent.
func (s *Silent) Restore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped = false
}

func (s *Silent) relay(ctx context.Context, client net.Conn, network, address string) {
	context.AfterFunc(ctx, func() { _ = client.Close() })
	c := &silentConn{}
	s.mu.Lock()
	c.dead = s.dropped
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	server, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		_ = client.Close()
		return
	}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go s.forward(c, client, server)
	s.forward(c, server, client)
}

// forward copies data until the connection ends. The end of a dead connection is not forwarded.
func (s *Silent) forward(c *silentConn, to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		s.mu.Lock()
		dead := c.dead
		s.mu.Unlock()
		if dead && err == nil {
			continue
		}
		if dead {
			return
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			_ = to.Close()
			_ = from.Close()
			return
		}
	}
}
