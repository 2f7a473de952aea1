package queue

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// reserveLooks is how often the reserve looks whether it is still needed.
	reserveLooks = 100 * time.Millisecond
	// reserveRests is how long it is not called again when it was not.
	reserveRests = time.Second
	// declineEvery is how often at most a worker of the reserve hands a job back.
	declineEvery = 25 * time.Millisecond
	// throttledKey has the organizations of which a job was handed back, each with the time in
	// Unix milliseconds until when the relays of all processes know it.
	throttledKey = "dcvaas:held-back"
	throttledFor = 10 * time.Second
)

// reserve adds workers while jobs that hang hold their share of the others, until ctx ends.
// It returns when those that it added are done; the contexts of their jobs end with base.
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
			continue // word of a time that is over
		}
		// What its workers have begun they end, however long the reserve is gone.
		s := q.newServer(base, urgentShare(q.Concurrency), urgentWeights(), taskTimeout)
		err := q.startServer(ctx, s, q.handler(true))
		if err != nil {
			q.Logger.ErrorContext(ctx, "queue: the reserve could not be called", "error", err)
		}
		for q.hanging.isFull() && sleep(ctx, reserveLooks) {
		}
		s.Stop()
		leaving.Go(s.Shutdown)
		sleep(ctx, reserveRests)
	}
}

// redispatchDeclined puts a job that the reserve must not take back into its row: it keeps its place
// among its organization's, of which the relays hand over no more than can run.
func (q *Queue) redispatchDeclined(ctx context.Context, p payload) error {
	q.metrics.declined.Inc()
	if q.hanging.isFull() && q.throttle(ctx, p.Org) {
		q.Logger.WarnContext(ctx, "queue: jobs of an organization hang; others pass the rest of its jobs", "organization", p.Org)
	}
	sleep(ctx, declineEvery)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requeueTimeout)
	defer cancel()
	return q.Store.RedispatchDeclined(ctx, p.Job, p.Generation)
}

// throttle tells the relays of all processes that the organization's jobs hang. It returns
// whether that is new to them. Where it fails, more is handed back.
func (q *Queue) throttle(ctx context.Context, org string) bool {
	now := time.Now()
	var added *redis.IntCmd
	_, err := q.redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.ZRemRangeByScore(ctx, throttledKey, "-inf", strconv.FormatInt(now.UnixMilli(), 10))
		added = p.ZAdd(ctx, throttledKey, redis.Z{Score: float64(now.Add(throttledFor).UnixMilli()), Member: org})
		p.Expire(ctx, throttledKey, 2*throttledFor)
		return nil
	})
	return err == nil && added.Val() > 0
}
