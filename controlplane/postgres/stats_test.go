package postgres_test

import (
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// TestStatsCountLocksAndWaits tests the counts of waits for connections and locks.
func TestStatsCountLocksAndWaits(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	before := d.Stats()
	dom, _ := d.add(d.org, "locked.example.com")
	held := make(chan struct{})
	release := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- d.InTx(ctx, func(tx *postgres.Tx) error {
			_, err := tx.LockDomain(ctx, d.org, dom.ID)
			close(held)
			<-release
			return err
		})
	}()
	<-held
	waiting := make(chan error, 1)
	go func() {
		waiting <- d.InTx(ctx, func(tx *postgres.Tx) error {
			_, err := tx.LockDomain(ctx, d.org, dom.ID)
			return err
		})
	}()
	for d.Stats().LockTimeouts == before.LockTimeouts {
		if ctx.Err() != nil {
			t.Fatal("no statement reached its limit for a lock")
		}
		time.Sleep(time.Millisecond)
	}
	close(release)
	d.must(<-done)
	d.must(<-waiting)

	var open int
	for _, p := range d.Stats().Pools {
		open += p.InUse + p.Idle
		if p.Max == 0 || p.InUse+p.Idle > p.Max {
			t.Errorf("pool = %+v, want at most as many connections as its limit", p)
		}
		if p.Name == postgres.PoolStatements && p.Waits == 0 {
			t.Errorf("pool = %+v, want waits for its first connections", p)
		}
	}
	if open == 0 {
		t.Errorf("connections = %d, want some", open)
	}
}
