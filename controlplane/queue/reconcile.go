package queue

import (
	"context"
	"errors"
	"time"

	"github.com/hibiken/asynq"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	// epochKey stands in Redis as long as Redis has not lost its content.
	epochKey = "dcvaas:epoch"
	// reconcileBatch is how many rows are looked at in one turn.
	reconcileBatch = 200
)

// reconcile finds jobs that do not move and has them dispatched again: those whose worker
// was killed, all when Redis lost everything, and those that Asynq lost one by one.
func (q *Queue) reconcile(ctx context.Context) {
	var beyond time.Time
	lastWalk := time.Now()
	for {
		if err := q.requeueLost(ctx); err != nil && ctx.Err() == nil {
			q.Logger.WarnContext(ctx, "queue: looking for lost workers failed", "error", err)
		}
		if err := q.checkEpoch(ctx); err != nil && ctx.Err() == nil {
			q.Logger.WarnContext(ctx, "queue: Redis cannot be reached", "error", err)
		}
		if time.Since(lastWalk) >= q.StuckAfter/2 {
			lastWalk = time.Now()
			var err error
			if beyond, err = q.walk(ctx, beyond); err != nil && ctx.Err() == nil {
				q.Logger.WarnContext(ctx, "queue: looking for stuck jobs failed", "error", err)
			}
			q.measure(ctx)
		}
		if !sleep(ctx, q.ReconcileEvery) {
			return
		}
	}
}

// measure sets the gauges of the queue's depth.
func (q *Queue) measure(ctx context.Context) {
	due, running, err := q.Store.QueueDepth(ctx, q.Now())
	if err != nil {
		return // the warning above says why
	}
	q.metrics.due.Set(float64(due))
	q.metrics.running.Set(float64(running))
}

func (q *Queue) requeueLost(ctx context.Context) error {
	for {
		n, err := q.Store.RequeueLost(ctx, q.Now(), reconcileBatch)
		if n > 0 {
			q.Logger.WarnContext(ctx, "queue: jobs whose worker was lost go on elsewhere", "jobs", n)
		}
		if err != nil || n < reconcileBatch {
			return err
		}
	}
}

// checkEpoch finds out whether Redis was emptied. Of all replicas the one that sets the key
// again has everything dispatched anew; should it die in between, walk finds the rows.
func (q *Queue) checkEpoch(ctx context.Context) error {
	fresh, err := q.redis.SetNX(ctx, epochKey, q.Now().UTC().Format(time.RFC3339), 0).Result()
	if err != nil || !fresh {
		return err
	}
	n, err := q.Store.RedispatchAll(ctx)
	if err != nil {
		_ = q.redis.Del(context.WithoutCancel(ctx), epochKey).Err() // for the next turn
	}
	if n > 0 {
		q.Logger.WarnContext(ctx, "queue: Redis had lost its content; jobs are dispatched again", "jobs", n)
	}
	return err
}

// walk looks at rows that were dispatched and did not move, a batch a turn in the order of
// their dispatch, and asks Asynq for each whether it has it.
func (q *Queue) walk(ctx context.Context, beyond time.Time) (time.Time, error) {
	jobs, err := q.Store.Dispatched(ctx, q.Now(), q.StuckAfter, beyond, reconcileBatch)
	if err != nil || len(jobs) == 0 {
		return time.Time{}, err // from the beginning again
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
		q.Logger.WarnContext(ctx, "queue: jobs that the queue had lost are dispatched again", "jobs", n)
	}
	last := *jobs[len(jobs)-1].DispatchedAt
	if len(jobs) == reconcileBatch && jobs[0].DispatchedAt.Before(last) {
		// The batch may have cut through rows that were dispatched together, which have one
		// time: those are looked at again.
		last = last.Add(-time.Microsecond)
	}
	return last, nil
}

// hasTask reports whether Asynq will still run the job's last dispatch.
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
