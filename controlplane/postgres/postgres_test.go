package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

const password = "hunter2-do-not-show"

// closedPort returns an address on which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// everyCall makes a call of each kind to the store, and returns the errors.
func everyCall(ctx context.Context, s *postgres.Store) map[string]error {
	calls := map[string]error{"Ping": s.Ping(ctx)}
	_, calls["Domain"] = s.Domain(ctx, "org_x", "example.com")
	_, _, calls["ListDomains"] = s.ListDomains(ctx, "org_x", postgres.DomainFilter{Limit: 1})
	_, calls["ClaimJob"] = s.ClaimJob(ctx, "job_x", 1, "w", time.Minute, start)
	_, calls["DispatchDue"] = s.DispatchDue(ctx, start, room(1), nothing)
	_, calls["QueueRenewals"] = s.QueueRenewals(ctx, start, 1, 0)
	_, calls["TokenByHash"] = s.TokenByHash(ctx, []byte("x"))
	_, calls["TryLocked"] = s.TryLocked(ctx, "x", func(context.Context) error { return nil })
	_, _, calls["LookupTarget"] = s.LookupTarget(ctx, "x", start)
	calls["InTx"] = s.InTx(ctx, func(*postgres.Tx) error { return nil })
	calls["FollowZone"] = s.FollowZone(ctx, time.Now, newZone().feed())
	calls["SweepChallenges"] = s.SweepChallenges(ctx, start)
	dom, j, a := newDomain("org_x", "example.com")
	_, calls["AddDomain"] = s.AddDomain(ctx, dom, j, a)
	return calls
}

func TestUnreachableServerIsUnavailable(t *testing.T) {
	t.Parallel()
	var logs safeBuffer
	s, err := postgres.Open(t.Context(),
		postgres.Config{DSN: "postgres://someone:" + password + "@" + closedPort(t) +
			"/db", Logger: slog.New(slog.NewTextHandler(&logs, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for what, err := range everyCall(t.Context(), s) {
		e, ok := errors.AsType[*controlplane.Error](err)
		if !ok || e.Kind != controlplane.KindUnavailable || e.Code != "database-unavailable" {
			t.Errorf("%s = %v, want database-unavailable", what, err)
			continue
		}
		if strings.Contains(err.Error()+e.Message+e.Fix, password) {
			t.Errorf("%s shows the password: %v", what, err)
		}
	}
	for what, err := range migrate(t.Context(), s) {
		if err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("%s = %v, want an error without the password", what, err)
		}
	}
	_, stop := s.Watch("x")
	defer stop()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(logs.String(),
		"lost the connection that listens"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the listener logged no lost connection")
		}
	}
	if strings.Contains(logs.String(), password) {
		t.Errorf("the log shows the password: %s", logs.String())
	}
}

func migrate(ctx context.Context, s *postgres.Store) map[string]error {
	_, up := s.Migrate(ctx)
	_, current := s.Migrated(ctx)
	return map[string]error{"Migrate": up, "Migrated": current}
}

func TestNoErrorShowsTheDSN(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{
		"postgres://someone:" + password + "@host:not-a-port/db",
		"postgres://someone:" + password + "@host/db?sslmode=wrong",
		"postgres://someone:" + password + "@ho st/db",
		"host=x password='" + password,
		password,
		"postgres://someone:" + password + "@host/db?pool_max_conns=x",
	} {
		s, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn})
		if err == nil {
			s.Close()
			t.Errorf("Open(%s) = nil, want an error", dsn)
		} else if strings.Contains(err.Error(), password) ||
			strings.Contains(err.Error(), "someone") {
			t.Errorf("Open = %v, want an error without user and password", err)
		}
	}
	u, err := url.Parse(postgrestest.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("nobody-of-that-name", password)
	s, err := postgres.Open(t.Context(), postgres.Config{DSN: u.String()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for what, err := range everyCall(t.Context(), s) {
		if err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("%s = %v, want an error without the password", what, err)
		}
	}
}

// The store reconnects to a server that has restarted.
func TestReconnectAfterTerminatedConnections(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, _ := d.add(d.org, "example.com")
	err := d.InTx(t.Context(), func(tx *postgres.Tx) error {
		d.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		_, err := tx.Domain(t.Context(), d.org, dom.ID)
		return err
	})
	if !controlplane.HasCode(err, "database-unavailable") {
		t.Errorf("in the middle of a transaction: %v", err)
	}
	for range 20 { // each broken connection of the pool fails once
		if _, err = d.Domain(t.Context(), d.org, dom.ID); err == nil {
			return
		}
		if !controlplane.HasCode(err, "database-unavailable") {
			t.Fatal(err)
		}
	}
	t.Errorf("afterwards: %v", err)
}

func TestInTxKeepsAllOrNothing(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, _ := d.add(d.org, "example.com")
	own := errors.New("no")
	err := d.InTx(t.Context(), func(tx *postgres.Tx) error {
		if err := tx.SaveDomain(t.Context(), dom, start); err != nil {
			return err
		}
		return own
	})
	if !errors.Is(err, own) {
		t.Errorf("InTx = %v, want %v", err, own)
	}
	if now, err := d.Domain(t.Context(), d.org, dom.ID); err != nil || now.Version != 1 {
		t.Errorf("Domain after an error = %+v, %v, want version 1", now, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = d.InTx(ctx, func(tx *postgres.Tx) error {
		cancel()
		return tx.SaveDomain(ctx, dom,
			start)
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("InTx with a canceled context = %v, want context.Canceled", err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = d.InTx(t.Context(), func(tx *postgres.Tx) error {
			_ = tx.SaveDomain(t.Context(), dom,
				start)
			panic("x")
		})
	}()
	if now, err := d.Domain(t.Context(), d.org, dom.ID); err != nil || now.Version != 1 {
		t.Errorf("Domain after a cancellation and a panic = %+v, %v, want version 1", now, err)
	}
}

// safeBuffer is a buffer for a logger that several goroutines use.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}
func (b *safeBuffer) String() string { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }

// A store counts the connections that it and other stores may open.
func TestConnectionsOfProcesses(t *testing.T) {
	t.Parallel()
	d := open(t)
	other := d.replica()
	if err := other.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	const own = 8 + 4 + 2
	got, err := d.Connections(t.Context())
	if err != nil || got.Own != own || got.Planned < 2*own || got.Allowed < 1 {
		t.Errorf("Connections() = %+v, %v, want Own %d and Planned at least %d", got, err, own, 2*own)
	}
	for total := range 40 {
		conns := int(postgres.ConnsWithin(6 + total))
		if sum := conns + max(conns/2, 2) + 2; conns < 2 || sum > 6+total {
			t.Errorf("ConnsWithin(%d) = %d, which opens %d", 6+total, conns, sum)
		}
	}
}
