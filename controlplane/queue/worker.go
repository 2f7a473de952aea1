package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// unavailablePause is the delay before a task is retried because the database was unavailable.
const unavailablePause = 2 * time.Second

// newServer returns an Asynq server that takes tasks from the queues by their weights. The contexts
// of its jobs end with base. A shutdown waits for running jobs for at most the given patience.
func (q *Queue) newServer(
	base context.Context, concurrency int, weights map[string]int, patience time.Duration,
) *asynq.Server {
	return asynq.NewServerFromRedisClient(q.redis, asynq.Config{
		Concurrency:              concurrency,
		Queues:                   weights,
		BaseContext:              func() context.Context { return base },
		TaskCheckInterval:        50 * time.Millisecond,
		DelayedTaskCheckInterval: time.Second,
		ShutdownTimeout:          patience,
		HealthCheckInterval:      15 * time.Second,
		RetryDelayFunc:           q.retryDelay,
		IsFailure:                isFailure,
		Logger:                   logger{q.Logger},
		LogLevel:                 asynq.WarnLevel,
	})
}

// handler returns a handler that runs jobs. reserve is true for the workers of the reserve.
func (q *Queue) handler(reserve bool) asynq.Handler {
	return asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		q.handlers.start()
		defer q.handlers.done()
		p, err := readTask(t)
		if err != nil {
			return err
		}
		queue, _ := asynq.GetQueueName(ctx)
		if queue == string(controlplane.QueueBulk) {
			if err := q.pace.start(ctx); err != nil {
				return err
			}
			defer q.pace.leave()
		}
		run, ok := q.hanging.start(p.Org, reserve)
		if !ok {
			return q.redispatchDeclined(ctx, p)
		}
		defer run.end()
		start := q.Now()
		err = q.Lifecycle.RunJob(ctx, p.Job, p.Generation)
		q.metrics.ran(t.Type(), err, q.Now().Sub(start))
		if dead, ok := errors.AsType[*lifecycle.DeadLettered](err); ok {
			// The failure count of the row decides, not Asynq's.
			return fmt.Errorf("%w: %w", dead, asynq.SkipRetry)
		}
		return q.redispatchFailed(ctx, queue, p, err)
	})
}

// retryDelay returns the delay that lifecycle recorded in the row.
func (q *Queue) retryDelay(_ int, err error, _ *asynq.Task) time.Duration {
	if later, ok := errors.AsType[*lifecycle.RetryLater](err); ok {
		return later.After
	}
	return time.Duration(float64(unavailablePause) * (0.8 + 0.4*q.Rand()))
}

// isFailure reports whether an attempt counts as failed: it does if lifecycle counted it.
func isFailure(err error) bool {
	_, later := errors.AsType[*lifecycle.RetryLater](err)
	_, dead := errors.AsType[*lifecycle.DeadLettered](err)
	return later || dead || errors.Is(err, asynq.SkipRetry)
}

// logger passes Asynq's log messages to slog.
type logger struct{ *slog.Logger }

func (l logger) Debug(args ...any) { l.Logger.Debug("asynq: " + fmt.Sprint(args...)) }
func (l logger) Info(args ...any)  { l.Logger.Info("asynq: " + fmt.Sprint(args...)) }
func (l logger) Warn(args ...any)  { l.Logger.Warn("asynq: " + fmt.Sprint(args...)) }
func (l logger) Error(args ...any) { l.Logger.Error("asynq: " + fmt.Sprint(args...)) }

// Fatal logs an error and does not exit: ending the process is up to the caller of Run.
func (l logger) Fatal(args ...any) { l.Logger.Error("asynq: " + fmt.Sprint(args...)) }
