// Package postgrestest provides each test with a separate, migrated database on a real Postgres
// server, which is started once per test binary and stopped with it.
package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const template = "dcvaas_template"

// server starts the server once. All tests of the binary share it.
var server = sync.OnceValues(func() (*devstack.Postgres, error) {
	started.Store(true)
	dir, err := newDir()
	if err != nil {
		return nil, err
	}
	pg, err := devstack.StartPostgres(context.Background(),
		devstack.PostgresConfig{Dir: dir, Fast: true})
	if err != nil {
		return nil, err
	}
	if err := exec(pg.DSN(), "CREATE DATABASE "+template); err != nil {
		return nil, err
	}
	s, err := postgres.Open(context.Background(),
		postgres.Config{DSN: withDatabase(pg.DSN(), template)})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if _, err = s.Migrate(context.Background()); err != nil {
		return nil, err
	}
	roles, err := s.GrantRoles(context.Background(), rolePrefix)
	for _, role := range roles {
		err = errors.Join(err,
			exec(pg.DSN(), "ALTER ROLE "+role+" LOGIN PASSWORD '"+rolePassword+"'"))
	}
	return pg, err
})

// The roles of the parts exist in every database of the server.
const rolePrefix, rolePassword = "part", "not-a-secret"

// As returns the DSN with which the given part (postgres.PartWork, …) connects to the database of a
// DSN from this package: with the rights of that part only.
func As(dsn, part string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		panic(err) // devstack created it
	}
	u.User = url.UserPassword(rolePrefix+"_"+part, rolePassword)
	return u.String()
}

// started reports whether there is a server to stop.
var started atomic.Bool

// creating is held to create a database: only one session at a time may copy the template.
var creating sync.Mutex

// Main runs a package's tests, and then stops the server and removes its files. Without it the
// server stops with the process, too.
func Main(m *testing.M) {
	code := m.Run()
	Stop()
	os.Exit(code)
}

// Stop stops the server of this test binary and removes its files.
func Stop() {
	if !started.Load() {
		return
	}
	if pg, err := server(); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = pg.Stop(ctx)
		_ = os.RemoveAll(pg.Dir())
	}
}

// DSN creates a migrated database for the test and returns its DSN. The database is dropped when
// the test ends.
func DSN(t testing.TB) string {
	t.Helper()
	pg, err := server()
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	name := "t" + strings.ToLower(fmt.Sprintf("%x", time.Now().UnixNano()))
	creating.Lock()
	// Copying the files is faster than writing each block to the log, without durability.
	err = exec(pg.DSN(), "CREATE DATABASE "+name+" TEMPLATE "+template+" STRATEGY file_copy")
	creating.Unlock()
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	t.Cleanup(func() { _ = exec(pg.DSN(), "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	return withDatabase(pg.DSN(), name)
}

// New returns a store on a separate, migrated database for the test.
func New(t testing.TB) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(context.Background(), postgres.Config{DSN: DSN(t), MaxConns: 8})
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}

func exec(dsn, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, sql)
	return err
}

func withDatabase(dsn, name string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		panic(err) // devstack created it
	}
	u.Path = "/" + name
	return u.String()
}
