package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// blocked returns when n statements in the database wait for a lock.
func (d *db) blocked(n int) {
	d.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(
		5 * time.Millisecond) {
		if value[int](d,
			`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0`) == n {
			return
		}
	}
	d.t.Fatalf("there are not %d statements that wait for a lock", n)
}

// A worker whose lease has expired, and that writes while another worker takes over its job, does
// not overwrite what the other worker wrote.
func TestStaleWorkerWritesNothing(t *testing.T) {
	t.Parallel()
	for what, write := range map[string]func(*db, *postgres.Claim, *controlplane.Order) error{
		"SaveOrder": func(d *db, c *postgres.Claim, o *controlplane.Order) error {
			return d.SaveOrder(context.Background(), c, o, start)
		},
		"PublishChallenges": func(d *db, c *postgres.Claim, o *controlplane.Order) error {
			return d.PublishChallenges(context.Background(), c, o, start.Add(time.Hour), start)
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			dom, j := d.add(d.org, "example.com")
			stale := d.claim(j, "stale")
			o := d.order(stale)
			o.Step, o.OrderURL, o.Values = controlplane.StepOrdered,
				"https://ca.example/stale", txtAt(o, "stale")

			// The other worker has claimed the job and saved the order, and is about to commit.
			tx, err := d.conn().Begin(t.Context())
			d.must(err)
			for _, sql := range []string{
				`UPDATE domains SET claimed_until = now() + interval '1 minute' WHERE id = $1`,
				`UPDATE jobs SET claimed_by = 'other', claimed_until = now() + interval '1 minute' WHERE domain_id = $1`,
				`UPDATE acme_orders SET step = 'ordered', order_url = 'https://ca.example/other' WHERE domain_id = $1`,
			} {
				_, err := tx.Exec(t.Context(), sql, dom.ID)
				d.must(err)
			}
			done := make(chan error, 1)
			go func() { done <- write(d, stale, o) }()
			pending(t, "the stale worker", done)
			d.must(tx.Commit(t.Context()))
			if err := soon(t, "the stale worker", done); !errors.Is(err, postgres.ErrClaimLost) {
				t.Errorf("the stale worker got %v", err)
			}
			if url := value[string](d,
				`SELECT order_url FROM acme_orders`); url != "https://ca.example/other" {
				t.Errorf("the order is %s", url)
			}
			if n := value[int](d, `SELECT count(*) FROM challenges`); n != 0 {
				t.Errorf("%d challenges were published", n)
			}
		})
	}
}

// pending makes sure that nothing is sent for a moment.
func pending(t *testing.T, what string, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		t.Fatalf("%s returned %v, want it to wait for the lock", what, err)
	case <-time.After(150 * time.Millisecond):
	}
}

// No other worker claims a job during a write of its worker, and the next claim reads what was
// written.
func TestNoClaimDuringWriteInProgress(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, j := d.add(d.org, "example.com")
	first := d.claim(j, "first")
	o := d.order(first)
	o.Step, o.OrderURL = controlplane.StepOrdered, "https://ca.example/first"
	d.expire() // the first worker does not know it yet

	// holds the order's row, and so the first worker's statement
	tx, err := d.conn().Begin(t.Context())
	d.must(err)
	_, err = tx.Exec(t.Context(), `SELECT 1 FROM acme_orders WHERE id = $1 FOR UPDATE`, o.ID)
	d.must(err)
	saved := make(chan error, 1)
	go func() { saved <- d.SaveOrder(context.Background(), first, o, start) }()
	d.blocked(1)
	claim := func() error {
		_, err := d.ClaimJob(t.Context(), j.ID, j.Generation, "second", time.Minute, start)
		return err
	}
	if err := claim(); !errors.Is(err, postgres.ErrStale) {
		t.Errorf("ClaimJob during the write = %v, want ErrStale", err)
	}
	d.must(tx.Commit(t.Context()))
	d.must(soon(t, "the write", saved))
	d.must(claim())
	if got, err := d.OpenOrder(t.Context(), d.org, dom.ID); err != nil ||
		got.OrderURL != o.OrderURL {
		t.Errorf("OpenOrder = %+v, %v, want the URL %s", got, err, o.OrderURL)
	}
}
