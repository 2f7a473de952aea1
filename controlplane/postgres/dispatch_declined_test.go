package postgres_test

import (
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// A declined job is due again at the same time, as a new generation. It is declined only at its
// last dispatch, and only while it is not running.
func TestRedispatchDeclined(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.backlog(d.org, critical, 2, start.Add(-time.Hour))
	jobs := d.batch(d.Store, room(10))
	stale, running := jobs[0], jobs[1]
	if _, err := d.ClaimJob(t.Context(), running.ID, running.Generation, "run", time.Minute,
		start); err != nil {
		t.Fatal(err)
	}
	for _, p := range []struct {
		job        controlplane.Job
		generation int
	}{{stale, stale.Generation - 1}, {stale, stale.Generation + 1}, {running, running.Generation}} {
		if err := d.RedispatchDeclined(t.Context(), p.job.ID, p.generation); err != nil {
			t.Fatal(err)
		}
		if now, err := d.Job(t.Context(), d.org, p.job.ID); err != nil ||
			now.Generation != p.job.Generation || now.DispatchedAt == nil {
			t.Errorf("generation %d: %+v, %v", p.generation, now, err)
		}
	}
	if err := d.RedispatchDeclined(t.Context(), stale.ID, stale.Generation); err != nil {
		t.Fatal(err)
	}
	again := d.batch(d.Store, room(10))
	if len(again) != 1 || again[0].ID != stale.ID || again[0].Generation != stale.Generation+1 ||
		again[0].Attempts != 0 || !again[0].RunAt.Equal(stale.RunAt) {
		t.Errorf("dispatched again: %+v, want %s at generation %d, due at %s", again, stale.ID,
			stale.Generation+1, stale.RunAt)
	}
}

// A worker may decline a task before its dispatch is committed.
func TestRedispatchDeclinedWaitsForTheDispatch(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.backlog(d.org, critical, 1, start.Add(-time.Hour))
	var id string
	returned := make(chan error, 1)
	_, err := d.DispatchDue(t.Context(), start, room(1), func(jobs []controlplane.Job) error {
		id = jobs[0].ID
		go func() { returned <- d.RedispatchDeclined(t.Context(), id, jobs[0].Generation) }()
		for value[int](d,
			`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 0 {
			if len(returned) > 0 {
				t.Error("it did not wait")
				break
			}
			time.Sleep(time.Millisecond)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-returned; err != nil {
		t.Fatal(err)
	}
	if j, err := d.Job(t.Context(), d.org, id); err != nil || j.Generation != 2 ||
		j.DispatchedAt != nil {
		t.Errorf("Job = %+v, %v, want generation 2, not dispatched", j, err)
	}
}

// A throttled organization gets at most Few jobs, whether or not there is room for all.
func TestThrottledOrganizationsGetFew(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ room, few, held, other int }{
		{100, 0, 0, 20}, {100, 3, 3, 20}, {100, 50, 20, 20}, // room for all
		{10, 0, 0, 5}, {10, 2, 2, 5}, {10, 50, 5, 5}, // turns
	} {
		d := open(t)
		held, other := d.org, d.organization(1000)
		d.backlog(held, critical, 20, start.Add(-2*time.Hour))
		d.backlog(other, critical, 20, start.Add(-time.Hour))
		lane := postgres.Lane{Queue: critical, Room: tt.room, Throttled: []string{held},
			Few: tt.few}
		n := perOrganization(d.batch(d.Store, []postgres.Lane{lane}))
		if n[held] != tt.held || n[other] != tt.other {
			t.Errorf("%+v: %d jobs of the throttled organization, %d of the other", tt, n[held],
				n[other])
		}
	}
}
