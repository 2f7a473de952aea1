package queue

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// world is a database, a Redis server, and a Service with a CA and a doctor that the test controls.
type world struct {
	*lifecycle.Service
	t     *testing.T
	dsn   string
	org   string
	redis *devstack.Redis
	ca    *ca

	mu  sync.Mutex
	own *pgx.Conn
}

// both runs the test with a separate Redis server and with the embedded one.
func both(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	for name, embedded := range map[string]bool{"redis-server": false, "in-process": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn(t, newWorld(t, embedded))
		})
	}
}

func newWorld(t *testing.T, embedded bool) *world {
	t.Helper()
	w := &world{t: t, dsn: postgrestest.DSN(t), ca: &ca{}}
	w.redis = w.startRedis(embedded, 0)
	if w.redis.Embedded() != embedded {
		t.Fatal("redis-server not found; this test requires it")
	}
	store, err := postgres.Open(t.Context(), postgres.Config{
		DSN: postgrestest.As(w.dsn, postgres.PartWork), MaxConns: 12})
	must(t, err)
	t.Cleanup(store.Close)
	w.Service, err = lifecycle.New(lifecycle.Config{Store: store,
		Zone: "acme.example.net", TargetKey: []byte("0123456789abcdef"), Issuer: w.ca,
		Doctor:  healthy{},
		Visible: func(context.Context, string, []string) error { return nil }, SweepSpread: -1,
		Lease: 2 * time.Second, Backoff: controlplane.Backoff{Base: time.Millisecond, Factor: 1}})
	must(t, err)
	limit := 1000
	o, err := w.CreateOrganization(t.Context(), controlplane.System("test"),
		lifecycle.NewOrganization{Name: "x", Tier: controlplane.TierPro, DomainLimit: &limit})
	must(t, err)
	w.org = o.ID
	return w
}

func (w *world) startRedis(embedded bool, port int) *devstack.Redis {
	w.t.Helper()
	r, err := devstack.StartRedis(w.t.Context(),
		devstack.RedisConfig{Embedded: embedded, Port: port, Password: "known"})
	must(w.t, err)
	w.t.Cleanup(func() { _ = r.Stop(context.Background()) })
	return r
}

// queue returns the Queue of one process.
func (w *world) queue() *Queue {
	w.t.Helper()
	q, err := New(Config{Store: w.Store, Lifecycle: w.Service, RedisURL: w.redis.URL(),
		Concurrency: 4, SweepEvery: time.Hour, ReconcileEvery: 50 * time.Millisecond,
		StuckAfter: time.Minute})
	must(w.t, err)
	w.t.Cleanup(func() { _ = q.redis.Close() })
	return q
}

// run runs a Queue until the test ends or stop is called. stop waits until it returned.
func (w *world) run(q *Queue) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = q.Run(ctx) }()
	stop = func() { cancel(); <-done }
	w.t.Cleanup(stop)
	return stop
}

func (w *world) add(name string) *controlplane.Domain {
	w.t.Helper()
	d, err := w.AddDomain(w.t.Context(), controlplane.System("test"), w.org,
		lifecycle.NewDomain{Name: name, Options: controlplane.Options{AutoIssue: true,
			AutoRenew: true}})
	must(w.t, err)
	return d
}

// job returns the newest job of the type that the domain has, without one that follows a
// dead-lettered job; nil without one.
func (w *world) job(d *controlplane.Domain, kind controlplane.JobType) *controlplane.Job {
	w.t.Helper()
	jobs, _, err := w.Store.ListJobs(w.t.Context(), w.org,
		postgres.JobFilter{DomainID: d.ID, Type: kind, Limit: 2})
	must(w.t, err)
	// A job that follows a dead-lettered one is due in an hour.
	if len(jobs) > 0 && jobs[0].Reason == controlplane.ReasonFollowUp {
		jobs = jobs[1:]
	}
	if len(jobs) == 0 {
		return nil
	}
	return &jobs[0]
}

// dispatched dispatches all due jobs and returns the domain's job of the type.
func (w *world) dispatched(
	q *Queue, d *controlplane.Domain, kind controlplane.JobType,
) *controlplane.Job {
	w.t.Helper()
	_, err := w.Store.DispatchDue(w.t.Context(), time.Now(), everything(),
		func(jobs []controlplane.Job) error { return q.enqueue(w.t.Context(), jobs) })
	must(w.t, err)
	j := w.job(d, kind)
	if j == nil || j.DispatchedAt == nil {
		w.t.Fatalf("job of %s = %+v, want a dispatched one", d.Name, j)
	}
	return j
}

// everything returns lanes with room for all jobs of a test.
func everything() []postgres.Lane {
	var out []postgres.Lane
	for _, q := range queues {
		out = append(out, postgres.Lane{Queue: q, Room: 1000})
	}
	return out
}

// waitDomain waits until the domain has the status, notified by Postgres.
func (w *world) waitDomain(
	d *controlplane.Domain, status controlplane.DomainStatus,
) *controlplane.Domain {
	w.t.Helper()
	moved, stop := w.Store.Watch(d.ID)
	defer stop()
	end := time.After(30 * time.Second)
	for {
		now, err := w.Store.Domain(w.t.Context(), w.org, d.ID)
		must(w.t, err)
		if now.Status == status {
			return now
		}
		select {
		case <-moved:
		case <-end:
			w.t.Fatalf("%s after 30 s: status = %s (%s), want %s; job %+v", d.Name, now.Status,
				now.StatusReason, status, w.job(d, controlplane.JobStartIssuance))
		}
	}
}

// eventually polls until ok returns true.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("timed out waiting for %s", what)
		}
	}
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.own == nil {
		c, err := pgx.Connect(w.t.Context(), w.dsn)
		must(w.t, err)
		w.t.Cleanup(func() { _ = c.Close(context.Background()) })
		w.own = c
	}
	if _, err := w.own.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatalf("exec(%s): %v", sql, err)
	}
}

// task returns the task of the job's last dispatch, nil if Asynq has none.
func (w *world) task(q *Queue, j *controlplane.Job) *asynq.TaskInfo {
	w.t.Helper()
	info, err := q.inspector.GetTaskInfo(string(j.Queue), taskID(j))
	if err != nil {
		return nil
	}
	return info
}

// port returns the port of the Redis server.
func (w *world) port() int {
	w.t.Helper()
	_, p, err := net.SplitHostPort(w.redis.Addr())
	must(w.t, err)
	n, err := strconv.Atoi(p)
	must(w.t, err)
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// healthy is a doctor that finds every delegation verified.
type healthy struct{}

// RehearseNames implements lifecycle.Doctor.
func (d healthy) RehearseNames(
	ctx context.Context, names []controlplane.NameCheck, cas []controlplane.CAIdentity,
) ([]controlplane.Examination, error) {
	return d.ExamineNames(ctx, names, cas)
}

// ExamineNames implements lifecycle.Doctor.
func (d healthy) ExamineNames(
	ctx context.Context, names []controlplane.NameCheck, cas []controlplane.CAIdentity,
) ([]controlplane.Examination, error) {
	var all []controlplane.Examination
	for _, n := range names {
		e, err := d.examine(ctx, n.Name, n.Target, n.Wildcard, cas)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

func (healthy) examine(
	context.Context, string, string, bool, []controlplane.CAIdentity,
) (controlplane.Examination, error) {
	return controlplane.Examination{Delegation: controlplane.Diagnosis{Code: controlplane.CauseOK,
		Summary: "Right.", CheckedAt: time.Now()}}, nil
}

// rejected is the error of a CA that rejects an order until the time again.
type rejected struct{ again time.Time }

func (rejected) Error() string { return "rejected" }

// Verdict implements controlplane.Judged.
func (r rejected) Verdict() controlplane.Verdict {
	return controlplane.Verdict{Class: controlplane.VerdictRequest,
		CA: "test", Code: "ca-malformed", Message: "No.", Fix: "None.", RetryAt: r.again}
}

// ca is an Issuer that issues unless it rejects or blocks.
type ca struct {
	mu      sync.Mutex
	refuses bool
	patient int           // the run whose rejection asks for a retry after an hour
	blocks  chan struct{} // closed when a run started that ends only with its context
	runs    int
	// a run continues when the channel is closed; may be nil
	hold func(*controlplane.Order) <-chan struct{}
}

func (c *ca) refuse(yes bool) { c.mu.Lock(); defer c.mu.Unlock(); c.refuses = yes }

func (c *ca) block() chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blocks = make(chan struct{})
	return c.blocks
}

func (c *ca) count() int { c.mu.Lock(); defer c.mu.Unlock(); return c.runs }

func (c *ca) CAs() []string { return []string{"test"} }

// Accounts implements lifecycle.Issuer.
func (c *ca) Accounts(string) []string { return []string{controlplane.DefaultAccount} }

func (c *ca) Healthy(string) (bool, time.Time) { return true, time.Time{} }

func (c *ca) Prepare(_ context.Context, o *controlplane.Order, _ []byte) error {
	if o.ID == "" {
		o.ID = controlplane.NewID(controlplane.PrefixOrder)
	}
	o.Step, o.CSR, o.SealedKey, o.CreatedAt = controlplane.StepCreated, []byte("x"), []byte("x"),
		time.Now()
	return nil
}

func (c *ca) Run(
	ctx context.Context, o *controlplane.Order, _ controlplane.Journal,
) (*controlplane.Certificate, error) {
	c.mu.Lock()
	c.runs++
	refuses, blocks, hold := c.refuses, c.blocks, c.hold
	var again time.Time
	if c.runs == c.patient {
		again = time.Now().Add(time.Hour)
	}
	c.blocks = nil
	c.mu.Unlock()
	if hold != nil {
		select {
		case <-hold(o):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if blocks != nil {
		close(blocks)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if refuses {
		return nil, rejected{again}
	}
	now := time.Now().UTC().Truncate(time.Second)
	return &controlplane.Certificate{Names: o.Names, Serial: fmt.Sprint(c.count()),
		Issuer: "Test CA", CA: o.CA, KeyType: o.KeyType, NotBefore: now,
		NotAfter:          now.Add(90 * 24 * time.Hour),
		FingerprintSHA256: "x", ChainPEM: "x", SealedKey: o.SealedKey}, nil
}

func (c *ca) Revoke(context.Context, []byte, string, string, int) error { return nil }

func (c *ca) Identities(context.Context) []controlplane.CAIdentity { return nil }

func (c *ca) Collect(context.Context, *controlplane.Order) (*controlplane.Certificate, error) {
	return nil, rejected{time.Time{}}
}

func (c *ca) RenewalInfo(context.Context, string, string) (controlplane.RenewalInfo, error) {
	return controlplane.RenewalInfo{}, controlplane.ErrRenewalInfoNotOffered
}
