package postgres_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// Two replicas that race for the last order of a budget spend it once, while other organizations
// have separate budgets.
func TestSpendOrderUnderConcurrency(t *testing.T) {
	t.Parallel()
	d := open(t)
	second, err := postgres.Open(t.Context(), postgres.Config{DSN: d.dsn, MaxConns: 8})
	d.must(err)
	t.Cleanup(second.Close)
	other := d.organization(10)
	const most = 10
	var got, others atomic.Int32
	var wg sync.WaitGroup
	for i := range 60 {
		store, org, count := d.Store, d.org, &got
		if i%2 == 1 {
			store = second
		}
		if i%3 == 2 {
			org, count = other, &others
		}
		now := start.Add(time.Duration(i%4) * 5 * time.Minute) // clocks differ
		wg.Go(func() {
			j := &controlplane.Job{ID: fmt.Sprintf("job_%d", i), OrgID: org, CreatedAt: start}
			ok, until, err := store.SpendOrder(t.Context(), j, most, now)
			if err != nil || !until.After(now) {
				t.Errorf("SpendOrder(%s) = %v, %s, %v", j.ID, ok, until, err)
			}
			if ok {
				count.Add(1)
			}
		})
	}
	wg.Wait()
	if got.Load() != most || others.Load() != most {
		t.Errorf("%d and %d orders were spent, want %d each", got.Load(), others.Load(), most)
	}
}

// Each waiting job gets the time of its turn, regardless of how many are ahead of it.
func TestSpendOrderReturnsEachTurn(t *testing.T) {
	t.Parallel()
	d := open(t)
	const most = 3
	spend := func(id string, created, now time.Time) (bool, time.Time) {
		t.Helper()
		ok, until, err := d.SpendOrder(t.Context(),
			&controlplane.Job{ID: id, OrgID: d.org, CreatedAt: created}, most, now)
		d.must(err)
		return ok, until
	}
	var free []time.Time
	for i := range most {
		at := start.Add(time.Duration(i) * time.Hour)
		ok, until := spend(fmt.Sprintf("job_%d", i), at, at)
		if !ok {
			t.Fatalf("order %d was refused", i)
		}
		free = append(free, until)
	}
	now := start.Add(4 * time.Hour)
	const day = controlplane.BudgetPeriod
	want := append(free, free[0].Add(day), free[1].Add(day), free[2].Add(day), free[0].Add(2*day))
	var jobs []*controlplane.Job
	for i, want := range want {
		dom, j := d.add(d.org, fmt.Sprintf("d%d.example.com", i))
		j.CreatedAt = now.Add(time.Duration(i) * time.Second)
		d.exec(`UPDATE jobs SET created_at = $2 WHERE id = $1`, j.ID, j.CreatedAt)
		ok, until := spend(j.ID, j.CreatedAt, now)
		if ok || !until.Equal(want) {
			t.Errorf("job %d of %s: SpendOrder = %v, %s, want false, %s", i, dom.Name, ok, until,
				want)
		}
		d.exec(`UPDATE jobs SET reason = $2, run_at = $3 WHERE id = $1`, j.ID,
			controlplane.ReasonOrderBudget, until)
		jobs = append(jobs, j)
	}
	// At its time the first job gets its order, and no other job does.
	if ok, _ := spend("job_new", now.Add(time.Hour), free[0]); ok {
		t.Error("a newcomer went before those who wait")
	}
	if ok, _ := spend(jobs[1].ID, jobs[1].CreatedAt, free[0]); ok {
		t.Error("the second went before the first")
	}
	if ok, _ := spend(jobs[0].ID, jobs[0].CreatedAt, free[0]); !ok {
		t.Error("the first did not get its order at its time")
	}

	// A returned order can be spent again.
	d.exec(`UPDATE jobs SET reason = ''`)
	if ok, _ := spend("job_a", now, free[0]); ok {
		t.Error("an order was let through over the budget")
	}
	d.must(d.UnspendOrder(t.Context(), d.org, free[2]))
	d.must(d.UnspendOrder(t.Context(), d.org, free[2])) // no order is left to return
	if ok, _ := spend("job_a", now, free[0]); !ok {
		t.Error("what was given back is not there")
	}
	if ok, _ := spend("job_b", now, free[0]); ok {
		t.Error("more was given back than was spent")
	}
}
