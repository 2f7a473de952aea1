package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/hibiken/asynq"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// awayPause is how long a task waits when the database was away: nothing was learned.
const awayPause = 2 * time.Second

// newServer returns a server of Asynq's that takes tasks of the queues, by their weights. The
// contexts of its jobs end with base. Stopping, it gives up after the patience on those that
// run on.
func (q *Queue) newServer(base context.Context, concurrency int, weights map[string]int, patience time.Duration) *asynq.Server {
	return asynq.NewServerFromRedisClient(q.redis, asynq.Config{
		Concurrency:              concurrency,
		Queues:                   weights,
		BaseContext:              func() context.Context { return base },
		TaskCheckInterval:        50 * time.Millisecond,
		DelayedTaskCheckInterval: time.Second,
		ShutdownTimeout:          patience,
		HealthCheckInterval:      15 * time.Second,
		RetryDelayFunc:           retryDelay,
		IsFailure:                isFailure,
		Logger:                   logger{q.Logger},
		LogLevel:                 asynq.WarnLevel,
	})
}

// handler runs jobs; reserve says whether the workers are those of the reserve.
func (q *Queue) handler(reserve bool) asynq.Handler {
	return asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		q.handlers.begin()
		defer q.handlers.end()
		p, err := readTask(t)
		if err != nil {
			return err
		}
		run, ok := q.hanging.begin(p.Org, reserve)
		if !ok {
			return q.redispatchDeclined(ctx, p)
		}
		defer run.end()
		began := time.Now()
		err = q.Lifecycle.RunJob(ctx, p.Job, p.Generation)
		q.metrics.ran(t.Type(), err, time.Since(began))
		if dead, ok := errors.AsType[*lifecycle.DeadLettered](err); ok {
			// The row's count of failures decides, and it has said the last word.
			return fmt.Errorf("%w: %w", dead, asynq.SkipRetry)
		}
		queue, _ := asynq.GetQueueName(ctx)
		return q.redispatchFailed(ctx, queue, p, err)
	})
}

// retryDelay is the wait that lifecycle has written into the row.
func retryDelay(_ int, err error, _ *asynq.Task) time.Duration {
	if later, ok := errors.AsType[*lifecycle.RetryLater](err); ok {
		return later.After
	}
	return time.Duration(float64(awayPause) * (0.8 + 0.4*rand.Float64()))
}

// isFailure reports whether an attempt counts: what lifecycle has counted does.
func isFailure(err error) bool {
	_, later := errors.AsType[*lifecycle.RetryLater](err)
	_, dead := errors.AsType[*lifecycle.DeadLettered](err)
	return later || dead || errors.Is(err, asynq.SkipRetry)
}

// logger writes Asynq's words to slog.
type logger struct{ *slog.Logger }

func (l logger) Debug(args ...any) { l.Logger.Debug("asynq: " + fmt.Sprint(args...)) }
func (l logger) Info(args ...any)  { l.Logger.Info("asynq: " + fmt.Sprint(args...)) }
func (l logger) Warn(args ...any)  { l.Logger.Warn("asynq: " + fmt.Sprint(args...)) }
func (l logger) Error(args ...any) { l.Logger.Error("asynq: " + fmt.Sprint(args...)) }

// Fatal is for what Asynq thinks ends the process; here that is the caller's to decide.
func (l logger) Fatal(args ...any) { l.Logger.Error("asynq: " + fmt.Sprint(args...)) }
