package postgrestest

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// Counted returns a DSN for the same database through a relay, and a function that returns how many
// statements have passed through the relay.
func Counted(t testing.TB, dsn string) (string, func() int64) {
	t.Helper()
	server, err := pgconn.ParseConfig(dsn)
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	network, address := pgconn.NetworkAddress(server.Host, server.Port)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var statements atomic.Int64
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go relay(client, network, address, &statements)
		}
	}()
	relayed := url.URL{Scheme: "postgres", User: url.UserPassword(server.User, server.Password),
		Host: l.Addr().String(), Path: "/" + server.Database, RawQuery: "sslmode=disable"}
	return relayed.String(), statements.Load
}

func relay(client net.Conn, network, address string, statements *atomic.Int64) {
	defer func() { _ = client.Close() }()
	server, err := new(net.Dialer).DialContext(context.Background(), network, address)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	}()
	from := bufio.NewReader(client)
	// The first message has no type (PostgreSQL documentation, "Message Formats").
	for head := 4; ; head = 5 {
		h, err := from.Peek(head)
		if err != nil {
			return
		}
		if head == 5 && (h[0] == 'E' || h[0] == 'Q') { // Execute, Query
			statements.Add(1)
		}
		size := int64(binary.BigEndian.Uint32(h[head-4:])) + int64(head-4)
		if _, err := io.CopyN(server, from, size); err != nil {
			return
		}
	}
}
