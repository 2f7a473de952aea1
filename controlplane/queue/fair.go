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

// dispatch hands over what is due, as far as the workers need it. full says that there is a
// queue in which they need none. Replicas that look at the same moment each find the same
// need: together they hand over at most what is meant for the workers of all of them.
func (q *Queue) dispatch(ctx context.Context, last *lanes) (n int, full bool, err error) {
	pending, err := q.pending(ctx)
	if err != nil {
		return 0, false, err
	}
	enough := pendingPerWorker * q.Concurrency
	var open []postgres.Lane
	for i, name := range queues {
		if pending[i] > enough/2 {
			full = true
			q.crowded[i].Store(true)
			continue
		}
		open = append(open, postgres.Lane{Queue: name, Room: min(enough-pending[i], relayBatch), After: last[i]})
	}
	if len(open) == 0 {
		return 0, true, nil
	}
	var batch []controlplane.Job
	n, err = q.Store.DispatchDue(ctx, q.Now(), open, func(jobs []controlplane.Job) error {
		batch = jobs
		return q.enqueue(ctx, jobs)
	})
	for _, l := range open {
		i := slices.Index(queues[:], l.Queue)
		last[i] = l.After
		took := 0
		for _, j := range batch {
			if j.Queue == l.Queue {
				took++
			}
		}
		q.crowded[i].Store(took == l.Room)
	}
	return n, full, err
}

// pending returns how many tasks wait for a worker in each queue. A Redis that was emptied
// holds none.
func (q *Queue) pending(ctx context.Context) (n [len(queues)]int, err error) {
	var lengths [len(queues)]*redis.IntCmd
	_, err = q.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, name := range queues {
			lengths[i] = p.LLen(ctx, pendingKey(name))
		}
		return nil
	})
	for i, l := range lengths {
		n[i] = int(l.Val())
	}
	return n, err
}

// pendingKey is Asynq's list of the tasks that wait for a worker. Its Inspector would tell
// the length, too, but measures all tasks' memory for it.
func pendingKey(q controlplane.Queue) string { return "asynq:{" + string(q) + "}:pending" }

// giveWay puts a job that has failed back among those that are due, where others wait for
// their turn: Asynq's own retry would come before theirs. err is what came of the job; what
// is returned is for Asynq.
func (q *Queue) giveWay(ctx context.Context, queue string, p payload, err error) error {
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

// newServers returns Asynq's servers, which share the workers of this process. stop ends the
// context of every job under way.
func (q *Queue) newServers(ctx context.Context) (servers []*asynq.Server, stop context.CancelFunc) {
	base, stop := context.WithCancel(context.WithoutCancel(ctx))
	urgent := urgentShare(q.Concurrency)
	// Weights, not strict order: no queue starves.
	weights := map[string]int{string(controlplane.QueueCritical): 6, string(controlplane.QueueDefault): 3}
	if urgent > 0 {
		servers = append(servers, q.newServer(base, urgent, weights))
	}
	weights = map[string]int{string(controlplane.QueueCritical): 6, string(controlplane.QueueDefault): 3, string(controlplane.QueueBulk): 1}
	return append(servers, q.newServer(base, q.Concurrency-urgent, weights)), stop
}
