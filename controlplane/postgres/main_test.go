package postgres_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// start is the current time in every test. The database's clock is independent of it.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// db is a separate database for a test, with one organization with a large plan.
type db struct {
	*postgres.Store
	t   testing.TB
	dsn string
	org string

	mu  sync.Mutex
	own *pgx.Conn // for the queries of the tests
}

func open(t testing.TB) *db {
	t.Helper()
	d := &db{t: t, dsn: postgrestest.DSN(t)}
	d.Store = d.replica()
	d.org = d.organization(1_000_000)
	return d
}

// replica returns another store on the same database, like that of another process.
func (d *db) replica() *postgres.Store {
	d.t.Helper()
	s, err := postgres.Open(context.Background(), postgres.Config{DSN: d.dsn, MaxConns: 8})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(s.Close)
	return s
}

func (d *db) organization(limit int) string {
	d.t.Helper()
	o := &controlplane.Organization{ID: controlplane.NewID(controlplane.PrefixOrganization),
		Name: "Example", Tier: controlplane.TierPro, DomainLimit: &limit, CreatedAt: start}
	d.must(d.AddOrganization(d.t.Context(), o))
	return o.ID
}

func newDomain(
	org, name string,
) (*controlplane.Domain, *controlplane.Job, controlplane.AuditEntry) {
	h := fmt.Sprintf("%x", sha256.Sum256([]byte(org+name)))
	d := &controlplane.Domain{ID: controlplane.NewID(controlplane.PrefixDomain), OrgID: org,
		Name: name, Target: h[:32], Status: controlplane.DomainPendingCNAME,
		Options: controlplane.Options{KeyType: controlplane.KeyEC256, AutoIssue: true,
			AutoRenew: true}, CreatedAt: start, UpdatedAt: start, Version: 1}
	j := newJob(d, controlplane.JobDNSCheck)
	a := controlplane.AuditEntry{ID: controlplane.NewID(controlplane.PrefixEvent), OrgID: org,
		Actor: controlplane.System("test"), Action: controlplane.ActionDomainCreated,
		EntityType: "domain", EntityID: d.ID, After: map[string]any{"name": name}, CreatedAt: start}
	return d, j, a
}

func newJob(d *controlplane.Domain, typ controlplane.JobType) *controlplane.Job {
	return &controlplane.Job{ID: controlplane.NewID(controlplane.PrefixJob), OrgID: d.OrgID,
		DomainID: d.ID, Type: typ, Queue: controlplane.QueueDefault, RunAt: start, CreatedAt: start}
}

// add stores a domain with its first job.
func (d *db) add(org, name string) (*controlplane.Domain, *controlplane.Job) {
	d.t.Helper()
	dom, j, a := newDomain(org, name)
	if ok, err := d.AddDomain(d.t.Context(), dom, j, a); err != nil || !ok {
		d.t.Fatalf("adding %s: %v, %v", name, ok, err)
	}
	return dom, d.job(org, j.ID)
}

// active makes the domain active, with a certificate that is due for renewal at renewAt.
func (d *db) active(dom *controlplane.Domain, renewAt time.Time) {
	d.t.Helper()
	expires := renewAt.Add(30 * 24 * time.Hour)
	dom.Status, dom.CertificateID, dom.RenewAt, dom.ExpiresAt = controlplane.DomainActive,
		"crt_x", &renewAt, &expires
	d.must(d.SaveDomain(d.t.Context(), dom, start))
}

func (d *db) job(org, id string) *controlplane.Job {
	d.t.Helper()
	j, err := d.Job(d.t.Context(), org, id)
	d.must(err)
	return j
}

// newJobOf stores another job for the domain.
func (d *db) newJobOf(dom *controlplane.Domain, typ controlplane.JobType) *controlplane.Job {
	d.t.Helper()
	j, added, err := d.AddJob(d.t.Context(), newJob(dom, typ))
	if err != nil || !added {
		d.t.Fatalf("adding a job: %v, %v", added, err)
	}
	return j
}

// claim claims the job for a worker, with a lease of a minute.
func (d *db) claim(j *controlplane.Job, worker string) *postgres.Claim {
	d.t.Helper()
	c, err := d.ClaimJob(d.t.Context(), j.ID, j.Generation, worker, time.Minute, start)
	d.must(err)
	return c
}

// expire makes every lease expire.
func (d *db) expire() {
	d.t.Helper()
	d.exec(`UPDATE jobs SET claimed_until = now() - interval '1 second' WHERE claimed_until IS NOT NULL`)
	d.exec(`UPDATE domains SET claimed_until = now() - interval '1 second' WHERE claimed_until IS NOT NULL`)
}

// finish ends a job with success, without a claim.
func (d *db) finish(j *controlplane.Job) {
	d.t.Helper()
	d.exec(`UPDATE jobs SET status = 'succeeded' WHERE id = $1`, j.ID)
}

func (d *db) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// conn returns a new connection that is closed when the test ends.
func (d *db) conn() *pgx.Conn {
	d.t.Helper()
	conn, err := pgx.Connect(d.t.Context(), d.dsn)
	d.must(err)
	d.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// do runs fn on the test's own connection.
func (d *db) do(fn func(*pgx.Conn) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.own == nil {
		d.own = d.conn()
	}
	return fn(d.own)
}

func (d *db) try(sql string, args ...any) error {
	return d.do(func(c *pgx.Conn) error {
		_, err := c.Exec(d.t.Context(), sql, args...)
		return err
	})
}

func (d *db) exec(sql string, args ...any) {
	d.t.Helper()
	if err := d.try(sql, args...); err != nil {
		d.t.Fatalf("Exec(%s) = %v", sql, err)
	}
}

// value reads one value.
func value[T any](d *db, sql string, args ...any) T {
	d.t.Helper()
	var v T
	if err := d.do(func(c *pgx.Conn) error {
		return c.QueryRow(d.t.Context(), sql,
			args...).Scan(&v)
	}); err != nil {
		d.t.Fatalf("QueryRow(%s) = %v", sql, err)
	}
	return v
}

// atOnce runs fn n times concurrently and returns when all calls have returned.
func atOnce(n int, fn func(i int)) {
	var wg sync.WaitGroup
	ready := make(chan struct{})
	for i := range n {
		wg.Go(func() { <-ready; fn(i) })
	}
	close(ready)
	wg.Wait()
}

// count is a counter for atOnce.
type count = atomic.Int64

// soon waits for an event that must occur.
func soon[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("timed out waiting for %s", what)
		panic("unreachable")
	}
}

func wantKind(t testing.TB, what string, err error, k controlplane.Kind) {
	t.Helper()
	if !controlplane.IsKind(err, k) {
		t.Errorf("%s: %v, want an error of kind %s", what, err, k)
	}
}

// txtAt returns values at the order's target.
func txtAt(o *controlplane.Order, values ...string) []controlplane.TXT {
	txt := make([]controlplane.TXT, len(values))
	for i, value := range values {
		txt[i] = controlplane.TXT{Target: o.Target, Value: value}
	}
	return txt
}
