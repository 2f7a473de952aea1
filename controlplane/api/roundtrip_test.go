package api

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// TestRoundTripsToPostgres counts the round trips to Postgres of a call after its statements are
// prepared.
func TestRoundTripsToPostgres(t *testing.T) {
	t.Parallel()
	proxy := newCountingProxy(t, postgrestest.DSN(t))
	store, err := postgres.Open(t.Context(), postgres.Config{DSN: proxy.dsn, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	service, err := lifecycle.New(lifecycle.Config{Store: store,
		Zone: "acme.dcvaas.test", TargetKey: bytes.Repeat([]byte{7}, 32), Issuer: issuer{},
		Doctor: &doctor{}})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *Config) { c.Store, c.Lifecycle = store, service })
	w.store, w.service = store, service
	w.org = w.newOrg("Counted")
	w.token = w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes()})
	few := w.newToken(w.org,
		lifecycle.NewToken{Scopes: []controlplane.Scope{controlplane.ScopeJobsRead}})
	domain := "/api/domains/" + w.newDomain(w.org, "read.example.com").ID
	tag := w.do("GET", domain, nil).is(200).header.Get("ETag")

	var created int
	for _, tt := range []struct {
		what string
		call func()
		want int64
	}{
		{"a domain", func() { w.do("GET", domain, nil).is(200) }, 2},
		{"a domain that the caller has",
			func() { w.do("GET", domain, nil, header("If-None-Match", tag)).is(304) }, 2},
		{"a new domain", func() {
			created++
			w.do("POST", "/api/domains",
				map[string]any{"name": fmt.Sprintf("n%d.example.com", created)}).is(201)
		}, 2},
		{"without the scope", func() { w.do("GET", domain, nil, as(few)).is(403) }, 1},
		{"an unknown token",
			func() { w.do("GET", domain, nil, as(controlplane.NewSecret())).is(401) }, 1},
		{"a mistyped token", func() { w.do("GET", domain, nil, as(w.token+"x")).is(401) }, 0},
	} {
		tt.call() // prepares its statements, and records the token's use
		before := proxy.trips.Load()
		tt.call()
		if got := proxy.trips.Load() - before; got != tt.want {
			t.Errorf("%s: %d round trips, not %d", tt.what, got, tt.want)
		}
	}
}

// countingProxy is a proxy in front of Postgres that counts round trips.
type countingProxy struct {
	dsn   string
	to    string // host:port
	trips atomic.Int64
}

func newCountingProxy(t testing.TB, dsn string) *countingProxy {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p := &countingProxy{to: u.Host}
	u.Host = l.Addr().String()
	p.dsn = u.String()
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	return p
}

func (p *countingProxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return // the store says so
	}
	defer func() { _ = server.Close() }()
	go func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	}()
	_ = p.forward(server, bufio.NewReader(client))
}

// forward forwards the client's messages. The first one has a length and a body; the others have a
// type before them. A message is counted before the server receives it, and therefore before its
// response.
func (p *countingProxy) forward(server io.Writer, client io.Reader) error {
	for head := make([]byte, 4); ; head = make([]byte, 5) {
		if _, err := io.ReadFull(client, head); err != nil {
			return err
		}
		size := binary.BigEndian.Uint32(head[len(head)-4:])
		if len(head) == 5 && (head[0] == 'S' || head[0] == 'Q') { // Sync, Query
			p.trips.Add(1)
		}
		message := append(head, make([]byte, size-4)...)
		if _, err := io.ReadFull(client, message[len(head):]); err != nil {
			return err
		}
		if _, err := server.Write(message); err != nil {
			return err
		}
	}
}
