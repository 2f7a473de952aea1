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

// world is a database, a Redis, and a life cycle whose CA and doctor the test holds.
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

// both runs the test on a Redis server of its own and on the one in the process.
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
		t.Fatal("redis-server was not found; it is needed for this test")
	}
	store, err := postgres.Open(t.Context(), postgres.Config{DSN: w.dsn, MaxConns: 12})
	must(t, err)
	t.Cleanup(store.Close)
	w.Service, err = lifecycle.New(lifecycle.Config{Store: store, Zone: "acme.example.net", TargetKey: []byte("0123456789abcdef"), Issuer: w.ca, Doctor: healthy{},
		Visible: func(context.Context, string, []string) error { return nil }, SweepSpread: -1, Lease: 2 * time.Second, Backoff: controlplane.Backoff{Base: time.Millisecond, Factor: 1}})
	must(t, err)
	limit := 1000
	o, err := w.CreateOrganization(t.Context(), controlplane.System("test"), lifecycle.NewOrganization{Name: "x", Tier: controlplane.TierPro, DomainLimit: &limit})
	must(t, err)
	w.org = o.ID
	return w
}

func (w *world) startRedis(embedded bool, port int) *devstack.Redis {
	w.t.Helper()
	r, err := devstack.StartRedis(w.t.Context(), devstack.RedisConfig{Embedded: embedded, Port: port, Password: "known"})
	must(w.t, err)
	w.t.Cleanup(func() { _ = r.Stop(context.Background()) })
	return r
}

// queue returns a Queue as one process has it.
func (w *world) queue() *Queue {
	w.t.Helper()
	q, err := New(Config{Store: w.Store, Lifecycle: w.Service, RedisURL: w.redis.URL(), Concurrency: 4, SweepEvery: time.Hour, ReconcileEvery: 50 * time.Millisecond, StuckAfter: time.Minute})
	must(w.t, err)
	w.t.Cleanup(func() { _ = q.redis.Close() })
	return q
}

// run runs a Queue until the test ends or stop is called, which waits for its end.
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
	d, err := w.AddDomain(w.t.Context(), controlplane.System("test"), w.org, lifecycle.NewDomain{Name: name, Options: controlplane.Options{AutoIssue: true, AutoRenew: true}})
	must(w.t, err)
	return d
}

// job returns the domain's newest job of the type, nil if there is none.
func (w *world) job(d *controlplane.Domain, kind controlplane.JobType) *controlplane.Job {
	w.t.Helper()
	jobs, _, err := w.Store.ListJobs(w.t.Context(), w.org, postgres.JobFilter{DomainID: d.ID, Type: kind, Limit: 1})
	must(w.t, err)
	if len(jobs) == 0 {
		return nil
	}
	return &jobs[0]
}

// dispatched hands what is due to Asynq and returns the domain's job of the type.
func (w *world) dispatched(q *Queue, d *controlplane.Domain, kind controlplane.JobType) *controlplane.Job {
	w.t.Helper()
	_, err := w.Store.DispatchDue(w.t.Context(), time.Now(), everything(), func(jobs []controlplane.Job) error { return q.enqueue(w.t.Context(), jobs) })
	must(w.t, err)
	j := w.job(d, kind)
	if j == nil || j.DispatchedAt == nil {
		w.t.Fatalf("not dispatched: %+v", j)
	}
	return j
}

// everything has room for all that a test makes.
func everything() []postgres.Lane {
	var out []postgres.Lane
	for _, q := range queues {
		out = append(out, postgres.Lane{Queue: q, Room: 1000})
	}
	return out
}

// waitDomain waits until the domain is as wanted, told by Postgres.
func (w *world) waitDomain(d *controlplane.Domain, status controlplane.DomainStatus) *controlplane.Domain {
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
			w.t.Fatalf("waited in vain for %s to be %s: it is %s (%s), %+v", d.Name, status, now.Status, now.StatusReason, w.job(d, controlplane.JobStartIssuance))
		}
	}
}

// eventually asks until the answer is yes.
func (w *world) eventually(what string, ask func() bool) {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); !ask(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("waited in vain for %s", what)
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
		w.t.Fatalf("%s: %v", sql, err)
	}
}

// task returns what Asynq knows of the job's last dispatch, nil if nothing.
func (w *world) task(q *Queue, j *controlplane.Job) *asynq.TaskInfo {
	w.t.Helper()
	info, err := q.inspector.GetTaskInfo(string(j.Queue), taskID(j))
	if err != nil {
		return nil
	}
	return info
}

// port is the Redis server's.
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

// healthy is a doctor that finds every delegation right.
type healthy struct{}

// Examine implements lifecycle.Doctor.
func (healthy) Examine(context.Context, string, string, bool, []controlplane.CAIdentity) (controlplane.Examination, error) {
	return controlplane.Examination{Delegation: controlplane.Diagnosis{Code: controlplane.CauseOK, Summary: "Right.", CheckedAt: time.Now()}}, nil
}

// rejected is a CA's refusal; before again it does not want to be asked once more.
type rejected struct{ again time.Time }

func (rejected) Error() string { return "rejected" }

// Verdict implements controlplane.Judged.
func (r rejected) Verdict() controlplane.Verdict {
	return controlplane.Verdict{Class: controlplane.VerdictRejected, CA: "test", Code: "ca-malformed", Message: "No.", Fix: "None.", RetryAt: r.again}
}

// ca issues, unless refusing or blocked.
type ca struct {
	mu      sync.Mutex
	refuses bool
	patient int           // the run after whose refusal it wants an hour's rest
	blocks  chan struct{} // closed when a run has begun that ends only with its context
	runs    int
	hold    func(*controlplane.Order) <-chan struct{} // a run goes on when the channel is closed; may be nil
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

func (c *ca) Healthy(string) (bool, time.Time) { return true, time.Time{} }

func (c *ca) Prepare(_ context.Context, o *controlplane.Order, _ []byte) error {
	if o.ID == "" {
		o.ID = controlplane.NewID(controlplane.PrefixOrder)
	}
	o.Step, o.CSR, o.SealedKey, o.CreatedAt = controlplane.StepCreated, []byte("x"), []byte("x"), time.Now()
	return nil
}

func (c *ca) Run(ctx context.Context, o *controlplane.Order, _ controlplane.Journal) (*controlplane.Certificate, error) {
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
	return &controlplane.Certificate{Names: o.Names, Serial: fmt.Sprint(c.count()), Issuer: "Test CA", CA: o.CA, KeyType: o.KeyType, NotBefore: now, NotAfter: now.Add(90 * 24 * time.Hour),
		FingerprintSHA256: "x", ChainPEM: "x", SealedKey: o.SealedKey}, nil
}

func (c *ca) Revoke(context.Context, []byte, string, int) error { return nil }

func (c *ca) Identities(context.Context) []controlplane.CAIdentity { return nil }

func (c *ca) RenewalInfo(context.Context, string, string) (controlplane.RenewalInfo, error) {
	return controlplane.RenewalInfo{}, controlplane.ErrRenewalInfoNotOffered
}
