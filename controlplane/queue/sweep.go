package queue

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// sweep makes jobs for what is due every minute, and once a day, at 00:00 UTC, looks for
// what the sweeps missed.
func (q *Queue) sweep(ctx context.Context) {
	scan := lifecycle.NextScan(q.Now())
	for {
		began := time.Now()
		var n int
		var err error
		if now := q.Now(); now.Before(scan) {
			n, err = q.Lifecycle.Sweep(ctx)
		} else {
			n, err = q.Lifecycle.DailyScan(ctx)
			scan = lifecycle.NextScan(now)
		}
		for _, also := range []func(context.Context) (int, error){q.Lifecycle.Rehearse, q.Lifecycle.CheckRenewals, q.tidy} {
			if err == nil {
				_, err = also(ctx)
			}
		}
		if err != nil && ctx.Err() == nil {
			q.Logger.WarnContext(ctx, "queue: the sweep failed; the next one takes up what it left", "error", err)
		}
		if n > 0 {
			q.Logger.InfoContext(ctx, "queue: renewals were queued", "jobs", n, "took", time.Since(began))
		}
		if !sleep(ctx, q.SweepEvery) {
			return
		}
	}
}

func (q *Queue) tidy(ctx context.Context) (int, error) { return 0, q.Lifecycle.Tidy(ctx) }
