package program

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/api"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// readyTimeout is the timeout of a readiness check: load balancers check every few seconds.
	readyTimeout = 3 * time.Second
	// writesEvery is the minimum interval between checks whether Postgres can store data.
	writesEvery = 5 * time.Second
	// storesEvery is the interval between checks of the stores for metrics.
	storesEvery = 10 * time.Second
)

// ready checks the services that this process needs. Requests do not need Redis: without it, they
// are still accepted, and their jobs wait in Postgres. Workers need it.
func (a *App) ready(ctx context.Context) map[string]error {
	inRedis := make(chan error, 1)
	if a.redis != nil {
		go func() { inRedis <- a.checkRedis(ctx) }()
	}
	checks := map[string]error{"postgres": a.store.Ping(ctx)}
	if checks["postgres"] == nil {
		migrated, err := a.store.Migrated(ctx)
		if err == nil && !migrated {
			err = errors.New("the database schema is older than this program; run dcvaas migrate")
		}
		checks["schema"] = err
		if err == nil {
			checks["settings"] = a.isVerified()
			checks["postgres"] = a.checkWritable(ctx)
		}
		if err == nil && a.parts != (Parts{DNS: true}) {
			checks["acme_accounts"] = a.accounts(ctx)
		}
	}
	if a.zone != nil {
		checks["dns"] = nil
		switch {
		case !a.zone.Leased():
			checks["dns"] = errors.New("the lease has lapsed")
		case !a.zone.Loaded():
			checks["dns"] = errors.New("the zone is not loaded")
		case !a.zone.Ready():
			checks["dns"] = fmt.Errorf("the feed is %s behind", a.zone.Lag().Round(time.Second))
		}
	}
	if a.redis != nil {
		checks["redis"] = <-inRedis
		if err := checks["redis"]; err != nil && !a.parts.Work {
			checks["redis"] = api.Degraded("unavailable")
			if setupError(err) != nil {
				checks["redis"] = api.Degraded(misconfigured)
			}
		}
	}
	for part, err := range checks {
		if setup := postgres.SetupErrorOf(err); setup != nil {
			checks[part] = setup
		}
	}
	return checks
}

// writes is the last check whether Postgres can store data. All callers share it, so that probes
// cost at most one write per writesEvery.
type writes struct {
	turn chan struct{} // has a value while a check runs
	at   time.Time
	err  error
}

// checkWritable returns an error if Postgres cannot store data, in a process that stores some.
func (a *App) checkWritable(ctx context.Context) error {
	if !a.parts.Serve && !a.parts.Work {
		return nil
	}
	w := &a.writes
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
	case <-ctx.Done():
		return fmt.Errorf("checking whether Postgres can store data: %w", ctx.Err())
	}
	if time.Since(w.at) < writesEvery {
		return w.err
	}
	err := a.store.CheckWritable(ctx)
	if errors.Is(err, context.Canceled) {
		return err // says nothing about Postgres
	}
	w.at, w.err = time.Now(), err
	return err
}

// redisCanary writes a key and reads it, in a script like those of the queue.
const redisCanary = `redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000) return redis.call('GET', KEYS[1])`

// checkRedis returns an error if Redis can't transport jobs: it is unreachable or read-only, runs
// no scripts, or would evict keys.
func (a *App) checkRedis(ctx context.Context) error {
	nonce := rand.Text()
	got, err := a.redis.Eval(ctx, redisCanary, []string{"dcvaas:canary:" + nonce}, nonce).Text()
	if err != nil {
		return a.redisError(err)
	}
	if got != nonce {
		return errors.New("a key that was written could not be read")
	}
	memory, err := a.redis.Info(ctx, "memory").Result()
	if err != nil {
		return ctx.Err() // the server does not report its policy
	}
	limit, policy := infoField(memory, "maxmemory"), infoField(memory, "maxmemory_policy")
	if limit != "" && limit != "0" && policy != "" && policy != "noeviction" {
		return fmt.Errorf("it evicts jobs (maxmemory-policy %s): set noeviction", policy)
	}
	return nil
}

// infoField returns a field of Redis' INFO, "" if it is missing.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return value
		}
	}
	return ""
}

// storeGauges are metrics of the stores, as this process reaches them.
type storeGauges struct{ database, redis prometheus.Gauge }

func newStoreGauges(r prometheus.Registerer, withRedis bool) storeGauges {
	g := storeGauges{
		database: prometheus.NewGauge(prometheus.GaugeOpts{Name: "dcvaas_database_up",
			Help: "1 while this process can use Postgres, checked every 10 seconds: it responds, and, for serve and work, stores data."}),
		redis: prometheus.NewGauge(prometheus.GaugeOpts{Name: "dcvaas_redis_up",
			Help: "1 while Redis can transport jobs of this process, checked every 10 seconds: it is reachable, writable, runs scripts, and does not evict keys."})}
	r.MustRegister(g.database)
	g.database.Set(1)
	if withRedis {
		r.MustRegister(g.redis)
		g.redis.Set(1)
	}
	return g
}

// watchStores updates the gauges of the stores, and logs each failed check.
func (a *App) watchStores() {
	for {
		ctx, cancel := context.WithTimeout(a.watching, readyTimeout)
		err := a.store.Ping(ctx)
		if err == nil {
			err = a.checkWritable(ctx)
		}
		errs := map[string]error{"postgres": err}
		a.stores.database.Set(up(errs["postgres"]))
		cancel()
		if a.redis != nil {
			ctx, cancel := context.WithTimeout(a.watching, readyTimeout)
			errs["redis"] = a.checkRedis(ctx)
			a.stores.redis.Set(up(errs["redis"]))
			cancel()
		}
		for store, err := range errs {
			if err == nil || a.watching.Err() != nil {
				continue
			}
			if setup := setupError(err); setup != nil {
				a.log.Error("store misconfigured", "store", store, "error", setup)
			} else {
				a.log.Warn("store unavailable", "store", store, "error", err)
			}
		}
		select {
		case <-a.watching.Done():
			return
		case <-time.After(storesEvery):
		}
	}
}

func up(err error) float64 {
	if err != nil {
		return 0
	}
	return 1
}
