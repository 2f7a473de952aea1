package program

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// stack is a development stack for one test.
type stack struct {
	*Dev
	t   *testing.T
	api *client.Client
}

// startStack starts the whole system on free ports. Its database is on the shared server, unless
// the test sets one. The database "own" starts a separate Postgres.
func startStack(t *testing.T, c DevConfig) *stack {
	t.Helper()
	c.Dir, c.FreePorts, c.Fast = t.TempDir(), true, true
	if c.Database == "" {
		c.Database = postgrestest.DSN(t)
	} else if c.Database == "own" {
		c.Database = ""
	}
	c.LogLevel, c.Logs = "info", &testLog{t: t, also: c.Logs}
	configure := c.Configure
	c.Configure = func(cfg *Config) {
		cfg.Work.Lease, cfg.Work.RetryBase = 2*time.Second, 100*time.Millisecond
		cfg.Work.SweepEvery, cfg.Work.SweepSpread = time.Hour, 0
		cfg.Work.Concurrency = 8
		cfg.Connections = 10 // the first statements of each connection cost a test the most
		if configure != nil {
			configure(cfg)
		}
	}
	d, err := StartDev(t.Context(), c)
	if err != nil {
		t.Fatalf("starting the stack: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		d.Stop(ctx)
	})
	api, err := client.New(client.Options{Endpoint: d.Env()["DCVAAS_ENDPOINT"], Token: d.Token})
	if err != nil {
		t.Fatal(err)
	}
	return &stack{Dev: d, t: t, api: api}
}

// worker is a `dcvaas work` process, or one of another part.
type worker struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// environ returns the environment of a process with the stack's settings.
func (s *stack) environ() []string {
	c := s.Config
	return append(os.Environ(), "DCVAAS_DATABASE_URL="+c.Database, "DCVAAS_REDIS_URL="+c.Redis,
		"DCVAAS_SECRET_KEY="+c.SecretKey, "DCVAAS_KEYSET="+c.Keyset, "DCVAAS_ZONE="+c.Zone,
		"DCVAAS_PUBLIC_URL="+c.PublicURL, "DCVAAS_CAS="+c.ACME.CAs,
		"DCVAAS_DNS_SERVERS="+strings.Join(c.DNS.Servers, ","),
		"DCVAAS_DNS_LISTEN="+strings.Join(c.DNS.Listen, ","),
		"DCVAAS_RESOLVERS="+strings.Join(c.Check.Resolvers, ","),
		"DCVAAS_AUTHORITY="+c.Check.Authority, "DCVAAS_LEASE="+c.Work.Lease.String(),
		"DCVAAS_RETRY_BASE="+c.Work.RetryBase.String(), "DCVAAS_SWEEP_EVERY=1s",
		"DCVAAS_SWEEP_SPREAD=0s", "DCVAAS_CONCURRENCY=8", "DCVAAS_WEBHOOK_LOOPBACK=true",
		"DCVAAS_DRAIN_DELAY=0s", "DCVAAS_LOG_FORMAT=text")
}

// startWorker starts a worker on the stack's Postgres and Redis, on the shared server with the
// rights of workers only.
func (s *stack) startWorker() *worker {
	s.t.Helper()
	return s.startProcess(postgres.PartWork)
}

// startProcess starts `dcvaas work`, or another part, like startWorker. The last settings count.
func (s *stack) startProcess(part string, settings ...string) *worker {
	s.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(exe, part, "--ops-listen=")
	cmd.Env = append(s.environ(), asProgram+"=1")
	if s.Postgres == nil { // shared
		cmd.Env = append(cmd.Env,
			"DCVAAS_DATABASE_URL="+postgrestest.As(s.Config.Database, part))
	}
	cmd.Env = append(cmd.Env, settings...)
	out := &testLog{t: s.t, prefix: part + ": "}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	w := &worker{cmd: cmd, done: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(w.done) }()
	s.t.Cleanup(w.kill)
	return w
}

// kill stops the worker with SIGKILL.
func (w *worker) kill() {
	_ = w.cmd.Process.Kill()
	<-w.done
}

// delegate creates the domain's CNAME in the playground.
func (s *stack) delegate(name string) {
	s.t.Helper()
	d, err := s.api.Delegation(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.Playground.Set(d.Name, "CNAME", []string{d.Target}, 1); err != nil {
		s.t.Fatal(err)
	}
}

// add creates the domain's CNAME and adds the domain.
func (s *stack) add(name string) *client.Domain {
	s.t.Helper()
	s.delegate(name)
	d, err := s.api.CreateDomain(s.t.Context(), client.DomainCreate{Name: name})
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// waitDomain waits until ok returns true for the domain.
func (s *stack) waitDomain(id string, want string, ok func(*client.Domain) bool) *client.Domain {
	s.t.Helper()
	var last *client.Domain
	s.eventually("the domain to be "+want, func() error {
		d, err := s.api.Domain(s.t.Context(), id)
		if err != nil {
			return err
		}
		if last = d; !ok(d) {
			return fmt.Errorf("the domain is %s", toJSON(d))
		}
		return nil
	})
	return last
}

func (s *stack) waitActive(id string) *client.Domain {
	s.t.Helper()
	return s.waitDomain(id,
		"active", func(d *client.Domain) bool { return d.Status == client.DomainStatusActive })
}

// eventually calls check until it returns nil, for at most a minute.
func (s *stack) eventually(what string, check func() error) {
	s.t.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(
		50 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	s.t.Fatalf("waited a minute for %s: %v", what, err)
}

// query reads one value from the stack's database.
func query[T any](s *stack, sql string, args ...any) T {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.Config.Database)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var v T
	if err := conn.QueryRow(s.t.Context(), sql, args...).Scan(&v); err != nil {
		s.t.Fatalf("query %s: %v", sql, err)
	}
	return v
}

// exec changes the stack's database directly.
func (s *stack) exec(sql string, args ...any) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.Config.Database)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(s.t.Context(), sql, args...); err != nil {
		s.t.Fatalf("exec %s: %v", sql, err)
	}
}

// latestJob returns the domain's newest job of the type, without one that follows a dead-lettered
// job.
func (s *stack) latestJob(domain, kind string) *client.Job {
	s.t.Helper()
	jt := client.JobType(kind)
	jobs, err := s.api.Jobs(s.t.Context(), client.ListJobsParams{Domain: &domain, Type: &jt})
	if err != nil || len(jobs.Data) == 0 {
		s.t.Fatalf("Jobs() of domain %s with type %s = %v, want at least one job", domain, kind,
			err)
	}
	for i := range jobs.Data {
		if jobs.Data[i].Reason != controlplane.ReasonFollowUp {
			return &jobs.Data[i]
		}
	}
	s.t.Fatalf("Jobs() of domain %s = %s, want one that follows no other", domain, toJSON(jobs))
	return nil
}

// get fetches a URL without authentication. If v is not nil, it decodes the JSON response into v.
func (s *stack) get(url string, v any) []byte {
	s.t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("GET %s = %s, %v, want 200", url, resp.Status, err)
	}
	if v != nil {
		if err := json.Unmarshal(b, v); err != nil {
			s.t.Fatalf("GET %s: invalid JSON: %v in %s", url, err, b)
		}
	}
	return b
}

// waitMetric waits until the operator listener reports the line.
func (s *stack) waitMetric(line string) {
	s.t.Helper()
	s.eventually(line, func() error {
		if all := string(s.get(s.Env()["DCVAAS_OPS_URL"]+"/metrics", nil)); !strings.Contains(all,
			"\n"+line+"\n") {
			return fmt.Errorf("not in %s", all)
		}
		return nil
	})
}

func toJSON(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// testLog writes the program's output to the test's log while the test runs.
type testLog struct {
	t      *testing.T
	prefix string
	also   io.Writer // gets the output, too; can be nil
	mu     sync.Mutex
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.t.Context().Err() == nil {
		l.t.Logf("%s%s", l.prefix, bytes.TrimRight(p, "\n"))
	}
	if l.also != nil {
		_, _ = l.also.Write(p)
	}
	return len(p), nil
}

// gate is a handler in front of a CA. It blocks the first request that matches, until the gate is
// opened or the request is canceled.
type gate struct {
	matches func(*http.Request) bool
	after   bool // handle the request first, and drop its response
	reached chan struct{}
	opened  chan struct{}
	once    sync.Once
}

func newGate(after bool, matches func(*http.Request) bool) *gate {
	return &gate{matches: matches, after: after, reached: make(chan struct{}),
		opened: make(chan struct{})}
}

func (g *gate) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		held := false
		if g.matches(r) {
			g.once.Do(func() { held = true })
		}
		if !held {
			next.ServeHTTP(w, r)
			return
		}
		if g.after {
			next.ServeHTTP(discard{http.Header{}}, r)
		}
		close(g.reached)
		select {
		case <-g.opened:
		case <-r.Context().Done():
		}
		if !g.after {
			next.ServeHTTP(w, r)
		}
	})
}

// discard is a ResponseWriter that drops the response.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// pathHas matches requests whose path contains part.
func pathHas(part string) func(*http.Request) bool {
	return func(r *http.Request) bool { return strings.Contains(r.URL.Path, part) }
}

// pathCount matches the nth request whose path contains part.
func pathCount(part string, n int) func(*http.Request) bool {
	var mu sync.Mutex
	return func(r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if strings.Contains(r.URL.Path, part) {
			n--
		}
		return n == 0
	}
}

// primaryOnly puts the gate in front of only the first CA.
func primaryOnly(g *gate) func(string) func(http.Handler) http.Handler {
	return frontOfPrimary(g.wrap)
}

// frontOfPrimary puts wrap in front of the primary CA.
func frontOfPrimary(
	wrap func(http.Handler) http.Handler,
) func(string) func(http.Handler) http.Handler {
	return func(ca string) func(http.Handler) http.Handler {
		if ca == "primary" {
			return wrap
		}
		return nil
	}
}

// pathAfter matches requests whose path contains part, after the first one whose path contains
// before.
func pathAfter(before, part string) func(*http.Request) bool {
	var mu sync.Mutex
	seen := false
	return func(r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if strings.Contains(r.URL.Path, before) {
			seen = true
			return false
		}
		return seen && strings.Contains(r.URL.Path, part)
	}
}

// orderStep returns the step of the domain's newest order.
func (s *stack) orderStep(domainID string) controlplane.OrderStep {
	return query[controlplane.OrderStep](s,
		`SELECT step FROM acme_orders WHERE domain_id = $1 ORDER BY created_at DESC LIMIT 1`,
		domainID)
}
