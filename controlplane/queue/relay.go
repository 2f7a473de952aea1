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
	relayIdle     = 5 * time.Second       // at most this long without a look
	relayBusy     = 50 * time.Millisecond // between looks at what is due while another replica has it in hand
)

// relay hands due jobs to Asynq: at once when Postgres tells of one, when the next that
// waits is due, and where the workers have enough before them, when they have less.
func (q *Queue) relay(ctx context.Context) {
	wake, stop := q.Store.WatchJobs()
	defer stop()
	var next lanes
	for ctx.Err() == nil {
		n, wait, err := q.dispatch(ctx, &next)
		if err != nil && ctx.Err() == nil {
			q.Logger.WarnContext(ctx, "queue: dispatching failed; the jobs stay due", "error", err)
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

// until returns how long nothing becomes due, where the next job is due at the given time; zero
// stands for none.
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
				return nil // an earlier try of this dispatch went out
			}
			return err
		})
	}
	return g.Wait()
}
