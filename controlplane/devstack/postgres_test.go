package devstack_test

import (
	"context"
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

func TestPostgresKeepsData(t *testing.T) {
	t.Parallel()
	cfg := devstack.PostgresConfig{Dir: reachableDir(t)}
	p := startPostgres(t, cfg)
	execSQL(t, p, "create table kept (word text)", "insert into kept values ('gehört')")
	if got := querySQL(t, p, "show server_encoding"); got != "UTF8" {
		t.Errorf("server_encoding = %s, want UTF8", got)
	}
	if got := querySQL(t, p, "show fsync"); got != "on" {
		t.Errorf("fsync = %s, want on", got)
	}
	if p.Dir() != cfg.Dir {
		t.Errorf("Dir() = %s, want %s", p.Dir(), cfg.Dir)
	}

	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Errorf("second Stop() = %v, want no error", err)
	}
	waitGone(t, p.PID())
	p = startPostgres(t, cfg)
	if got := querySQL(t, p, "select word from kept"); got != "gehört" {
		t.Errorf("value after a stop = %q, want gehört", got)
	}

	dsn := p.DSN()
	if err := p.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.DSN() != dsn {
		t.Errorf("DSN() after Restart() = %s, want %s", p.DSN(), dsn)
	}
	querySQL(t, p, "select word from kept")
}

func TestPostgresRecoversFromSIGKILL(t *testing.T) {
	t.Parallel()
	cfg := devstack.PostgresConfig{Dir: reachableDir(t)}
	p := startPostgres(t, cfg)
	execSQL(t, p, "create table kept (word text)", "insert into kept values ('one')")

	exited := p.Exited()
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-exited
	if err := p.Restart(t.Context()); err != nil {
		t.Fatalf("Restart() after SIGKILL = %v, want no error", err)
	}
	execSQL(t, p, "insert into kept values ('two')")

	exited = p.Exited()
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-exited
	p = startPostgres(t, cfg)
	if got := querySQL(t, p, "select string_agg(word, ' ') from kept"); got != "one two" {
		t.Errorf("values after two kills = %q, want one two", got)
	}
}

func TestPostgresStopsWithItsParent(t *testing.T) {
	t.Parallel()
	dir := reachableDir(t)
	helper, pid := startHelper(t, "postgres", dir)
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("signal to postmaster %d: %v, want it running", pid, err)
	}
	if err := helper.Kill(); err != nil {
		t.Fatal(err)
	}
	// Start immediately: the start must wait for the server that is shutting down.
	p := startPostgres(t, devstack.PostgresConfig{Dir: dir})
	querySQL(t, p, "select 1::text")
	waitGone(t, pid)
}

func TestPostgresSecondOnSameDir(t *testing.T) {
	t.Parallel()
	cfg := devstack.PostgresConfig{Dir: reachableDir(t)}
	p := startPostgres(t, cfg)
	_, err := devstack.StartPostgres(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "already running") ||
		!strings.Contains(err.Error(), strconv.Itoa(p.PID())) {
		t.Errorf("second StartPostgres() on a directory = %v, want an error with the process ID",
			err)
	}
	querySQL(t, p, "select 1::text")
}

func TestPostgresStaleLockFile(t *testing.T) {
	t.Parallel()
	cfg := devstack.PostgresConfig{Dir: reachableDir(t)}
	p := startPostgres(t, cfg)
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	// As in a restarted container, the old server's ID belongs to another process, here to this
	// one.
	lock := strconv.Itoa(os.Getpid()) + "\n" + cfg.Dir + "\n1\n1\n\n127.0.0.1\n0 0\nready   \n"
	if err := os.WriteFile(filepath.Join(cfg.Dir, "postmaster.pid"), []byte(lock),
		0o600); err != nil {
		t.Fatal(err)
	}
	startPostgres(t, cfg)
}

func TestPostgresTemporary(t *testing.T) {
	t.Parallel()
	p := startPostgres(t, devstack.PostgresConfig{Fast: true})
	if got := querySQL(t, p, "show fsync"); got != "off" {
		t.Errorf("fsync = %s, want off", got)
	}
	if got := querySQL(t, p, "show max_connections"); got != "300" {
		t.Errorf("max_connections = %s, want 300", got)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(p.Dir())); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("temporary directory after Stop(): %v, want it deleted", err)
	}
}

func TestPostgresPortTaken(t *testing.T) {
	t.Parallel()
	first := startPostgres(t, devstack.PostgresConfig{Fast: true})
	cfg, err := pgx.ParseConfig(first.DSN())
	if err != nil {
		t.Fatal(err)
	}
	_, err = devstack.StartPostgres(t.Context(),
		devstack.PostgresConfig{Fast: true, Port: int(cfg.Port)})
	if err == nil || !strings.Contains(err.Error(), "is in use") {
		t.Errorf("StartPostgres() on a port in use = %v, want an error about it", err)
	}
}

func TestPostgresStartErrors(t *testing.T) {
	t.Parallel()
	_, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{BinDir: t.TempDir()})
	if !errors.Is(err, devstack.ErrNoPostgres) ||
		!strings.Contains(err.Error(), "apt-get install postgresql") {
		t.Errorf("StartPostgres() without an installed server = %v, want ErrNoPostgres with instructions", err)
	}

	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = devstack.StartPostgres(t.Context(), devstack.PostgresConfig{Dir: full})
	if err == nil || !strings.Contains(err.Error(), "contains no Postgres database") {
		t.Errorf("StartPostgres() on a directory with other files = %v, want an error about it",
			err)
	}

	old := t.TempDir()
	if err := os.WriteFile(filepath.Join(old, "PG_VERSION"), []byte("8\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = devstack.StartPostgres(t.Context(), devstack.PostgresConfig{Dir: old})
	if err == nil || !strings.Contains(err.Error(), "created by PostgreSQL 8") {
		t.Errorf("StartPostgres() on a directory of another version = %v, want an error about it",
			err)
	}
}

// TestPostgresUnreachableDir tests a directory that the server's user can't access if the caller is
// root. The data must be elsewhere, and after the state directory is deleted, the database must be
// empty.
func TestPostgresUnreachableDir(t *testing.T) {
	t.Parallel()
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := devstack.PostgresConfig{Dir: filepath.Join(closed, "state", "postgres")}
	start := func() *devstack.Postgres {
		p := startPostgres(t, cfg)
		if os.Geteuid() == 0 {
			t.Cleanup(func() { os.RemoveAll(filepath.Dir(p.Dir())) })
		}
		return p
	}
	p := start()
	execSQL(t, p, "create table kept (word text)", "insert into kept values ('one')")
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 && strings.HasPrefix(p.Dir(), closed) {
		t.Errorf("Dir() for root = %s, want a directory that the server's user can access", p.Dir())
	}
	p = start()
	if got := querySQL(t, p, "select word from kept"); got != "one" {
		t.Errorf("value after a stop = %q, want one", got)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}

	// The database is deleted, but the link (for root) still exists.
	if err := os.RemoveAll(p.Dir()); err != nil {
		t.Fatal(err)
	}
	p = start()
	if got := querySQL(t, p,
		"select count(*)::text from pg_tables where tablename = 'kept'"); got != "0" {
		t.Error("the deleted table still exists, want an empty database")
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestPostgresAsUnprivilegedUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return // all tests already run as an unprivileged user
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.ParseUint(nobody.Uid, 10, 32)
	gid, _ := strconv.ParseUint(nobody.Gid, 10, 32)
	rerunAs(t, uint32(uid), uint32(gid),
		"^TestPostgres(KeepsData|RecoversFromSIGKILL|StopsWithItsParent|SecondOnSameDir|UnreachableDir)$")
}

// TestPostgresRootUsesDirOfUser tests that root can start the database of an unprivileged user,
// that the user can start it afterwards, and that a directory of another user is rejected.
func TestPostgresRootUsesDirOfUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return
	}
	dir := reachableDir(t)
	if err := os.Chown(filepath.Dir(dir), 4242, 4242); err != nil {
		t.Fatal(err)
	}
	p := startPostgres(t, devstack.PostgresConfig{Dir: dir})
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, 4242, 4242)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p = startPostgres(t, devstack.PostgresConfig{Dir: dir})
	info, err := os.Stat("/proc/" + strconv.Itoa(p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 4242 {
		t.Errorf("uid of the server = %d, want the owner of its data", uid)
	}
}

// TestPostgresDirClosedLater tests the error, with its fix, for a directory that became
// inaccessible after the database was created.
func TestPostgresDirClosedLater(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return
	}
	dir := reachableDir(t)
	p := startPostgres(t, devstack.PostgresConfig{Dir: dir})
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := devstack.StartPostgres(t.Context(),
		devstack.PostgresConfig{Dir: dir}); err == nil ||
		!strings.Contains(err.Error(), "chmod o+x") {
		t.Errorf("StartPostgres() in an inaccessible directory = %v, want an error with chmod o+x",
			err)
	}
}

// reachableDir returns a path for a data directory in a directory that every user can access,
// unlike t.TempDir.
func reachableDir(t *testing.T) string {
	t.Helper()
	room, err := os.MkdirTemp("", "devstack-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(room) })
	if err := os.Chmod(room, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(room, "postgres")
}

func startPostgres(t *testing.T, cfg devstack.PostgresConfig) *devstack.Postgres {
	t.Helper()
	p, err := devstack.StartPostgres(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.Background()); err != nil { // t.Context is already canceled
			t.Error(err)
		}
	})
	return p
}

func execSQL(t *testing.T, p *devstack.Postgres, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("exec %s: %v", statement, err)
		}
	}
}

func querySQL(t *testing.T, p *devstack.Postgres, query string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var value string
	if err := conn.QueryRow(t.Context(), query).Scan(&value); err != nil {
		t.Fatalf("query %s: %v", query, err)
	}
	return value
}
