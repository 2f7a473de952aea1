package queue

import (
	"context"
	"errors"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// sweep adds jobs for due work every SweepEvery, and, once a day at 00:00 UTC, for work that the
// sweeps missed.
func (q *Queue) sweep(ctx context.Context) {
	ctx = postgres.WithLimit(ctx, postgres.LongLimit)
	scan := lifecycle.NextScan(q.Now())
	q.metrics.swept.Set(float64(q.Now().Unix()))
	for {
		start := q.Now()
		var n int
		var err error
		if now := q.Now(); now.Before(scan) {
			n, err = q.Lifecycle.Sweep(ctx)
		} else {
			n, err = q.Lifecycle.DailyScan(ctx)
			scan = lifecycle.NextScan(now)
		}
		for _, task := range []func(context.Context) (int, error){q.Lifecycle.Expire,
			q.recordSwept, q.reissue, q.Lifecycle.Warn, q.countExpiring, q.countUnserved,
			q.Lifecycle.Rehearse, q.Lifecycle.Recount, q.Lifecycle.RemoveRecords,
			q.tidy} {
			_, terr := task(ctx)
			err = errors.Join(err, terr)
		}
		if err != nil && ctx.Err() == nil {
			q.Logger.WarnContext(ctx, "queue: sweep failed; the next one continues", "error", err)
		}
		if n > 0 {
			q.Logger.InfoContext(ctx, "queue: queued renewals", "jobs", n,
				"took", q.Now().Sub(start))
		}
		if !sleep(ctx, q.SweepEvery) {
			return
		}
	}
}

// checkRenewals fetches renewal information (ARI) from the CAs. It is separate from the sweep,
// which a slow CA must not delay.
func (q *Queue) checkRenewals(ctx context.Context) {
	for {
		if _, err := q.Lifecycle.CheckRenewals(ctx); err != nil && ctx.Err() == nil {
			q.Logger.WarnContext(ctx,
				"queue: fetching renewal information failed; retried in the next run", "error", err)
		}
		if !sleep(ctx, q.SweepEvery) {
			return
		}
	}
}

// collectOrders polls the orders that were set aside. It is separate from the sweep, which a slow
// CA must not delay.
func (q *Queue) collectOrders(ctx context.Context) {
	for {
		if _, err := q.Lifecycle.CollectOrders(ctx); err != nil && ctx.Err() == nil {
			q.Logger.WarnContext(ctx,
				"queue: polling orders that were set aside failed; retried in the next run",
				"error", err)
		}
		if !sleep(ctx, q.SweepEvery) {
			return
		}
	}
}

// testConnections tests the DNS connections that are due. It is separate from the sweep, which a
// slow DNS host must not delay.
func (q *Queue) testConnections(ctx context.Context) {
	for {
		if _, err := q.Lifecycle.TestConnections(ctx); err != nil && ctx.Err() == nil {
			q.Logger.WarnContext(ctx,
				"queue: testing DNS connections failed; retried in the next run", "error", err)
		}
		if !sleep(ctx, q.SweepEvery) {
			return
		}
	}
}

// retain removes expired audit log entries once a day. It is separate from the sweep, which a long
// removal must not delay.
func (q *Queue) retain(ctx context.Context) {
	var next time.Time
	for {
		if now := q.Now(); !now.Before(next) {
			n, err := q.Lifecycle.Retain(ctx)
			switch {
			case err == nil:
				next = lifecycle.NextScan(now)
			case ctx.Err() == nil:
				q.Logger.WarnContext(ctx,
					"queue: removing expired audit log entries failed; retried in the next run",
					"error", err)
			}
			if n > 0 {
				q.Logger.InfoContext(ctx, "queue: removed expired audit log entries", "entries", n)
			}
		}
		if !sleep(ctx, q.SweepEvery) {
			return
		}
	}
}

// reissue adds the jobs of outdated certificates that have none.
func (q *Queue) reissue(ctx context.Context) (int, error) {
	n, err := q.Lifecycle.Reissue(ctx)
	if n > 0 {
		q.Logger.InfoContext(ctx, "queue: queued orders for outdated certificates", "jobs", n)
	}
	return n, err
}

// removeDeleted removes the rows of deleted organizations. It is separate from the sweep, which a
// long removal must not delay.
func (q *Queue) removeDeleted(ctx context.Context) {
	for {
		n, err := q.Lifecycle.RemoveDeleted(ctx)
		if err != nil && ctx.Err() == nil {
			q.Logger.WarnContext(ctx,
				"queue: removing deleted organizations failed; the next run continues", "error", err)
		}
		if n > 0 {
			q.Logger.InfoContext(ctx, "queue: removed deleted organizations", "organizations", n)
		}
		if !sleep(ctx, q.SweepEvery) {
			return
		}
	}
}

func (q *Queue) tidy(ctx context.Context) (int, error) { return 0, q.Lifecycle.Tidy(ctx) }
