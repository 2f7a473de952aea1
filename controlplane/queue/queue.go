// Package queue carries jobs from their rows in Postgres to the workers, on Asynq. The row
// says what is due; the queue is only transport: losing all of Redis loses no work.
//
//   - relay.go hands due rows to Asynq, woken by Postgres
//   - fair.go sees to it that nobody's work holds up another's
//   - hanging.go and reserve.go do so where jobs hang
//   - worker.go runs what Asynq delivers, through lifecycle
//   - reconcile.go finds rows that were handed over and did not move
//   - sweep.go makes jobs for renewals that are due
//
// It decides nothing about a domain: that is lifecycle's.
package queue

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// requeueTimeout is more than a job that is interrupted takes to be handed back.
const requeueTimeout = 5 * time.Second

// Config is what a Queue is made of. Store, Lifecycle and RedisURL are needed.
type Config struct {
	Store       *postgres.Store
	Lifecycle   *lifecycle.Service
	RedisURL    string           // redis://…
	Concurrency int              // jobs at a time in this process; 32 where zero
	Now         func() time.Time // time.Now where nil
	Logger      *slog.Logger
	Registerer  prometheus.Registerer

	SweepEvery     time.Duration // one minute where zero
	ReconcileEvery time.Duration // two seconds where zero
	StuckAfter     time.Duration // after which Asynq is asked for a job that does not move; 30 s where zero
	HangsAfter     time.Duration // after which a job that runs counts as one that hangs; 5 s where zero
}

// Queue runs the workers of one process.
type Queue struct {
	Config
	redis     redis.UniversalClient
	client    *asynq.Client
	inspector *asynq.Inspector
	metrics   *metrics
	handlers  handlers
	crowded   crowded
	hanging   *hanging
}

// New returns a Queue. It reaches Redis only when it runs.
func New(c Config) (*Queue, error) {
	if c.Store == nil || c.Lifecycle == nil {
		return nil, errors.New("queue: Store and Lifecycle are needed")
	}
	opt, err := redis.ParseURL(c.RedisURL)
	if err != nil {
		return nil, errors.New("queue: the Redis URL cannot be read") // its text may hold a password
	}
	if c.Concurrency <= 0 {
		c.Concurrency = 32
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	setDefault(&c.SweepEvery, time.Minute)
	setDefault(&c.ReconcileEvery, 2*time.Second)
	setDefault(&c.StuckAfter, 30*time.Second)
	setDefault(&c.HangsAfter, 5*time.Second)
	rdb := redis.NewClient(opt)
	return &Queue{Config: c, redis: rdb, client: asynq.NewClientFromRedisClient(rdb), inspector: asynq.NewInspectorFromRedisClient(rdb), metrics: newMetrics(c.Registerer),
		hanging: newHanging(c.HangsAfter, c.Concurrency)}, nil
}

// MonitorOpt returns how the queue monitor reaches the same Redis.
func MonitorOpt(redisURL string) (asynq.RedisConnOpt, error) {
	opt, err := asynq.ParseRedisURI(redisURL)
	if err != nil {
		return nil, errors.New("queue: the Redis URL cannot be read")
	}
	return opt, nil
}

// Run carries and does jobs until ctx ends; then it hands back what is under way and
// returns.
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
	parts := []func(context.Context){q.relay, q.reconcile, q.sweep, q.askCAs, q.retain}
	done := make(chan struct{})
	for _, part := range parts {
		go func() { part(ctx); done <- struct{}{} }()
	}
	<-ctx.Done()
	for range parts {
		<-done
	}
	for _, s := range servers {
		s.Stop() // take nothing new
	}
	stopWorking() // what is under way is handed back
	for _, s := range servers {
		stopped.Go(s.Shutdown)
	}
	stopped.Wait()
	q.handlers.wait()
	return q.redis.Close()
}

// handlers counts those that run: Asynq does not wait for a handler whose context ended, and
// it is then that jobs are handed back.
type handlers struct {
	mu      sync.Mutex
	running int
	idle    chan struct{} // closed when none runs; nil while nobody waits
}

func (h *handlers) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running++
}

func (h *handlers) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running--; h.running == 0 && h.idle != nil {
		close(h.idle)
		h.idle = nil
	}
}

// wait returns when none runs, or when they have had the time to hand back their jobs.
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
	case <-time.After(requeueTimeout):
	}
}

// startServer starts taking tasks, as soon as Redis is there.
func (q *Queue) startServer(ctx context.Context, s *asynq.Server, h asynq.Handler) error {
	for {
		err := s.Start(h)
		if err == nil {
			return nil
		}
		if errors.Is(err, asynq.ErrServerClosed) {
			return err
		}
		q.Logger.WarnContext(ctx, "queue: Redis cannot be reached", "error", err)
		if !sleep(ctx, time.Second) {
			return nil
		}
	}
}

// sleep waits, and returns false where ctx ended first.
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

func setDefault(d *time.Duration, v time.Duration) {
	if *d == 0 {
		*d = v
	}
}
