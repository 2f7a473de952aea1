// Package queue dispatches jobs from their rows in Postgres to the workers, through Asynq. The row
// records what is due; the queue is only transport: losing all of Redis loses no work.
//
//   - relay.go dispatches due rows to Asynq, notified by Postgres
//   - fair.go keeps one organization's jobs from delaying another's
//   - hanging.go and reserve.go do the same when jobs hang
//   - worker.go runs the tasks that Asynq delivers, through lifecycle
//   - reconcile.go finds rows that were dispatched and did not move
//   - sweep.go adds the jobs of due renewals
//
// Decisions about a domain belong to lifecycle.
package queue

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// requeueTimeout is how long a job has to be requeued.
	requeueTimeout = 5 * time.Second
	// FinishTimeout is how long interrupted jobs have at a shutdown to finish the request that they
	// have sent to a CA, which takes up to acme.Config.RequestTimeout, and to be requeued.
	FinishTimeout = 30*time.Second + requeueTimeout
)

// Config configures a Queue. Store, Lifecycle, and RedisURL are required.
type Config struct {
	Store       *postgres.Store
	Lifecycle   *lifecycle.Service
	RedisURL    string           // redis://…
	Concurrency int              // concurrent jobs in this process; default 32
	Now         func() time.Time // default time.Now
	Rand        func() float64   // in [0,1), spreads retries; default math/rand/v2
	Logger      *slog.Logger
	Registerer  prometheus.Registerer

	SweepEvery     time.Duration // default 1 min
	ReconcileEvery time.Duration // default 2 s
	// age at which Asynq is queried about a dispatched job that did not move; default 30 s
	StuckAfter time.Duration
	HangsAfter time.Duration // runtime from which a job counts as hanging; default 5 s
}

// Queue dispatches jobs and runs the workers of one process.
type Queue struct {
	Config
	redis     redis.UniversalClient
	client    *asynq.Client
	inspector *asynq.Inspector
	metrics   *metrics
	handlers  handlers
	crowded   crowded
	hanging   *hanging
	pace      *pace
}

// New returns a Queue. It connects to Redis only when it runs.
func New(c Config) (*Queue, error) {
	if c.Store == nil || c.Lifecycle == nil {
		return nil, errors.New("queue: Store and Lifecycle are required")
	}
	opt, err := RedisOptions(c.RedisURL)
	if err != nil {
		return nil, err
	}
	if c.Concurrency <= 0 {
		c.Concurrency = 32
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Float64
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.SweepEvery = cmp.Or(c.SweepEvery, time.Minute)
	c.ReconcileEvery = cmp.Or(c.ReconcileEvery, 2*time.Second)
	c.StuckAfter = cmp.Or(c.StuckAfter, 30*time.Second)
	c.HangsAfter = cmp.Or(c.HangsAfter, 5*time.Second)
	rdb := redis.NewClient(opt)
	return &Queue{
		Config:    c,
		redis:     rdb,
		client:    asynq.NewClientFromRedisClient(rdb),
		inspector: asynq.NewInspectorFromRedisClient(rdb),
		metrics:   newMetrics(c.Registerer),
		hanging:   newHanging(c.HangsAfter, c.Concurrency),
		pace:      newPace(c.Concurrency),
	}, nil
}

// redisTime is the time limit of a connection to Redis and of one attempt of a command.
const redisTime = 2 * time.Second

// RedisOptions returns the options of a client whose commands fail within seconds if Redis does not
// respond.
func RedisOptions(url string) (*redis.Options, error) {
	opt, err := redis.ParseURL(url)
	if err != nil {
		return nil, errInvalidURL
	}
	opt.DialTimeout, opt.ReadTimeout, opt.WriteTimeout = redisTime, redisTime, redisTime
	opt.PoolTimeout, opt.MaxRetries, opt.DialerRetries = 2*redisTime, 1, 1
	opt.ContextTimeoutEnabled = true
	return opt, nil
}

// errInvalidURL omits the URL, which may contain a password.
var errInvalidURL = errors.New("queue: invalid Redis URL")

// MonitorOpt returns the options with which the queue monitor connects to the same Redis.
func MonitorOpt(redisURL string) (asynq.RedisConnOpt, error) {
	opt, err := asynq.ParseRedisURI(redisURL)
	if err != nil {
		return nil, errInvalidURL
	}
	if one, ok := opt.(asynq.RedisClientOpt); ok {
		one.DialTimeout, one.ReadTimeout, one.WriteTimeout = redisTime, redisTime, redisTime
		return one, nil
	}
	return opt, nil
}

// Run dispatches and runs jobs until ctx ends. Then the jobs in progress finish the requests that
// they have sent to a CA, are requeued, and Run returns.
func (q *Queue) Run(ctx context.Context) error {
	base, stopWorking := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorking()
	servers := q.newServers(base)
	for _, s := range servers {
		if err := q.startServer(ctx, s, q.handler(false)); err != nil {
			return err
		}
	}
	var stopped sync.WaitGroup
	stopped.Go(func() { q.reserve(ctx, base) })
	parts := []func(context.Context){q.relay, q.reconcile, q.sweep, q.checkRenewals,
		q.collectOrders, q.testConnections, q.probeZone, q.retain, q.removeDeleted}
	done := make(chan struct{})
	for _, part := range parts {
		go func() { part(ctx); done <- struct{}{} }()
	}
	<-ctx.Done()
	for range parts {
		<-done
	}
	for _, s := range servers {
		s.Stop() // accept no new tasks
	}
	stopWorking() // jobs in progress are requeued
	for _, s := range servers {
		stopped.Go(s.Shutdown)
	}
	stopped.Wait()
	q.handlers.wait()
	return q.redis.Close()
}

// handlers counts the running handlers. Asynq does not wait for a handler whose context ended,
// which is when it requeues its job.
type handlers struct {
	mu      sync.Mutex
	running int
	idle    chan struct{} // closed when none runs; nil if wait is not called
}

func (h *handlers) start() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running++
}

func (h *handlers) done() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running--; h.running == 0 && h.idle != nil {
		close(h.idle)
		h.idle = nil
	}
}

// wait returns when no handler runs, but after FinishTimeout at the latest.
func (h *handlers) wait() {
	h.mu.Lock()
	if h.running == 0 {
		h.mu.Unlock()
		return
	}
	idle := make(chan struct{})
	h.idle = idle
	h.mu.Unlock()
	select {
	case <-idle:
	case <-time.After(FinishTimeout):
	}
}

// startServer starts s, once Redis is reachable.
func (q *Queue) startServer(ctx context.Context, s *asynq.Server, h asynq.Handler) error {
	for {
		err := s.Start(h)
		if err == nil {
			return nil
		}
		if errors.Is(err, asynq.ErrServerClosed) {
			return err
		}
		q.Logger.WarnContext(ctx, "queue: Redis unreachable", "error", err)
		if !sleep(ctx, time.Second) {
			return nil
		}
	}
}

// sleep waits for d. It returns false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
