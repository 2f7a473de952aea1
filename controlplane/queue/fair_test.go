package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// organization adds an organization.
func (w *world) organization() string {
	w.t.Helper()
	limit := 1000
	o, err := w.CreateOrganization(w.t.Context(), controlplane.System("test"),
		lifecycle.NewOrganization{Name: "y", Tier: controlplane.TierPro, DomainLimit: &limit})
	must(w.t, err)
	return o.ID
}

// backlog adds n domains to the organization, each with a job that has been due for an hour.
func (w *world) backlog(org string, kind controlplane.JobType, q controlplane.Queue, n int) {
	w.t.Helper()
	w.exec(`
		WITH names AS (
			SELECT i, md5($1 || $2 || i) AS hash FROM generate_series(1, $4::int) i
		), dom AS (
			INSERT INTO domains (id, org_id, name, cname_target, status) SELECT 'dom_' || hash, $1, hash || '.example.com', hash, 'active' FROM names
		)
		INSERT INTO jobs (id, org_id, domain_id, type, slot, queue, run_at)
		SELECT 'job_' || hash, $1, 'dom_' || hash, $2, 'certificate', $3, now() - interval '1 hour' + i * interval '1 millisecond' FROM names`, org, kind, q, n)
}

// count returns the number that a query selects.
func (w *world) count(sql string, args ...any) (n int) {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), w.dsn)
	must(w.t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	must(w.t, conn.QueryRow(w.t.Context(), sql, args...).Scan(&n))
	return n
}

// hang makes the CA hang on some orders until release is called. hanging returns their number.
func (w *world) hang(jobs func(*controlplane.Order) bool) (hanging func() int, release func()) {
	opened, closed := make(chan struct{}), make(chan struct{})
	close(closed)
	var mu sync.Mutex
	n := 0
	w.ca.hold = func(o *controlplane.Order) <-chan struct{} {
		if !jobs(o) {
			return closed
		}
		mu.Lock()
		defer mu.Unlock()
		n++
		return opened
	}
	return func() int { mu.Lock(); defer mu.Unlock(); return n },
		sync.OnceFunc(func() { close(opened) })
}

// One organization has 10,000 due jobs. The single jobs of two other organizations run after a few
// of them, with three processes.
func TestBacklogOfOneOrganizationDelaysNoOther(t *testing.T) {
	t.Parallel()
	const replicas, workers = 3, 4
	w := newWorld(t, false)
	w.backlog(w.org, controlplane.JobRenewal, controlplane.QueueBulk, 5000)
	w.backlog(w.org, controlplane.JobStartIssuance, controlplane.QueueCritical, 5000)
	var mu sync.Mutex
	var started []*controlplane.Order // in the order of their runs
	open := make(chan struct{})
	close(open)
	w.ca.hold = func(o *controlplane.Order) <-chan struct{} {
		mu.Lock()
		defer mu.Unlock()
		started = append(started, o)
		return open
	}
	since := func(n int) []*controlplane.Order { mu.Lock(); defer mu.Unlock(); return started[n:] }
	for range replicas {
		w.run(w.queue())
	}
	w.eventually("100 jobs of the backlog to run", func() bool { return len(since(0)) > 100 })
	for kind, q := range map[controlplane.JobType]controlplane.Queue{
		controlplane.JobStartIssuance: controlplane.QueueCritical,
		controlplane.JobRenewal:       controlplane.QueueBulk} {
		org, before := w.organization(), len(since(0))
		w.backlog(org, kind, q, 1)
		var jobs []string // that ran before it
		w.eventually("the other organization's job to run", func() bool {
			jobs = nil
			for _, o := range since(before) {
				if o.OrgID == org {
					return true
				}
				jobs = append(jobs, o.JobID)
			}
			return false
		})
		n := w.count(`SELECT count(*) FROM jobs WHERE id = ANY($1) AND queue = $2`, jobs, q)
		t.Logf("%s: after %d jobs of the same queue, %d in all", q, n, len(jobs))
		// At most this many jobs are ahead of it in Asynq and at the workers.
		if bound := replicas * workers * (pendingPerWorker + 1); n > 2*bound {
			t.Errorf("%s: the job ran after %d jobs of the backlog, want at most %d", q, n, 2*bound)
		}
	}
}

// Asynq holds only what keeps the workers busy. Renewals that hang leave workers to urgent jobs,
// and no job is lost.
func TestHangingRenewalsLeaveWorkersFree(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		org := w.organization()
		w.backlog(org, controlplane.JobRenewal, controlplane.QueueBulk, 100)
		hanging, release := w.hang(func(o *controlplane.Order) bool { return o.OrgID == org })
		defer release()
		q := w.queue()
		w.run(q)
		free := urgentShare(q.Concurrency)
		w.eventually("renewals to hang on all workers of bulk",
			func() bool { return hanging() == q.Concurrency-free })
		for i := range 3 {
			w.waitDomain(w.add(fmt.Sprintf("urgent%d.example.com", i)), controlplane.DomainActive)
		}
		if n := hanging(); n != q.Concurrency-free || free < 1 {
			t.Errorf("renewals hold %d of %d workers, want %d", n, q.Concurrency,
				q.Concurrency-free)
		}
		pending, _, err := q.demand(t.Context())
		must(t, err)
		if n := pending[len(queues)-1]; n == 0 || n > pendingPerWorker*q.Concurrency {
			t.Errorf("Asynq holds %d renewals for %d workers, want 1 to %d", n, q.Concurrency,
				pendingPerWorker*q.Concurrency)
		}
		release()
		w.eventually("all to be renewed", func() bool {
			jobs, _, err := w.Store.ListJobs(t.Context(), org,
				postgres.JobFilter{Status: controlplane.JobSucceeded, Limit: 200})
			must(t, err)
			return len(jobs) == 100
		})
		if n := w.ca.count(); n != 103 {
			t.Errorf("%d orders for 103 certificates, want 103", n)
		}
	})
}

// A job that fails while its queue is crowded is redispatched, and keeps its count of failures.
func TestFailedJobsAreRedispatched(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	w.ca.refuse(true)
	q := w.queue()
	must(t, q.checkEpoch(t.Context()))
	d := w.add("example.com")
	check := w.dispatched(q, d, controlplane.JobDNSCheck)
	must(t, w.RunJob(t.Context(), check.ID, check.Generation))
	j := w.dispatched(q, d, controlplane.JobStartIssuance)
	failed := w.RunJob(t.Context(), j.ID, j.Generation)
	if err := q.redispatchFailed(t.Context(), string(j.Queue), payload{j.ID, j.Generation, j.OrgID},
		failed); failed == nil || !errors.Is(err, failed) {
		t.Errorf("redispatchFailed in a queue with room = %v, want %v", err, failed)
	}
	q.crowded[0].Store(true)
	if err := q.redispatchFailed(t.Context(), string(j.Queue), payload{j.ID, j.Generation, j.OrgID},
		failed); err != nil {
		t.Errorf("redispatchFailed in a crowded queue = %v, want nil", err)
	}
	if now := w.job(d, j.Type); now.Generation != j.Generation+1 || now.DispatchedAt != nil ||
		now.Attempts != 1 || now.Status != controlplane.JobQueued {
		t.Errorf("job = %+v, want it queued after 1 failure, with a new generation, and not dispatched", now)
	}
	if err := q.redispatchFailed(t.Context(), string(j.Queue), payload{j.ID, j.Generation, j.OrgID},
		failed); !errors.Is(err, failed) {
		t.Errorf("redispatchFailed of a stale generation = %v, want %v", err, failed)
	}
	w.run(q)
	w.waitDomain(d, controlplane.DomainError)
	if dead := w.job(d, j.Type); dead.Attempts != controlplane.MaxAttempts ||
		w.ca.count() != controlplane.MaxAttempts {
		t.Errorf("dead-lettered job = %+v after %d orders, want %d attempts and orders", dead,
			w.ca.count(), controlplane.MaxAttempts)
	}
}

// demand reads the number of pending tasks from Asynq's lists.
func TestDemandCountsPendingTasks(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		q := w.queue()
		for i, name := range queues {
			for n := range i + 2 {
				_, err := q.client.Enqueue(asynq.NewTask("x", []byte(fmt.Sprint(n))),
					asynq.Queue(string(name)))
				must(t, err)
			}
		}
		n, _, err := q.demand(t.Context())
		if must(t, err); n != [len(queues)]int{2, 3, 4} {
			t.Errorf("demand() = %v pending, want [2 3 4]", n)
		}
		must(t, w.redis.Flush(t.Context()))
		if n, _, err := q.demand(t.Context()); err != nil || n != [len(queues)]int{} {
			t.Errorf("demand() after a flush = %v pending, error %v, want none", n, err)
		}
	})
}

func TestUrgentShare(t *testing.T) {
	t.Parallel()
	for workers, want := range map[int]int{1: 0, 2: 1, 4: 1, 8: 2, 32: 8} {
		if got := urgentShare(workers); got != want {
			t.Errorf("urgentShare(%d) = %d, want %d", workers, got, want)
		}
	}
}
