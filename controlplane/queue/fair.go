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
	// pendingPerWorker is how many tasks Asynq holds ready in each queue for one worker of this
	// process: enough that none waits for the relay, and few, since Asynq runs them in the order
	// in which they came, and nobody's turn is among them.
	pendingPerWorker = 4
	// refillEvery is how often the relay looks whether the workers need more.
	refillEvery = 10 * time.Millisecond
)

// queues are all queues, most urgent first.
var queues = [...]controlplane.Queue{controlplane.QueueCritical, controlplane.QueueDefault, controlplane.QueueBulk}

// lanes remembers whose turn was last in each queue.
type lanes [len(queues)]string

// crowded tells of each queue whether more is due than the workers could be given.
type crowded [len(queues)]atomic.Bool

func (c *crowded) is(queue string) bool {
	i := slices.Index(queues[:], controlplane.Queue(queue))
	return i >= 0 && c[i].Load()
}

// dispatch hands over what is due, as far as the workers need it. wait is how long nobody needs
// another look unless something is told: refillEvery where there is a queue in which the workers
// need none. Replicas that look at the same moment each find the same
// need: together they hand over at most what is meant for the workers of all of them.
func (q *Queue) dispatch(ctx context.Context, last *lanes) (n int, wait time.Duration, err error) {
	pending, throttled, err := q.look(ctx)
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
		open = append(open, postgres.Lane{Queue: name, Room: min(enough-pending[i], relayBatch), After: last[i],
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

// look returns how many tasks wait for a worker in each queue, and the organizations that are
// held back (see throttle). A Redis that was emptied holds none.
func (q *Queue) look(ctx context.Context) (pending [len(queues)]int, throttled []string, err error) {
	var lengths [len(queues)]*redis.IntCmd
	var held *redis.ZSliceCmd
	_, err = q.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		held = p.ZRangeWithScores(ctx, throttledKey, 0, -1)
		for i, name := range queues {
			lengths[i] = p.LLen(ctx, pendingKey(name))
		}
		return nil
	})
	for i, l := range lengths {
		pending[i] = int(l.Val())
	}
	now := float64(time.Now().UnixMilli())
	for _, z := range held.Val() {
		if org, ok := z.Member.(string); ok && z.Score > now {
			throttled = append(throttled, org)
		}
	}
	return pending, throttled, err
}

// pendingKey is Asynq's list of the tasks that wait for a worker. Its Inspector would tell
// the length, too, but measures all tasks' memory for it.
func pendingKey(q controlplane.Queue) string { return "asynq:{" + string(q) + "}:pending" }

// redispatchFailed puts a job that has failed back among those that are due, where others wait for
// their turn: Asynq's own retry would come before theirs. err is what came of the job; what
// is returned is for Asynq.
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

// urgentShare returns how many of the workers take no bulk work: renewals that hang on a slow
// CA leave them to those who wait for something. A single worker takes everything.
func urgentShare(concurrency int) int {
	if concurrency < 2 {
		return 0
	}
	return max(concurrency/4, 1)
}

// urgentWeights are those of the queues whose work is urgent. Weights, not strict order: no
// queue starves.
func urgentWeights() map[string]int {
	return map[string]int{string(controlplane.QueueCritical): 6, string(controlplane.QueueDefault): 3}
}

// newServers returns Asynq's servers, which share the workers of this process. The contexts of
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
