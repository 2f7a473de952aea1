package program

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/api"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dashboard"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnsserver"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/queue"
)

// Parts selects the parts of the program that an App runs.
type Parts struct{ Serve, Work, DNS bool }

// App is a process of the control plane. Call Start once, then Stop.
type App struct {
	config    Config
	parts     Parts
	log       *slog.Logger
	keys      keys
	metrics   *prometheus.Registry
	store     *postgres.Store
	engine    *acme.Engine
	redis     *redis.Client // for the CAs' rate limits
	limiter   *edge.Limiter // nil if requests are not limited
	stores    storeGauges
	writes    writes
	lifecycle *lifecycle.Service
	queue     *queue.Queue
	zone      *dnsserver.Server
	api       *api.API
	pages     *dashboard.Dashboard
	web, ops  *http.Server
	webAddr   string
	opsAddr   string

	draining     atomic.Bool     // set at the start of a shutdown
	watching     context.Context // of goroutines that end with the App
	stopWatching context.CancelFunc
	stopWork     context.CancelFunc
	working      sync.WaitGroup // the workers
	running      sync.WaitGroup // the listeners
	failed       chan error

	verified  chan struct{} // closed when the settings match those of other processes
	onStarted func()        // set by tests; called by Run
}

// NewApp creates the parts without connecting to anything. Its error names the invalid setting.
func NewApp(ctx context.Context, c Config, parts Parts, logTo io.Writer) (*App, error) {
	if err := cmp.Or(c.check(), c.checkZone()); err != nil {
		return nil, err
	}
	log, err := newLogger(logTo, c.LogLevel, c.LogFormat)
	if err != nil {
		return nil, err
	}
	a := &App{config: c, parts: parts, log: log, metrics: prometheus.NewRegistry(),
		failed: make(chan error, 4), verified: make(chan struct{}),
		writes: writes{turn: make(chan struct{}, 1)}}
	a.watching, a.stopWatching = context.WithCancel(context.WithoutCancel(ctx))
	a.metrics.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if a.store, err = postgres.Open(ctx,
		postgres.Config{DSN: c.Database, MaxConns: postgres.ConnsWithin(c.connections(parts)),
			Logger: log, Label: keysetLabel(&c, parts)}); err != nil {
		return nil, err
	}
	a.metrics.MustRegister(databaseUse{a.store})
	if err := a.build(); err != nil {
		a.store.Close()
		return nil, err
	}
	return a, nil
}

func (a *App) build() error {
	c := &a.config
	var err error
	if a.parts.DNS {
		if a.zone, err = newZone(c, a.store, a.log, a.metrics); err != nil {
			return err
		}
	}
	if !a.parts.Serve && !a.parts.Work {
		a.stores = newStoreGauges(a.metrics, false)
		return nil
	}
	if a.keys, err = deriveKeys(c.SecretKey); err != nil {
		return err
	}
	if c.Redis != "" {
		opt, err := queue.RedisOptions(c.Redis)
		if err != nil {
			return errors.New(
				"redis-url (DCVAAS_REDIS_URL): invalid URL, expected one such as redis://localhost:6379/0")
		}
		a.redis = redis.NewClient(opt)
	}
	a.stores = newStoreGauges(a.metrics, a.redis != nil)
	if a.parts.Serve && c.Redis != "" && c.HTTP.RateLimits {
		if a.limiter, err = edge.NewLimiter(edge.LimiterConfig{RedisURL: c.Redis,
			Key: a.keys.limits, Limits: c.HTTP.limits, Logger: a.log,
			Registerer: a.metrics}); err != nil {
			return err
		}
	}
	if a.lifecycle, a.engine, err = a.newLifecycle(); err != nil {
		return err
	}
	if a.parts.Work {
		if c.Redis == "" {
			return errors.New(
				"redis-url (DCVAAS_REDIS_URL) is required, such as redis://localhost:6379/0")
		}
		if a.queue, err = queue.New(queue.Config{Store: a.store, Lifecycle: a.lifecycle,
			RedisURL: c.Redis, Concurrency: c.Work.Concurrency,
			Logger: a.log, Registerer: a.metrics, SweepEvery: c.Work.SweepEvery}); err != nil {
			return err
		}
	}
	return nil
}

// Start opens the listeners and starts the workers. It does not wait for services that may be
// unavailable: /readyz reports those. It returns an error if Postgres or Redis rejects the
// settings.
func (a *App) Start(ctx context.Context) error {
	if err := a.verifySettings(ctx); err != nil {
		return err
	}
	a.running.Go(a.checkConnections)
	a.running.Go(a.watchStores)
	if a.zone != nil {
		if err := a.zone.Start(ctx); err != nil {
			return err
		}
	}
	if a.parts.Serve {
		if err := a.startWeb(); err != nil {
			return err
		}
	}
	if a.config.OpsListen != "" {
		if err := a.startOps(); err != nil {
			return err
		}
	}
	if a.queue != nil {
		work, stop := context.WithCancel(context.WithoutCancel(ctx))
		a.stopWork = stop
		a.working.Go(func() {
			select {
			case <-a.verified: // jobs must not use the wrong secrets
			case <-work.Done():
				return
			}
			if err := a.queue.Run(work); err != nil && work.Err() == nil {
				a.fail(err)
			}
		})
		a.working.Go(func() { a.engine.Watch(work, cmp.Or(a.config.Work.SweepEvery, time.Minute)) })
		a.working.Go(func() { a.reportBreakers(work) })
	}
	return nil
}

// Failed returns a channel that receives an error when a part has failed permanently.
func (a *App) Failed() <-chan error { return a.failed }

func (a *App) fail(err error) {
	select {
	case a.failed <- err:
	default:
	}
}

// listen opens a TCP listener. Its error names the flag.
func listen(flag, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return l, nil
}
