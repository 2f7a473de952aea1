package queue

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// pendingPerWorker is how many pending tasks Asynq holds in each queue per worker of this
	// process: enough that no worker waits for the relay, and few, because Asynq runs them in the
	// order of arrival, where organizations do not take turns.
	pendingPerWorker = 4
	// refillEvery is how often the relay checks whether the workers need more tasks.
	refillEvery = 10 * time.Millisecond
)

// queues lists all queues, most urgent first.
var queues = [...]controlplane.Queue{controlplane.QueueCritical, controlplane.QueueDefault,
	controlplane.QueueBulk}

// lanes holds the organization that had the last turn in each queue.
type lanes [len(queues)]string

// crowded holds for each queue whether more jobs are due than could be dispatched.
type crowded [len(queues)]atomic.Bool

func (c *crowded) is(queue string) bool {
	i := slices.Index(queues[:], controlplane.Queue(queue))
	return i >= 0 && c[i].Load()
}

// dispatch dispatches due jobs, as many as the workers need. wait is the pause before the next call
// if nothing wakes the relay: refillEvery if a queue has enough tasks. Replicas that dispatch at
// the same moment find the same need: together they dispatch at most what is meant for all their
// workers.
func (q *Queue) dispatch(ctx context.Context, last *lanes) (n int, wait time.Duration, err error) {
	pending, throttled, err := q.demand(ctx)
	if err != nil {
		return 0, 0, err
	}
	here, free := q.hanging.throttled()
	throttled = append(throttled, here...)
	enough := pendingPerWorker * q.Concurrency
	var open []postgres.Lane
	full := false
	for i, name := range queues {
		if pending[i] > enough/2 {
			full = true
			q.crowded[i].Store(true)
			continue
		}
		open = append(open, postgres.Lane{Queue: name, Room: min(enough-pending[i], relayBatch),
			After:     last[i],
			Throttled: throttled, Few: max(free-pending[i], 0)})
	}
	if len(open) == 0 {
		return 0, refillEvery, nil
	}
	var batch []controlplane.Job
	n, err = q.Store.DispatchDue(ctx, q.Now(), open, func(jobs []controlplane.Job) error {
		batch = jobs
		return q.enqueue(ctx, jobs)
	})
	var next time.Time
	for _, l := range open {
		i := slices.Index(queues[:], l.Queue)
		last[i] = l.After
		if !l.Next.IsZero() && (next.IsZero() || l.Next.Before(next)) {
			next = l.Next
		}
		took := 0
		for _, j := range batch {
			if j.Queue == l.Queue {
				took++
			}
		}
		q.crowded[i].Store(took == l.Room)
	}
	if full {
		return n, refillEvery, err
	}
	return n, q.until(next), err
}

// demand returns how many tasks are pending in each queue, and the throttled organizations (see
// throttle).
func (q *Queue) demand(
	ctx context.Context,
) (pending [len(queues)]int, throttled []string, err error) {
	var lengths [len(queues)]*redis.IntCmd
	var marked *redis.ZSliceCmd
	_, err = q.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		marked = p.ZRangeWithScores(ctx, throttledKey, 0, -1)
		for i, name := range queues {
			lengths[i] = p.LLen(ctx, pendingKey(name))
		}
		return nil
	})
	for i, l := range lengths {
		pending[i] = int(l.Val())
	}
	now := float64(q.Now().UnixMilli())
	for _, z := range marked.Val() {
		if org, ok := z.Member.(string); ok && z.Score > now {
			throttled = append(throttled, org)
		}
	}
	return pending, throttled, err
}

// pendingKey returns the key of Asynq's list of pending tasks. Asynq's Inspector also reports its
// length, but measures the memory of all tasks to do so.
func pendingKey(q controlplane.Queue) string { return "asynq:{" + string(q) + "}:pending" }

// redispatchFailed redispatches a job that failed with err if the queue is crowded: Asynq's own
// retry would come before the jobs that wait for their turn. It returns the error for Asynq.
func (q *Queue) redispatchFailed(ctx context.Context, queue string, p payload, err error) error {
	if _, failed := errors.AsType[*lifecycle.RetryLater](err); !failed || !q.crowded.is(queue) {
		return err
	}
	n, rerr := q.Store.Redispatch(ctx, []controlplane.Job{{ID: p.Job, Generation: p.Generation}})
	if rerr != nil || n == 0 {
		return err
	}
	return nil
}

// urgentShare returns how many of the workers take no bulk work, so that renewals at a slow CA
// leave them to urgent work. A single worker takes everything.
func urgentShare(concurrency int) int {
	if concurrency < 2 {
		return 0
	}
	return max(concurrency/4, 1)
}

// urgentWeights returns the weights of the urgent queues. They are weights and not priorities, so
// that no queue starves.
func urgentWeights() map[string]int {
	return map[string]int{string(controlplane.QueueCritical): 6,
		string(controlplane.QueueDefault): 3}
}

// newServers returns the Asynq servers that share the workers of this process. The contexts of
// their jobs end with base.
func (q *Queue) newServers(base context.Context) (servers []*asynq.Server) {
	urgent := urgentShare(q.Concurrency)
	if urgent > 0 {
		servers = append(servers, q.newServer(base, urgent, urgentWeights(), requeueTimeout))
	}
	all := urgentWeights()
	all[string(controlplane.QueueBulk)] = 1
	return append(servers, q.newServer(base, q.Concurrency-urgent, all, requeueTimeout))
}
