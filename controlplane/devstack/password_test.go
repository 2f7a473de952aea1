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

// TestPostgresRequiresPassword tests that connections need the password, and that other processes
// and users can't see it.
func TestPostgresRequiresPassword(t *testing.T) {
	t.Parallel()
	cfg := devstack.PostgresConfig{Dir: reachableDir(t), Fast: true}
	p := startPostgres(t, cfg)
	wantPostgresSecured(t, p)
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := startPostgres(t, cfg)
	if got, want := passwordOf(t, again.DSN()), passwordOf(t, p.DSN()); got != want {
		t.Error("DSN() has another password after a restart, so copied URLs no longer work")
	}
}

// TestPostgresSecuresAnOlderDirectory tests that a directory of an older version, which trusts all
// local users, keeps its data and then requires a password.
func TestPostgresSecuresAnOlderDirectory(t *testing.T) {
	t.Parallel()
	cfg := devstack.PostgresConfig{Dir: reachableDir(t), Fast: true}
	p := startPostgres(t, cfg)
	execSQL(t, p, "create table kept (word text)", "insert into kept values ('one')",
		"alter role postgres password null")
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	hba := filepath.Join(cfg.Dir, "pg_hba.conf")
	if err := os.WriteFile(hba,
		[]byte("local all all trust\nhost all all 127.0.0.1/32 trust\nhost all all ::1/128 trust\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(cfg.Dir, "dcvaas-password")); err != nil {
		t.Fatal(err)
	}
	p = startPostgres(t, cfg)
	if got := querySQL(t, p, "select word from kept"); got != "one" {
		t.Errorf("value in the table = %q, want one", got)
	}
	wantPostgresSecured(t, p)
	if rules, err := os.ReadFile(hba); err != nil || strings.Contains(string(rules), "trust") {
		t.Errorf("pg_hba.conf: %v, want rules without trust:\n%s", err, rules)
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
		// invalid_password
		if rejected, ok := errors.AsType[*pgconn.PgError](err); password != "" &&
			(!ok || rejected.Code != "28P01") || err == nil {
			t.Errorf("connecting with the password %q = %v, want it rejected", password, err)
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

// TestRedisRequiresPassword tests that both kinds of Redis require the password.
func TestRedisRequiresPassword(t *testing.T) {
	t.Parallel()
	for _, embedded := range []bool{false, true} {
		cfg := devstack.RedisConfig{Dir: filepath.Join(t.TempDir(), "redis"), Embedded: embedded}
		r := startRedis(t, cfg)
		for _, password := range []string{"", "wrong"} {
			client := redis.NewClient(&redis.Options{Addr: r.Addr(), Password: password,
				MaxRetries: -1})
			t.Cleanup(func() { client.Close() })
			if err := client.Set(t.Context(), "key", "value", 0).Err(); err == nil ||
				!strings.Contains(err.Error(), "NOAUTH") &&
					!strings.Contains(err.Error(), "WRONGPASS") {
				t.Errorf("embedded %v: SET with the password %q = %v, want it rejected", embedded,
					password, err)
			}
		}
		if err := redisClient(t, r).Set(t.Context(), "key", "value", 0).Err(); err != nil {
			t.Errorf("embedded %v: SET with URL() = %v, want no error", embedded, err)
		}
		if info, err := os.Stat(filepath.Join(cfg.Dir, "password")); err != nil ||
			info.Mode().Perm() != 0o600 {
			t.Errorf("embedded %v: password file = %v, %v, want mode 600", embedded, info, err)
		}
		if !embedded {
			wantNoArgument(t, r.PID(), passwordOf(t, r.URL()))
		}
		if err := r.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		again := startRedis(t, cfg)
		if got, want := passwordOf(t, again.URL()), passwordOf(t, r.URL()); got != want {
			t.Errorf("embedded %v: URL() has another password after a restart, so copied URLs no longer work", embedded)
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
		t.Fatalf("length of the password in the URL = %d, want at least 20", len(password))
	}
	return password
}

// wantNoArgument checks that a process's arguments and environment, which `ps` shows, do not
// contain the text.
func wantNoArgument(t *testing.T, pid int, secret string) {
	t.Helper()
	for _, file := range []string{"cmdline", "environ"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if errors.Is(err, os.ErrNotExist) {
			continue // not Linux
		}
		if err != nil || bytes.Contains(b, []byte(secret)) {
			t.Errorf("reading /proc/%d/%s: %v, want it without the password", pid, file, err)
		}
	}
}
