package program

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/redis/go-redis/v9"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// unknownHost is not found without a query, because a label of it is empty.
const unknownHost = "store..example.net"

// closedPort is an address on which nothing listens, and that no other test gets.
const closedPort = "127.0.0.1:1"

const testPassword = "a-secret-of-this-test"

// urlWith returns a URL with another user, password, host, or path. Empty values keep those of the
// URL.
func urlWith(t *testing.T, raw, user, password, host, path string) string {
	t.Helper()
	u, err := url.Parse(raw)
	must(t, err)
	if user != "" {
		u.User = url.UserPassword(user, password)
	}
	if host != "" {
		u.Host = host
	}
	if path != "" {
		u.Path = path
	}
	return u.String()
}

// role creates a role of the shared server for the test, with attributes such as LOGIN, and returns
// its name. Its password is testPassword.
func (s *stack) role(kind, attributes string) string {
	s.t.Helper()
	u, err := url.Parse(s.Config.Database)
	must(s.t, err)
	name := kind + "_" + strings.TrimPrefix(u.Path, "/")
	s.exec(fmt.Sprintf("CREATE ROLE %s %s PASSWORD '%s'", name, attributes, testPassword))
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		conn, err := pgx.Connect(ctx, s.Config.Database)
		if err != nil {
			s.t.Errorf("removing the role %s: %v", name, err)
			return
		}
		defer func() { _ = conn.Close(ctx) }()
		if _, err := conn.Exec(ctx, "DROP ROLE "+name); err != nil {
			s.t.Errorf("removing the role %s: %v", name, err)
		}
	})
	return name
}

// TestRejectedSettings starts processes whose settings Postgres or Redis rejects: each exits with
// its own status and names the setting, the server, the cause, and the fix, and no password.
func TestRejectedSettings(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{NoWork: true})
	opt, err := redis.ParseURL(s.Config.Redis)
	must(t, err)
	client := redis.NewClient(opt)
	t.Cleanup(func() { _ = client.Close() })
	must(t, client.Do(t.Context(), "ACL", "SETUSER", "limited", "on", ">"+testPassword, "+ping",
		"+hello", "+client").Err())
	database := func(user, host, path string) string {
		return "DCVAAS_DATABASE_URL=" + urlWith(t, s.Config.Database, user, testPassword, host, path)
	}
	inRedis := func(user, host, path string) string {
		return "DCVAAS_REDIS_URL=" + urlWith(t, s.Config.Redis, user, testPassword, host, path)
	}
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	exe, err := os.Executable()
	must(t, err)
	for _, c := range []struct {
		name, command, variable string
		want                    []string
	}{
		{"wrong password", "work", database("postgres", "", ""),
			[]string{"rejects the role or its password", "SQLSTATE 28P01", "role postgres"}},
		{"missing role", "serve", database("nobody", "", ""),
			[]string{"rejects the role or its password", "role nobody"}},
		{"role that may not log in", "dns", database(s.role("nologin", "NOLOGIN"), "", ""),
			[]string{"does not let the role log in", "SQLSTATE 28000"}},
		{"missing database", "work", database("", "", "/missing"),
			[]string{"does not have the database", "SQLSTATE 3D000", "database missing"}},
		{"missing right", "serve", database(s.role("other", "LOGIN"), "", ""),
			[]string{"denies the role a right", "permission denied for", "SQLSTATE 42501"}},
		{"missing right", "migrate", database(s.role("migrator", "LOGIN"), "", ""),
			[]string{"denies the role a right", "permission denied for", "SQLSTATE 42501"}},
		{"Postgres without TLS", "work",
			strings.Replace(database("", "", ""), "sslmode=disable", "sslmode=require", 1),
			[]string{"does not use TLS", "set sslmode in the URL"}},
		{"unknown host of Postgres", "work", database("", unknownHost, ""),
			[]string{"has an unknown host name", unknownHost}},
		{"wrong password of Redis", "work", inRedis("default", "", ""),
			[]string{"rejects the user or the password", "WRONGPASS"}},
		{"no password of Redis", "serve", "DCVAAS_REDIS_URL=redis://" + opt.Addr,
			[]string{"rejects the user or the password", "NOAUTH"}},
		{"missing permission in Redis", "work", inRedis("limited", "", ""),
			[]string{"denies the user a command or a key", "NOPERM", "asynq:*"}},
		{"missing database in Redis", "work", inRedis("", "", "/99"),
			[]string{"does not have the database", "number at the end of the URL"}},
		{"untrusted certificate of Redis", "work",
			"DCVAAS_REDIS_URL=rediss://:" + testPassword + "@" + untrusted.Listener.Addr().String(),
			[]string{"has a TLS certificate that is not trusted", "x509: "}},
		{"unknown host of Redis", "work", inRedis("", unknownHost, ""),
			[]string{"has an unknown host name", unknownHost}},
	} {
		t.Run(c.name+" for "+c.command, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, exe, c.command)
			cmd.Env = append(s.environ(), asProgram+"=1", c.variable, "DCVAAS_OPS_LISTEN=",
				"DCVAAS_LISTEN="+loopback(0), "DCVAAS_DNS_LISTEN="+loopback(0))
			out, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != exitSetup {
				t.Errorf("exit status of %s = %d, want %d: %s", c.command, code, exitSetup, out)
			}
			setting, _, _ := strings.Cut(c.variable, "=")
			for _, want := range append(c.want, "("+setting+")") {
				if !strings.Contains(string(out), want) {
					t.Errorf("output of %s = %s, want %q in it", c.command, out, want)
				}
			}
			for _, secret := range []string{testPassword, opt.Password} {
				if strings.Contains(string(out), secret) {
					t.Errorf("output of %s = %s, want no password", c.command, out)
				}
			}
		})
	}
}

// startingUp is a Postgres server that is still starting up, until the test ends. It returns its
// address.
func startingUp(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", loopback(0))
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				backend := pgproto3.NewBackend(conn, conn)
				if _, err := backend.ReceiveStartupMessage(); err != nil {
					return
				}
				backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "57P03",
					Message: "the database system is starting up"})
				_ = backend.Flush()
			}()
		}
	}()
	return l.Addr().String()
}

// runApp runs a process with the settings until the test ends. It returns the URL of its /readyz,
// and a channel that receives its error.
func (s *stack) runApp(parts Parts, configure func(*Config)) (readyz string, ended <-chan error) {
	s.t.Helper()
	c := s.Config
	c.HTTP.Listen, c.OpsListen, c.DrainDelay = loopback(0), loopback(0), 0
	configure(&c)
	app, err := NewApp(s.t.Context(), c, parts, &testLog{t: s.t, prefix: "process: "})
	must(s.t, err)
	ctx, stop := context.WithCancel(context.Background())
	started, result := make(chan struct{}), make(chan error, 1)
	app.onStarted = func() { close(started) }
	stopped := make(chan struct{})
	go func() { result <- app.Run(ctx); close(stopped) }()
	s.t.Cleanup(func() { stop(); <-stopped })
	select {
	case <-started:
	case <-stopped:
		s.t.Fatalf("Run() = %v, want a process that starts", <-result)
	}
	return "http://" + app.opsAddr + "/readyz", result
}

// waitReady waits until /readyz has the status, with text in its body.
func (s *stack) waitReady(readyz string, status int, text string) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("status %d with %q", status, text), func() error {
		got := s.fetch("GET", readyz, http.NoBody)
		if err := got.want(status); err != nil {
			return err
		}
		if !strings.Contains(got.body, text) {
			return fmt.Errorf("body = %s", got.body)
		}
		return nil
	})
}

// TestOutagesAtStart starts processes while Postgres or Redis is unavailable: each waits, and
// /readyz names the cause.
func TestOutagesAtStart(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{NoWork: true})
	full := s.role("full", "SUPERUSER LOGIN")
	silent, relay := postgrestest.SilentDSN(t, s.Config.Database)
	relay.Drop()
	// Postgres does not apply the limit of a role to superusers.
	limited := s.role("limited", "LOGIN CONNECTION LIMIT 0")
	database := func(user, host string) func(*Config) {
		return func(c *Config) {
			c.Database = urlWith(t, s.Config.Database, user, testPassword, host, "")
		}
	}
	for _, c := range []struct {
		name      string
		configure func(*Config)
		want      string
	}{
		{"refused", database(full, closedPort), "postgres is not ready: unavailable: refuses connections"},
		{"too many connections", database(limited, ""), "postgres is not ready: unavailable: has no free connections"},
		{"starting up", database(full, startingUp(t)), "postgres is not ready: unavailable: is starting up"},
		{"silent", func(c *Config) { c.Database = silent }, "postgres is not ready: unavailable: does not respond in time"},
		{"Redis refused", func(c *Config) {
			c.Redis = urlWith(t, s.Config.Redis, "", "", closedPort, "")
		}, "redis is not ready: unavailable: refuses connections"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			one := &stack{Dev: s.Dev, t: t, api: s.api}
			readyz, ended := one.runApp(Parts{Work: true}, c.configure)
			one.waitReady(readyz, http.StatusServiceUnavailable, c.want)
			select {
			case err := <-ended:
				t.Errorf("Run() = %v, want a process that waits", err)
			default:
			}
		})
	}
}

// TestRejectedAfterOutage starts a process while Postgres does not respond. When it responds, it
// rejects the password, and the process ends.
func TestRejectedAfterOutage(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true, NoWork: true})
	silent, relay := postgrestest.SilentDSN(t, s.Config.Database)
	relay.Drop()
	_, ended := s.runApp(Parts{Serve: true}, func(c *Config) {
		c.Database = urlWith(t, silent, "nobody", testPassword, "", "")
	})
	relay.Restore()
	if err := <-ended; setupError(err) == nil || !strings.Contains(err.Error(), "28P01") {
		t.Errorf("Run() = %v, want an error about the password", err)
	}
}

// TestPasswordChangesWhileRunning changes the password of the role of a running process. The
// process is not ready, says why, and continues when the password is restored.
func TestPasswordChangesWhileRunning(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true, NoWork: true})
	role := s.role("changing", "SUPERUSER LOGIN")
	app, _, ended := s.startParts(Parts{Serve: true}, func(c *Config) {
		c.Database = urlWith(t, c.Database, role, testPassword, "", "")
	})
	readyz := "http://" + app.opsAddr + "/readyz"
	change := func(password string) {
		s.exec(fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", role, password))
		s.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1`, role)
	}
	change("another-" + testPassword)
	s.waitReady(readyz, http.StatusServiceUnavailable,
		"postgres is not ready: misconfigured: rejects the role or its password")
	s.waitReady("http://"+app.webAddr+"/readyz?verbose", http.StatusServiceUnavailable,
		`"postgres":"misconfigured"`)
	if err := s.fetch("GET", "http://"+app.webAddr+"/api/domains", http.NoBody).
		want(http.StatusServiceUnavailable); err != nil {
		t.Errorf("GET /api/domains with a rejected password: %v", err)
	}
	change(testPassword)
	s.waitReady(readyz, http.StatusOK, "ok")
	select {
	case err := <-ended:
		t.Errorf("Run() = %v, want a process that continues", err)
	default:
	}
}
