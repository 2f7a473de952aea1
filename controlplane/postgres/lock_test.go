package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// lockDomains locks every domain of an organization, with its jobs, until the returned function is
// called.
func (d *db) lockDomains(org string) (unlock func()) {
	d.t.Helper()
	tx, err := d.conn().Begin(d.t.Context())
	d.must(err)
	for _, table := range []string{"domains", "jobs"} {
		_, err = tx.Exec(d.t.Context(), `SELECT 1 FROM `+table+` WHERE org_id = $1 FOR UPDATE`, org)
		d.must(err)
	}
	return func() { d.must(tx.Rollback(context.Background())) }
}

// manyJobs is more than the store has connections.
const manyJobs = 40

// While the rows of one organization are locked, workers are done with its jobs at once, and
// another organization's job is claimed.
func TestLockedRowsOccupyNoConnections(t *testing.T) {
	t.Parallel()
	d := open(t)
	jobs := make([]*controlplane.Job, manyJobs)
	for i := range jobs {
		_, jobs[i] = d.add(d.org, fmt.Sprintf("d%d.example.com", i))
	}
	if _, err := d.DispatchDue(t.Context(), start, room(manyJobs), nothing); err != nil {
		t.Fatal(err)
	}
	other := d.organization(10)
	_, first := d.add(other, "first.example.com")
	unlock := d.lockDomains(d.org)
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // less than a lock may last
	defer cancel()
	atOnce(manyJobs+1, func(i int) {
		if i == manyJobs {
			if _, err := d.ClaimJob(ctx, first.ID, 1, "w", time.Minute, start); err != nil {
				t.Errorf("ClaimJob of another organization = %v, want nil", err)
			}
			return
		}
		c, err := d.ClaimJob(ctx, jobs[i].ID, 1, "w", time.Minute, start)
		if !errors.Is(err, postgres.ErrBusy) {
			t.Errorf("ClaimJob of a locked job = %v, want ErrBusy", err)
			return
		}
		if err := d.DeferBusyJob(ctx, c.Job, start, start.Add(time.Second)); err != nil {
			t.Errorf("DeferBusyJob of a locked job = %v, want nil", err)
		}
	})
}

// Workers that run jobs of an organization whose rows are then locked leave connections for others,
// and finish after the lock.
func TestRunsBehindALockLeaveConnections(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for what, write := range map[string]func(*db, *postgres.Claim, *controlplane.Order) error{
		"SaveOrder": func(d *db, c *postgres.Claim, o *controlplane.Order) error {
			return d.SaveOrder(ctx, c, o, start)
		},
		"LockDomain": func(d *db, c *postgres.Claim, _ *controlplane.Order) error {
			return d.InTx(ctx, func(tx *postgres.Tx) error {
				_, err := tx.LockDomain(ctx, c.Job.OrgID, c.Job.DomainID)
				return err
			})
		},
		"HoldClaim": func(d *db, c *postgres.Claim, _ *controlplane.Order) error {
			return d.InTx(ctx, func(tx *postgres.Tx) error { return tx.HoldClaim(ctx, c) })
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			claims := make([]*postgres.Claim, manyJobs)
			orders := make([]*controlplane.Order, manyJobs)
			for i := range claims {
				_, j := d.add(d.org, fmt.Sprintf("d%d.example.com", i))
				claims[i] = d.claim(j, "w")
				orders[i] = d.order(claims[i])
			}
			unlock := d.lockDomains(d.org)
			done := make(chan error, manyJobs)
			for i, c := range claims {
				go func() { done <- write(d, c, orders[i]) }()
			}
			for range 50 { // each would find no connection
				d.must(d.ExtendClaim(ctx, claims[0]))
				_, err := d.Organization(ctx, d.org)
				d.must(err)
			}
			pending(t, what, done)
			unlock()
			for range claims {
				d.must(soon(t, what, done))
			}
		})
	}
}

// A wait for a lock that is not limited otherwise ends, and the caller is told to retry.
func TestWaitsForLocksEnd(t *testing.T) {
	t.Parallel()
	d := open(t)
	if limit := value[string](d, `SHOW lock_timeout`); limit != "0" {
		t.Errorf("lock_timeout of a separate connection = %s, want 0", limit)
	}
	err := d.InTx(t.Context(), func(tx *postgres.Tx) error {
		if _, err := tx.LockOrganization(t.Context(), d.org); err != nil {
			return err
		}
		return d.InTx(t.Context(), func(other *postgres.Tx) error {
			_, err := other.LockOrganization(t.Context(), d.org)
			return err
		})
	})
	if !controlplane.HasCode(err, "database-unavailable") {
		t.Errorf("a second LockOrganization = %v, want database-unavailable", err)
	}
}
