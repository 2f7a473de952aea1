package queue

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// Of several replicas that find Redis without its data, one redispatches all jobs.
func TestLostRedisIsDetectedOnce(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		replicas := []*Queue{w.queue(), w.queue()}
		must(t, replicas[0].checkEpoch(t.Context()))
		d := w.add("example.com")
		if j := w.dispatched(replicas[0], d, controlplane.JobDNSCheck); j.Generation != 1 {
			t.Errorf("job = %+v, want generation 1", j)
		}
		check := func() {
			t.Helper()
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					if err := replicas[i%2].checkEpoch(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		check()
		if j := w.job(d, controlplane.JobDNSCheck); j.Generation != 1 || j.DispatchedAt == nil {
			t.Errorf("job = %+v, want generation 1: Redis lost nothing", j)
		}
		must(t, w.redis.Flush(t.Context()))
		check()
		if j := w.job(d, controlplane.JobDNSCheck); j.Generation != 2 || j.DispatchedAt != nil {
			t.Errorf("job = %+v, want generation 2, not dispatched", j)
		}
	})
}

// If redispatching fails, the next check does it.
func TestLostRedisIsDetectedAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	q := w.queue()
	must(t, q.checkEpoch(t.Context()))
	d := w.add("example.com")
	w.dispatched(q, d, controlplane.JobDNSCheck)
	must(t, w.redis.Flush(t.Context()))
	w.exec(`ALTER TABLE jobs RENAME TO jobs_away`)
	if err := q.checkEpoch(t.Context()); err == nil {
		t.Error("checkEpoch without a jobs table succeeded, want an error")
	}
	w.exec(`ALTER TABLE jobs_away RENAME TO jobs`)
	must(t, q.checkEpoch(t.Context()))
	if j := w.job(d, controlplane.JobDNSCheck); j.Generation != 2 || j.DispatchedAt != nil {
		t.Errorf("job = %+v, want generation 2, not dispatched", j)
	}
}

// walkAll walks once through all rows.
func (w *world) walkAll(q *Queue) {
	w.t.Helper()
	var beyond time.Time
	for range 50 {
		var err error
		beyond, err = q.walk(w.t.Context(), beyond)
		must(w.t, err)
		if beyond.IsZero() {
			return
		}
	}
	w.t.Fatal("the walk did not end after 50 batches")
}

// A job whose task is missing in Asynq, or archived, is redispatched.
func TestWalkRedispatchesLostTasks(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		q := w.queue()
		deleted, archived, kept, fresh := w.add("deleted.example.com"),
			w.add("archived.example.com"), w.add("kept.example.com"), w.add("fresh.example.com")
		kind := controlplane.JobDNSCheck
		w.dispatched(q, deleted, kind)
		w.exec(`UPDATE jobs SET dispatched_at = now() - interval '1 hour', run_at = now() - interval '1 hour' WHERE domain_id <> $1`, fresh.ID)
		for d, remove := range map[*controlplane.Domain]func(string,
			string) error{deleted: q.inspector.DeleteTask, fresh: q.inspector.DeleteTask,
			archived: q.inspector.ArchiveTask} {
			j := w.job(d, kind)
			must(t, remove(string(j.Queue), taskID(j)))
		}
		w.walkAll(q)
		for d, generation := range map[*controlplane.Domain]int{deleted: 2, archived: 2, kept: 1,
			fresh: 1} {
			if j := w.job(d, kind); j.Generation != generation ||
				(j.DispatchedAt == nil) != (generation == 2) {
				t.Errorf("job of %s = %+v, want generation %d", d.Name, j, generation)
			}
		}
		w.run(q)
		w.waitDomain(deleted, controlplane.DomainActive)
		w.waitDomain(archived, controlplane.DomainActive)
	})
}

// Rows that were dispatched together share one time. The walk skips none of them if a batch ends
// among them.
func TestWalkSkipsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	q := w.queue()
	w.exec(`INSERT INTO domains (id, org_id, name, cname_target, status) SELECT 'dom_' || lpad(i::text, 26, '0'), $1, 'd' || i || '.example.com', md5(i::text), 'pending_cname' FROM generate_series(1, 260) i`, w.org)
	w.exec(`INSERT INTO jobs (id, org_id, domain_id, type, slot, queue, run_at) SELECT 'job_' || substr(id, 5), org_id, id, 'dns_check', 'check', 'bulk', now() - interval '1 hour' FROM domains`)
	for range 3 {
		_, err := w.Store.DispatchDue(t.Context(), time.Now(),
			[]postgres.Lane{{Queue: controlplane.QueueBulk, Room: relayBatch}},
			func(jobs []controlplane.Job) error { return q.enqueue(t.Context(), jobs) })
		must(t, err)
	}
	w.exec(`UPDATE jobs SET dispatched_at = now() - interval '1 hour' + (substr(id, 5)::int / 70) * interval '1 minute'`)
	for i := 140; i < 210; i++ { // one group, around the end of the first batch
		must(t, q.inspector.DeleteTask("bulk", fmt.Sprintf("job_%026d:1", i)))
	}
	w.walkAll(q)
	jobs, err := w.Store.Dispatched(t.Context(), time.Now(), time.Second, time.Time{}, 1000)
	must(t, err)
	if len(jobs) != 260-70 {
		t.Errorf("walk redispatched %d jobs, want 70", 260-len(jobs))
	}
}

// Another worker resumes the job of a killed one, without waiting for Asynq to detect it.
func TestReconcileRequeuesTheJobOfALostWorker(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	q := w.queue()
	d := w.add("example.com")
	j := w.dispatched(q, d, controlplane.JobDNSCheck)
	if _, err := w.Store.ClaimJob(t.Context(), j.ID, j.Generation, "killed", time.Millisecond,
		time.Now()); err != nil {
		t.Fatal(err)
	}
	must(t, w.redis.Flush(t.Context()))
	w.run(q)
	w.waitDomain(d, controlplane.DomainActive)
}
