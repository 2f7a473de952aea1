package devstack_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// The server lets in nobody without the password, which neither other processes nor other users can see.
func TestPostgresAsksForThePassword(t *testing.T) {
	t.Parallel()
	cfg := devstack.PostgresConfig{Dir: reachableDir(t), Fast: true}
	p := startPostgres(t, cfg)
	wantPostgresSecured(t, p)
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := startPostgres(t, cfg)
	if got, want := passwordOf(t, again.DSN()), passwordOf(t, p.DSN()); got != want {
		t.Errorf("DSN() after a restart has another password: URLs that were copied no longer work")
	}
}

// What was made when every local user was trusted keeps its data and trusts nobody any longer.
func TestPostgresSecuresAnOlderDirectory(t *testing.T) {
	t.Parallel()
	cfg := devstack.PostgresConfig{Dir: reachableDir(t), Fast: true}
	p := startPostgres(t, cfg)
	execSQL(t, p, "create table kept (word text)", "insert into kept values ('one')", "alter role postgres password null")
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	hba := filepath.Join(cfg.Dir, "pg_hba.conf")
	if err := os.WriteFile(hba, []byte("local all all trust\nhost all all 127.0.0.1/32 trust\nhost all all ::1/128 trust\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(cfg.Dir, "dcvaas-password")); err != nil {
		t.Fatal(err)
	}
	p = startPostgres(t, cfg)
	if got := querySQL(t, p, "select word from kept"); got != "one" {
		t.Errorf("the table has %q, want one", got)
	}
	wantPostgresSecured(t, p)
	if rules, err := os.ReadFile(hba); err != nil || strings.Contains(string(rules), "trust") {
		t.Errorf("pg_hba.conf: %v\n%s", err, rules)
	}
}

func wantPostgresSecured(t *testing.T, p *devstack.Postgres) {
	t.Helper()
	for _, password := range []string{"", "postgres", "wrong"} {
		cfg, err := pgx.ParseConfig(p.DSN())
		if err != nil {
			t.Fatal(err)
		}
		cfg.Password = password
		conn, err := pgx.ConnectConfig(t.Context(), cfg)
		if err == nil {
			_ = conn.Close(t.Context())
		}
		if refused, ok := errors.AsType[*pgconn.PgError](err); password != "" && (!ok || refused.Code != "28P01") || err == nil { // invalid_password
			t.Errorf("connecting with the password %q = %v, want it refused", password, err)
		}
	}
	execSQL(t, p, "select 1")
	file := filepath.Join(p.Dir(), "dcvaas-password")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s has mode %o, want 600", file, info.Mode().Perm())
	}
	wantNoArgument(t, p.PID(), passwordOf(t, p.DSN()))
}

// Both kinds of Redis let in nobody without the password.
func TestRedisAsksForThePassword(t *testing.T) {
	t.Parallel()
	for _, embedded := range []bool{false, true} {
		cfg := devstack.RedisConfig{Dir: filepath.Join(t.TempDir(), "redis"), Embedded: embedded}
		r := startRedis(t, cfg)
		for _, password := range []string{"", "wrong"} {
			client := redis.NewClient(&redis.Options{Addr: r.Addr(), Password: password, MaxRetries: -1})
			t.Cleanup(func() { client.Close() })
			if err := client.Set(t.Context(), "key", "value", 0).Err(); err == nil || !strings.Contains(err.Error(), "NOAUTH") && !strings.Contains(err.Error(), "WRONGPASS") {
				t.Errorf("embedded %v: SET with the password %q = %v, want it refused", embedded, password, err)
			}
		}
		if err := redisClient(t, r).Set(t.Context(), "key", "value", 0).Err(); err != nil {
			t.Errorf("embedded %v: SET by URL() = %v", embedded, err)
		}
		if info, err := os.Stat(filepath.Join(cfg.Dir, "password")); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("embedded %v: the password's file: %v, %v; want mode 600", embedded, info, err)
		}
		if !embedded {
			wantNoArgument(t, r.PID(), passwordOf(t, r.URL()))
		}
		if err := r.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		again := startRedis(t, cfg)
		if got, want := passwordOf(t, again.URL()), passwordOf(t, r.URL()); got != want {
			t.Errorf("embedded %v: URL() after a restart has another password: URLs that were copied no longer work", embedded)
		}
	}
}

func passwordOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	if len(password) < 20 {
		t.Fatalf("the password in the URL has %d characters, want 20 at least", len(password))
	}
	return password
}

// wantNoArgument makes sure that a process's arguments and environment, which `ps` shows, do not have a text.
func wantNoArgument(t *testing.T, pid int, secret string) {
	t.Helper()
	for _, file := range []string{"cmdline", "environ"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if errors.Is(err, os.ErrNotExist) {
			continue // not Linux
		}
		if err != nil || bytes.Contains(b, []byte(secret)) {
			t.Errorf("/proc/%d/%s: err = %v, or it has the password", pid, file, err)
		}
	}
}
