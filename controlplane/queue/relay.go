package queue

import (
	"context"
	"errors"
	"time"

	"github.com/hibiken/asynq"
	"golang.org/x/sync/errgroup"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	relayBatch    = 100
	relayParallel = 8
	relayIdle     = 5 * time.Second       // longest pause between two dispatches
	relayBusy     = 50 * time.Millisecond // pause while another replica dispatches the due jobs
)

// relay dispatches due jobs to Asynq: when Postgres notifies it, when the next job is due, and,
// after the workers had enough tasks, when they need more.
func (q *Queue) relay(ctx context.Context) {
	wake, stop := q.Store.WatchJobs()
	defer stop()
	var next lanes
	for ctx.Err() == nil {
		n, wait, err := q.dispatch(ctx, &next)
		if err != nil && ctx.Err() == nil {
			q.Logger.WarnContext(ctx, "queue: dispatch failed; jobs stay due", "error", err)
			sleep(ctx, 500*time.Millisecond)
			continue
		}
		if n > 0 && wait == relayBusy {
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-q.hanging.freed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// until returns the pause before the next dispatch: until next, the time at which a job is due. The
// zero time stands for no job.
func (q *Queue) until(next time.Time) time.Duration {
	if next.IsZero() {
		return relayIdle
	}
	wait := next.Sub(q.Now())
	if wait <= 0 {
		wait = relayBusy
	}
	return min(wait, relayIdle)
}

func (q *Queue) enqueue(ctx context.Context, jobs []controlplane.Job) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(relayParallel)
	for i := range jobs {
		g.Go(func() error {
			task, err := newTask(&jobs[i])
			if err != nil {
				return err
			}
			_, err = q.client.EnqueueContext(ctx, task)
			if errors.Is(err, asynq.ErrTaskIDConflict) {
				return nil // enqueued by an earlier attempt of this dispatch
			}
			return err
		})
	}
	return g.Wait()
}
