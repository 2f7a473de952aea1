package postgres_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

var nothing = func([]controlplane.Job) error { return nil }

// Four replicas that dispatch concurrently dispatch every job, and none twice.
func TestDispatchDueDispatchesEveryJobOnce(t *testing.T) {
	t.Parallel()
	d := open(t)
	const jobs = 150
	for i := range jobs {
		d.add(d.org, fmt.Sprintf("d%d.example.com", i))
	}
	replicas := []*postgres.Store{d.Store, d.replica(), d.replica(), d.replica()}
	var mu sync.Mutex
	seen := map[string]int{}
	atOnce(len(replicas), func(i int) {
		for idle := 0; idle < 3; {
			n, err := replicas[i].DispatchDue(t.Context(), start, room(10),
				func(jobs []controlplane.Job) error {
					mu.Lock()
					defer mu.Unlock()
					for _, j := range jobs {
						seen[j.ID]++
					}
					return nil
				})
			if err != nil {
				t.Error(err)
			}
			if n > 10 {
				t.Errorf("%d jobs in one batch", n)
			}
			if n == 0 {
				idle++
			}
		}
	})
	if len(seen) != jobs {
		t.Errorf("%d of %d jobs were dispatched", len(seen), jobs)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s was dispatched %d times", id, n)
		}
	}
	if n := value[int](d,
		`SELECT count(*) FROM jobs WHERE dispatched_at IS NULL OR generation <> 1`); n != 0 {
		t.Errorf("%d jobs are not marked", n)
	}
}

func TestDispatchDueInOrderOfTime(t *testing.T) {
	t.Parallel()
	d := open(t)
	_, late := d.add(d.org, "late.example.com")
	_, early := d.add(d.org, "early.example.com")
	_, never := d.add(d.org, "future.example.com")
	future := start.Add(time.Microsecond)
	d.exec(`UPDATE jobs SET run_at = $2 WHERE id = $1`, late.ID, start.Add(-time.Minute))
	d.exec(`UPDATE jobs SET run_at = $2 WHERE id = $1`, early.ID, start.Add(-time.Hour))
	d.exec(`UPDATE jobs SET run_at = $2 WHERE id = $1`, never.ID, future)
	var got []string
	take := func(jobs []controlplane.Job) error {
		for _, j := range jobs {
			got = append(got, j.ID)
		}
		return nil
	}
	for i, next := range []time.Time{start, future, future} {
		lanes := room(1)
		if _, err := d.DispatchDue(t.Context(), start, lanes, take); err != nil {
			t.Fatal(err)
		}
		if at := lanes[1].Next; !at.Equal(next) {
			t.Errorf("after batch %d the next is due at %s, want %s", i+1, at, next)
		}
	}
	if len(got) != 2 || got[0] != early.ID || got[1] != late.ID {
		t.Errorf("%v, want %s and %s", got, early.ID, late.ID)
	}
	d.exec(`UPDATE jobs SET status = 'succeeded'`)
	lanes := room(1)
	if _, err := d.DispatchDue(t.Context(), start, lanes, take); err != nil ||
		!lanes[1].Next.IsZero() {
		t.Errorf("next due with nothing to do: %s, %v", lanes[1].Next, err)
	}
}

func TestDispatchDueKeepsJobsDueIfTheQueueFails(t *testing.T) {
	t.Parallel()
	d := open(t)
	for i := range 5 {
		d.add(d.org, fmt.Sprintf("d%d.example.com", i))
	}
	down := errors.New("the queue is unavailable")
	if _, err := d.DispatchDue(t.Context(), start, room(10),
		func([]controlplane.Job) error { return down }); !errors.Is(err, down) {
		t.Errorf("DispatchDue = %v, want %v", err, down)
	}
	if n := value[int](d,
		`SELECT count(*) FROM jobs WHERE dispatched_at IS NULL AND generation = 1`); n != 5 {
		t.Errorf("%d of 5 jobs are still due", n)
	}
	if n, err := d.DispatchDue(t.Context(), start, room(10), nothing); n != 5 || err != nil {
		t.Errorf("afterwards: %d, %v", n, err)
	}
	if n, err := d.DispatchDue(t.Context(), start, room(10),
		func([]controlplane.Job) error { t.Error("called for nothing"); return nil }); n != 0 ||
		err != nil {
		t.Errorf("with nothing due: %d, %v", n, err)
	}
}

func TestRequeueLost(t *testing.T) {
	t.Parallel()
	d := open(t)
	var claims []*postgres.Claim
	for i := range 5 {
		_, j := d.add(d.org, fmt.Sprintf("d%d.example.com", i))
		claims = append(claims, d.claim(j, "w"))
	}
	later := start.Add(time.Minute)
	if n, err := d.RequeueLost(t.Context(), later, 10); n != 0 || err != nil {
		t.Errorf("while the leases last: %d, %v", n, err)
	}
	d.expire()
	d.must(d.ExtendClaim(t.Context(), claims[0]))
	replicas := []*postgres.Store{d.Store, d.replica(), d.replica()}
	var total count
	atOnce(len(replicas), func(i int) {
		for {
			n, err := replicas[i].RequeueLost(t.Context(), later, 2)
			if err != nil {
				t.Error(err)
			}
			if total.Add(int64(n)); n == 0 {
				return
			}
		}
	})
	if total.Load() != 4 {
		t.Errorf("RequeueLost requeued %d jobs, want 4", total.Load())
	}
	if j := d.job(d.org, claims[0].Job.ID); j.Status != controlplane.JobRunning {
		t.Errorf("a job whose lease has not expired is %+v, want it running", j)
	}
	for _, c := range claims[1:] {
		if j := d.job(d.org, c.Job.ID); j.Status != controlplane.JobQueued ||
			j.Reason != "worker-lost" || j.Generation != 2 || j.DispatchedAt != nil ||
			j.Attempts != 0 || !j.RunAt.Equal(later) {
			t.Errorf("after RequeueLost the job is %+v, want queued for worker-lost at generation 2, due at %s", j, later)
		}
		d.claim(d.job(d.org, c.Job.ID), "next")
	}
}

func TestRedispatchOnlyAtTheGivenGeneration(t *testing.T) {
	t.Parallel()
	d := open(t)
	var jobs []controlplane.Job
	for i := range 6 {
		_, j := d.add(d.org, fmt.Sprintf("d%d.example.com", i))
		jobs = append(jobs, *j)
	}
	if n, err := d.DispatchDue(t.Context(), start, room(10), nothing); n != 6 || err != nil {
		t.Fatalf("DispatchDue = %d, %v, want 6", n, err)
	}
	d.claim(&jobs[0], "w")                 // running
	d.finish(&jobs[1])                     // finished
	jobs[2].Generation--                   // an older generation
	jobs[3].Generation++                   // a generation that does not exist
	jobs[4].ID = controlplane.NewID("job") // an unknown job
	replica := d.replica()
	var total count
	atOnce(4, func(i int) {
		n, err := []*postgres.Store{d.Store, replica}[i%2].Redispatch(t.Context(), jobs)
		if err != nil {
			t.Error(err)
		}
		total.Add(int64(n))
	})
	if total.Load() != 1 {
		t.Errorf("%d jobs were redispatched, want 1", total.Load())
	}
	if j := d.job(d.org, jobs[5].ID); j.Generation != 2 || j.DispatchedAt != nil {
		t.Errorf("after Redispatch the job is %+v, want generation 2, not dispatched", j)
	}
	if n := value[int](d, `SELECT count(*) FROM jobs WHERE generation <> 1`); n != 1 {
		t.Errorf("%d jobs have another generation", n)
	}
}

func TestRedispatchAll(t *testing.T) {
	t.Parallel()
	d := open(t)
	for i := range 8 {
		_, j := d.add(d.org, fmt.Sprintf("d%d.example.com", i))
		if i == 0 {
			d.exec(`UPDATE jobs SET run_at = $1`, start.Add(time.Hour)) // not dispatched
		} else if i == 1 {
			d.finish(j)
		} else if i == 2 {
			d.claim(j, "w")
		}
	}
	if n, err := d.DispatchDue(t.Context(), start, room(10), nothing); n != 5 || err != nil {
		t.Fatalf("DispatchDue = %d, %v, want 5", n, err)
	}
	replica := d.replica()
	var total count
	atOnce(2, func(i int) {
		n, err := []*postgres.Store{d.Store, replica}[i].RedispatchAll(t.Context())
		if err != nil {
			t.Error(err)
		}
		total.Add(int64(n))
	})
	if total.Load() != 5 {
		t.Errorf("%d jobs were redispatched, want 5", total.Load())
	}
	if n := value[int](d,
		`SELECT count(*) FROM jobs WHERE generation = 2 AND dispatched_at IS NULL AND status = 'queued'`); n != 5 {
		t.Errorf("%d jobs are due again", n)
	}
}

func TestDispatchedFindsStuckJobs(t *testing.T) {
	t.Parallel()
	d := open(t)
	var stuck []*controlplane.Job
	for i := range 7 {
		_, j := d.add(d.org, fmt.Sprintf("d%d.example.com", i))
		stuck = append(stuck, j)
	}
	if n, err := d.DispatchDue(t.Context(), start, room(10), nothing); n != 7 || err != nil {
		t.Fatalf("DispatchDue = %d, %v, want 7", n, err)
	}
	now := start.Add(time.Hour)
	list := func(beyond time.Time, limit int) []controlplane.Job {
		jobs, err := d.Dispatched(t.Context(), now, time.Minute, beyond, limit)
		d.must(err)
		return jobs
	}
	if got := list(time.Time{}, 10); len(got) != 0 {
		t.Errorf("dispatched just now: %d", len(got))
	}
	d.exec(`UPDATE jobs SET dispatched_at = now() - interval '1 hour' + substring((SELECT name FROM domains d WHERE d.id = domain_id) from 2 for 1)::int * interval '1 minute'`)
	d.claim(stuck[4], "w")
	d.finish(stuck[5])
	d.exec(`UPDATE jobs SET run_at = $2 WHERE id = $1`, stuck[6].ID, now) // waits for its retry
	got := list(time.Time{}, 3)
	if len(got) != 3 || got[0].ID != stuck[0].ID || got[2].ID != stuck[2].ID {
		t.Fatalf("Dispatched = %+v, want the three jobs from %s to %s", got, stuck[0].ID,
			stuck[2].ID)
	}
	if rest := list(*got[2].DispatchedAt, 3); len(rest) != 1 || rest[0].ID != stuck[3].ID {
		t.Errorf("Dispatched after the third job = %+v, want %s", rest, stuck[3].ID)
	}
}

func TestQueueDepth(t *testing.T) {
	t.Parallel()
	d := open(t)
	at := start.Add(time.Minute)
	for i := range 6 {
		_, j := d.add(d.org, fmt.Sprintf("d%d.example.com", i))
		switch i {
		case 0:
			d.claim(j, "w")
		case 1:
			d.exec(`UPDATE jobs SET run_at = $2 WHERE id = $1`, j.ID, start.Add(time.Hour))
		case 2:
			d.exec(`UPDATE jobs SET run_at = $2, reason = 'ca-held' WHERE id = $1`, j.ID,
				start.Add(time.Hour))
		case 3: // dispatched, so it does not wait for the relay
			d.exec(`UPDATE jobs SET run_at = $2, dispatched_at = $2 WHERE id = $1`, j.ID,
				start.Add(-time.Hour))
		case 4:
			d.exec(`UPDATE jobs SET run_at = $2 WHERE id = $1`, j.ID, start.Add(-time.Minute))
		}
	}
	want := postgres.Depth{Due: 3, Running: 1, Lag: 2 * time.Minute,
		Held: map[string]int{"ca-held": 1}}
	if got, err := d.QueueDepth(t.Context(), at); err != nil || !cmp.Equal(want, got) {
		t.Errorf("QueueDepth(%s) = %+v, %v, want %+v", at, got, err, want)
	}
}
