package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"golang.org/x/sync/errgroup"
)

const (
	bareTask     = "bench"
	bareEnqueues = 50 // concurrent calls
	bareWorkers  = 32
)

// bareQueue is the limit of the queue: Asynq with a handler that does nothing, or calls work.
type bareQueue struct {
	client *asynq.Client
	server *asynq.Server
	// called for each drained task if not nil
	work  func(ctx context.Context, payload []byte) error
	ran   chan time.Time // start time of the awaited task, if waits is set
	waits atomic.Bool
	left  atomic.Int64
	empty chan struct{}
	once  sync.Once
}

func startBareQueue(
	redisURL string, work func(ctx context.Context, payload []byte) error,
) (*bareQueue, error) {
	opt, err := asynq.ParseRedisURI(redisURL)
	if err != nil {
		return nil, err
	}
	q := &bareQueue{client: asynq.NewClient(opt), work: work, ran: make(chan time.Time, 1),
		empty: make(chan struct{}, 1)}
	q.server = asynq.NewServer(opt, asynq.Config{Concurrency: bareWorkers,
		TaskCheckInterval: 50 * time.Millisecond, LogLevel: asynq.FatalLevel,
		Queues: map[string]int{"critical": 6, "default": 3, "bulk": 1}})
	if err := q.server.Start(asynq.HandlerFunc(q.handle)); err != nil {
		_ = q.client.Close()
		return nil, err
	}
	return q, nil
}

func (q *bareQueue) handle(ctx context.Context, t *asynq.Task) error {
	if q.waits.Load() {
		q.ran <- time.Now()
		return nil
	}
	if q.work != nil {
		if err := q.work(ctx, t.Payload()); err != nil {
			return err
		}
	}
	if q.left.Add(-1) == 0 {
		q.empty <- struct{}{}
	}
	return nil
}

func (q *bareQueue) stop() {
	q.once.Do(func() {
		q.server.Shutdown()
		_ = q.client.Close()
	})
}

// pickup returns the delay from a task's enqueueing to its handler.
func (q *bareQueue) pickup(ctx context.Context) (time.Duration, error) {
	q.waits.Store(true)
	defer q.waits.Store(false)
	if err := bareEnqueue(ctx, q.client, "critical", "job_01h455vb4pex5vsknk084", 1); err != nil {
		return 0, err
	}
	enqueued := time.Now()
	select {
	case at := <-q.ran:
		return max(at.Sub(enqueued), 0), nil
	case <-time.After(10 * time.Second):
		return 0, errors.New("asynq did not run the task before the timeout")
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// drain enqueues n tasks for jobs with the prefix, and returns when all have run.
func (q *bareQueue) drain(ctx context.Context, prefix string, n int) error {
	q.left.Store(int64(n))
	if err := bareEnqueue(ctx, q.client, "critical", prefix, n); err != nil {
		return err
	}
	select {
	case <-q.empty:
		return nil
	case <-time.After(time.Minute):
		return fmt.Errorf("asynq did not run %d of %d tasks before the timeout", q.left.Load(), n)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// bareEnqueue enqueues n tasks of the same size as ours, for jobs with the prefix.
func bareEnqueue(ctx context.Context, client *asynq.Client, queue, prefix string, n int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(bareEnqueues)
	for i := range n {
		g.Go(func() error {
			payload := fmt.Appendf(nil, `{"job":"%s%d","generation":1}`, prefix, i)
			_, err := client.EnqueueContext(ctx,
				asynq.NewTask(bareTask, payload, asynq.Queue(queue)))
			return err
		})
	}
	return g.Wait()
}
