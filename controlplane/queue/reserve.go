package queue

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// reserveCheckEvery is how often the reserve checks whether it is still needed.
	reserveCheckEvery = 100 * time.Millisecond
	// reservePause is the pause before the reserve can start again.
	reservePause = time.Second
	// declineEvery is the shortest time between two tasks that a worker of the reserve declines.
	declineEvery = 25 * time.Millisecond
	// throttledKey is a sorted set of the throttled organizations, scored by the time, in Unix
	// milliseconds, at which the throttling expires. The relays of all processes read it.
	throttledKey = "dcvaas:held-back"
	throttledFor = 10 * time.Second
)

// reserve adds workers while hanging jobs hold their share of the others, until ctx ends. It
// returns when the workers that it added are done. The contexts of their jobs end with base.
func (q *Queue) reserve(ctx, base context.Context) {
	var leaving sync.WaitGroup
	defer leaving.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.hanging.call:
		}
		if !q.hanging.isFull() {
			continue // the signal is outdated
		}
		// The added workers finish their jobs, even if the reserve is no longer needed.
		s := q.newServer(base, urgentShare(q.Concurrency), urgentWeights(), taskTimeout)
		err := q.startServer(ctx, s, q.handler(true))
		if err != nil {
			q.Logger.ErrorContext(ctx, "queue: starting the reserve failed", "error", err)
		}
		for q.hanging.isFull() && sleep(ctx, reserveCheckEvery) {
		}
		s.Stop()
		leaving.Go(s.Shutdown)
		sleep(ctx, reservePause)
	}
}

// redispatchDeclined redispatches a job that the reserve declined, and throttles its organization.
// The job keeps its place among the jobs of its organization.
func (q *Queue) redispatchDeclined(ctx context.Context, p payload) error {
	q.metrics.declined.Inc()
	if q.hanging.isFull() && q.throttle(ctx, p.Org) {
		q.Logger.WarnContext(ctx, "queue: throttled an organization whose jobs hang",
			"organization", p.Org)
	}
	sleep(ctx, declineEvery)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requeueTimeout)
	defer cancel()
	return q.Store.RedispatchDeclined(ctx, p.Job, p.Generation)
}

// throttle makes the relays of all processes dispatch fewer jobs of the organization, for a time.
// It reports whether the organization was not throttled before. If it fails, the reserve declines
// more.
func (q *Queue) throttle(ctx context.Context, org string) bool {
	now := q.Now()
	var added *redis.IntCmd
	_, err := q.redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.ZRemRangeByScore(ctx, throttledKey, "-inf", strconv.FormatInt(now.UnixMilli(), 10))
		added = p.ZAdd(ctx, throttledKey, redis.Z{Score: float64(now.Add(throttledFor).UnixMilli()),
			Member: org})
		p.Expire(ctx, throttledKey, 2*throttledFor)
		return nil
	})
	return err == nil && added.Val() > 0
}
