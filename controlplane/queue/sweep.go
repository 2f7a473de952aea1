package queue

import (
	"context"
	"errors"
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
		for _, also := range []func(context.Context) (int, error){q.Lifecycle.Expire, q.Lifecycle.Warn, q.countExpiring, q.Lifecycle.Rehearse, q.tidy} {
			_, aerr := also(ctx)
			err = errors.Join(err, aerr)
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

// askCAs asks the CAs when certificates are best renewed. It does so beside the sweep, which
// a CA that answers slowly must not hold up.
func (q *Queue) askCAs(ctx context.Context) {
	for {
		if _, err := q.Lifecycle.CheckRenewals(ctx); err != nil && ctx.Err() == nil {
			q.Logger.WarnContext(ctx, "queue: asking CAs about renewals failed; it is done again", "error", err)
		}
		if !sleep(ctx, q.SweepEvery) {
			return
		}
	}
}

// retain removes once a day what the log holds for longer than it is kept. It does so beside
// the sweep, which a long removal must not hold up.
func (q *Queue) retain(ctx context.Context) {
	var next time.Time
	for {
		if now := q.Now(); !now.Before(next) {
			n, err := q.Lifecycle.Retain(ctx)
			switch {
			case err == nil:
				next = lifecycle.NextScan(now)
			case ctx.Err() == nil:
				q.Logger.WarnContext(ctx, "queue: removing old entries of the log failed; it is done again", "error", err)
			}
			if n > 0 {
				q.Logger.InfoContext(ctx, "queue: old entries of the log were removed", "entries", n)
			}
		}
		if !sleep(ctx, q.SweepEvery) {
			return
		}
	}
}

func (q *Queue) tidy(ctx context.Context) (int, error) { return 0, q.Lifecycle.Tidy(ctx) }
