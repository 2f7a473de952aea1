package queue

import (
	"context"
	"errors"
	"time"

	"github.com/hibiken/asynq"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	// epochKey is a Redis key that is missing after Redis lost its data.
	epochKey = "dcvaas:epoch"
	// reconcileBatch is how many rows are checked at a time.
	reconcileBatch = 200
)

// reconcile finds jobs that do not move: it requeues those whose worker was killed, and
// redispatches all jobs if Redis lost its data, and single jobs whose task Asynq lost.
func (q *Queue) reconcile(ctx context.Context) {
	var beyond time.Time
	lastWalk := q.Now()
	for {
		if err := q.requeueLost(ctx); err != nil && ctx.Err() == nil {
			q.Logger.WarnContext(ctx, "queue: requeueing jobs from lost workers failed",
				"error", err)
		}
		if err := q.checkEpoch(ctx); err != nil && ctx.Err() == nil {
			q.Logger.WarnContext(ctx, "queue: Redis unreachable", "error", err)
		}
		if now := q.Now(); now.Sub(lastWalk) >= q.StuckAfter/2 {
			lastWalk = now
			var err error
			if beyond, err = q.walk(ctx, beyond); err != nil && ctx.Err() == nil {
				q.Logger.WarnContext(ctx, "queue: redispatching stuck jobs failed", "error", err)
			}
			q.measure(ctx)
		}
		if !sleep(ctx, q.ReconcileEvery) {
			return
		}
	}
}

func (q *Queue) requeueLost(ctx context.Context) error {
	for {
		n, err := q.Store.RequeueLost(ctx, q.Now(), reconcileBatch)
		if n > 0 {
			q.Logger.WarnContext(ctx, "queue: requeued jobs from lost workers", "jobs", n)
		}
		if err != nil || n < reconcileBatch {
			return err
		}
	}
}

// checkEpoch detects that Redis lost its data. The replica that sets the key again redispatches all
// jobs. If it dies in between, walk finds the rows.
func (q *Queue) checkEpoch(ctx context.Context) error {
	fresh, err := q.redis.SetNX(ctx, epochKey, q.Now().UTC().Format(time.RFC3339), 0).Result()
	if err != nil || !fresh {
		return err
	}
	n, err := q.Store.RedispatchAll(ctx)
	if err != nil {
		_ = q.redis.Del(context.WithoutCancel(ctx), epochKey).Err() // retried in the next run
	}
	if n > 0 {
		q.Logger.WarnContext(ctx, "queue: redispatched all jobs because Redis lost its data",
			"jobs", n)
	}
	return err
}

// walk checks rows that were dispatched and did not move, one batch per call in the order of their
// dispatch, and redispatches those whose task Asynq no longer has. It returns the dispatch time
// from which the next call continues.
func (q *Queue) walk(ctx context.Context, beyond time.Time) (time.Time, error) {
	jobs, err := q.Store.Dispatched(ctx, q.Now(), q.StuckAfter, beyond, reconcileBatch)
	if err != nil || len(jobs) == 0 {
		return time.Time{}, err // start over
	}
	var lost []controlplane.Job
	for i := range jobs {
		has, err := q.hasTask(&jobs[i])
		if err != nil {
			return beyond, err
		}
		if !has {
			lost = append(lost, jobs[i])
		}
	}
	if len(lost) > 0 {
		n, err := q.Store.Redispatch(ctx, lost)
		if err != nil {
			return beyond, err
		}
		q.Logger.WarnContext(ctx, "queue: redispatched jobs whose tasks were lost", "jobs", n)
	}
	last := *jobs[len(jobs)-1].DispatchedAt
	if len(jobs) == reconcileBatch && jobs[0].DispatchedAt.Before(last) {
		// The batch may have cut through rows that were dispatched together and share one time:
		// check those again.
		last = last.Add(-time.Microsecond)
	}
	return last, nil
}

// hasTask reports whether Asynq will still run the task of the job's last dispatch.
func (q *Queue) hasTask(j *controlplane.Job) (bool, error) {
	info, err := q.inspector.GetTaskInfo(string(j.Queue), taskID(j))
	if errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return info.State != asynq.TaskStateArchived && info.State != asynq.TaskStateCompleted, nil
}
