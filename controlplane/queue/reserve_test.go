package queue

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// orders holds the orders that the CA received: each hangs until it is released.
type orders struct {
	mu    sync.Mutex
	all   []*controlplane.Order
	let   []chan struct{} // closed to release the order
	going bool            // new orders no longer hang
}

// holdOrders makes an organization's orders hang.
func (w *world) holdOrders(org string) *orders {
	w.Lease = time.Minute // no lease expires, even on a slow machine
	h := &orders{}
	w.ca.hold = func(o *controlplane.Order) <-chan struct{} {
		c := make(chan struct{})
		if o.OrgID != org {
			close(c)
			return c
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.all, h.let = append(h.all, o), append(h.let, c)
		if h.going {
			close(c)
		}
		return c
	}
	return h
}

func (h *orders) count() int { h.mu.Lock(); defer h.mu.Unlock(); return len(h.all) }

// release releases the i-th order.
func (h *orders) release(i int) { h.mu.Lock(); defer h.mu.Unlock(); close(h.let[i]) }

// releaseAll releases the hanging orders from the given one on, and all later ones.
func (h *orders) releaseAll(from int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.going = true
	for _, c := range h.let[from:] {
		close(c)
	}
}

// ranOnce waits until the organization's n jobs succeeded, and checks that each had one order and
// no failure.
func (w *world) ranOnce(org string, h *orders, n int) {
	w.t.Helper()
	w.eventually("all jobs to succeed", func() bool {
		return w.count(`SELECT count(*) FROM jobs WHERE org_id = $1 AND status = 'succeeded'`,
			org) == n
	})
	if failures := w.count(`SELECT coalesce(sum(attempts), 0) FROM jobs WHERE org_id = $1`,
		org); failures != 0 {
		w.t.Errorf("%d failures of %s, want 0", failures, org)
	}
	times := map[string]int{}
	for _, o := range h.all {
		times[o.JobID]++
	}
	if len(h.all) != n || len(times) != n {
		w.t.Errorf("%d orders for %d jobs, want %d orders for %d", len(h.all), len(times), n, n)
	}
}

// declined returns how many tasks the process declined.
func (w *world) declined(q *Queue) int {
	w.t.Helper()
	r := prometheus.NewRegistry()
	must(w.t, r.Register(q.metrics.declined))
	families, err := r.Gather()
	must(w.t, err)
	return int(families[0].GetMetric()[0].GetCounter().GetValue())
}

// The jobs of one organization hang on every worker, and more of them are due. The jobs of another
// one complete meanwhile.
func TestHangingJobsDelayNoOtherOrganization(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		const jobs = 60
		org := w.organization()
		w.backlog(org, controlplane.JobStartIssuance, controlplane.QueueCritical, jobs)
		h := w.holdOrders(org)
		q := w.queue()
		q.hanging = newHanging(20*time.Millisecond, q.Concurrency)
		w.run(q)
		w.eventually("jobs to hang on every worker",
			func() bool { return h.count() == q.Concurrency })
		w.waitDomain(w.add("passes.example.com"), controlplane.DomainActive)
		w.eventually("the jobs ahead of it to be declined", func() bool {
			return w.count(
				`SELECT count(*) FROM jobs WHERE org_id = $1 AND status = 'queued' AND dispatched_at IS NOT NULL`, org) == 0
		})
		before := w.declined(q)
		for i := range 3 {
			w.waitDomain(w.add(fmt.Sprintf("passes%d.example.com", i)), controlplane.DomainActive)
		}
		if n := h.count(); n != q.Concurrency {
			t.Errorf("%d hanging jobs, want %d, one per worker", n, q.Concurrency)
		}
		if n := w.declined(q); n != before || n == 0 {
			t.Errorf("%d tasks were declined, and %d more while the organization was throttled, want 0 more", before, n-before)
		}
		if n := w.count(`SELECT count(*) FROM jobs WHERE org_id = $1 AND run_at > now()`,
			org); n != 0 {
			t.Errorf("%d declined jobs lost their place, want 0", n)
		}
		h.releaseAll(0)
		w.ranOnce(org, h, jobs)
	})
}

// Two processes share the throttled organizations, and lose no job.
func TestHangingJobsDelayNoOtherOrganizationInTwoProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	const jobs = 60
	org := w.organization()
	w.backlog(org, controlplane.JobStartIssuance, controlplane.QueueCritical, jobs)
	h := w.holdOrders(org)
	workers := 0
	for range 2 {
		q := w.queue()
		q.hanging = newHanging(20*time.Millisecond, q.Concurrency)
		w.run(q)
		workers += q.Concurrency
		w.eventually("jobs to hang on every worker", func() bool { return h.count() == workers })
	}
	w.waitDomain(w.add("passes.example.com"), controlplane.DomainActive)
	if n := h.count(); n != workers {
		t.Errorf("%d hanging jobs, want %d, one per worker", n, workers)
	}
	if _, known, err := w.queue().demand(t.Context()); err != nil || len(known) != 1 ||
		known[0] != org {
		t.Errorf("demand() in another process: throttled %v, error %v, want [%s]", known, err, org)
	}
	h.releaseAll(0)
	w.ranOnce(org, h, jobs)
}

// A single organization with slow jobs keeps all workers: the next job starts when one ends.
func TestSlowJobsKeepAllWorkers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	const jobs = 20
	w.backlog(w.org, controlplane.JobStartIssuance, controlplane.QueueCritical, jobs)
	h := w.holdOrders(w.org)
	q := w.queue()
	q.hanging = newHanging(time.Millisecond, q.Concurrency)
	w.run(q)
	for i := range jobs - q.Concurrency {
		w.eventually("a job on every worker", func() bool { return h.count() == q.Concurrency+i })
		w.eventually("the jobs to hang", q.hanging.isFull)
		h.release(i)
	}
	h.releaseAll(jobs - q.Concurrency)
	w.ranOnce(w.org, h, jobs)
}

// Jobs that do not hang are never declined, and one organization can use all workers.
func TestFastJobsAreNotDeclined(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	const jobs = 40
	w.backlog(w.org, controlplane.JobStartIssuance, controlplane.QueueCritical, jobs)
	h := w.holdOrders(w.org)
	q := w.queue()
	q.hanging = newHanging(time.Hour, q.Concurrency)
	w.run(q)
	w.eventually("a job on every worker", func() bool { return h.count() == q.Concurrency })
	h.releaseAll(0)
	w.ranOnce(w.org, h, jobs)
	if n := w.declined(q); n != 0 {
		t.Errorf("%d tasks were declined, want 0", n)
	}
}

// A single worker runs one job after the other.
func TestSingleWorkerDeclinesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	const jobs = 10
	w.backlog(w.org, controlplane.JobStartIssuance, controlplane.QueueCritical, jobs)
	h := w.holdOrders(w.org)
	q := w.queue()
	q.Concurrency = 1
	q.hanging = newHanging(time.Millisecond, 1)
	w.run(q)
	for i := range jobs {
		w.eventually("the next job to run", func() bool { return h.count() == i+1 })
		h.release(i)
	}
	w.ranOnce(w.org, h, jobs)
	if n := w.declined(q); n != 0 {
		t.Errorf("%d tasks were declined, want 0", n)
	}
}

// A task of an older version, without an organization, runs like any other.
func TestTasksWithoutAnOrganizationRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	q := w.queue()
	must(t, q.checkEpoch(t.Context()))
	d := w.add("example.com")
	w.exec(`UPDATE jobs SET dispatched_at = now()`)
	j := w.job(d, controlplane.JobDNSCheck)
	_, err := q.client.Enqueue(asynq.NewTask(string(j.Type),
		fmt.Appendf(nil, `{"job":%q,"generation":%d}`, j.ID, j.Generation)),
		asynq.Queue(string(j.Queue)))
	must(t, err)
	w.run(q)
	w.waitDomain(d, controlplane.DomainActive)
	if n := w.job(d, controlplane.JobDNSCheck).Generation; n != j.Generation {
		t.Errorf("generation = %d, want %d: the job was redispatched", n, j.Generation)
	}
}
