package soak

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

const (
	workersAtOnce = 8
	laneRoom      = 100
	// leastLeap is the shortest step of the clock. It is longer than a lease.
	leastLeap = 15 * time.Second
	// sweepEvery is the shortest time between sweeps: a minute in production, longer here, where
	// each sweep costs a step of the clock.
	sweepEvery = time.Hour
	// oddsOfDeath is the probability that a run's worker dies within its next steps. An order has
	// 20 steps, a check of the delegation one.
	oddsOfDeath = 0.02
	// vacuumEvery is the number of clock steps between vacuums of the tables. Autovacuum uses the
	// real clock, and months may pass here in a minute.
	vacuumEvery = 200
)

// live runs the whole scenario.
func (w *world) live() {
	for !w.clock.Now().After(w.scenario.end) {
		if w.seen.leaps++; w.seen.leaps%vacuumEvery == 0 {
			w.vacuum()
		}
		w.progress()
		w.noneExpired()
		w.startFaults()
		w.expireKilled()
		w.serveCustomers()
		w.sweep()
		w.deliver()
		w.restore()
		if w.t.Failed() {
			return
		}
		w.leap()
	}
}

// leap moves the clock to the next time at which something is due.
func (w *world) leap() {
	now := w.clock.Now()
	next := earlier(w.scenario.edge(now), w.scan)
	if !w.transport.away {
		next = earlier(next, w.transport.next())
	}
	if len(w.killed) > 0 {
		next = earlier(next, now.Add(leastLeap))
	}
	job, sweep := w.due()
	if job != nil && !w.transport.away {
		next = earlier(next, *job)
	}
	if sweep != nil {
		next = earlier(next, later(*sweep, w.lastSweep.Add(sweepEvery)))
	}
	next = later(next, now.Add(leastLeap))
	if next.After(w.scenario.end) {
		next = w.scenario.end.Add(time.Nanosecond)
	}
	w.redis.FastForward(next.Sub(w.forwarded))
	w.forwarded = next
	w.clock.set(next)
}

// due returns when the next job is due, and when a sweep will next find work; nil if there is
// nothing.
func (w *world) due() (job, sweep *time.Time) {
	must(w.t, w.own.QueryRow(w.t.Context(), `SELECT
		(SELECT min(run_at) FROM jobs WHERE status = 'queued' AND dispatched_at IS NULL),
		least((SELECT min(renew_at) FROM domains WHERE status IN ('active', 'error') AND auto_renew AND NOT renewal_queued),
			(SELECT min(ari_check_at) FROM domains WHERE status = 'active' AND auto_renew),
			(SELECT min(rehearse_at) FROM domains WHERE status = 'active'),
			(SELECT min(poll_at) FROM acme_orders WHERE step = 'set-aside'))`).Scan(&job, &sweep))
	return job, sweep
}

func (w *world) vacuum() {
	for _, sql := range []string{"VACUUM domains", "VACUUM jobs"} {
		_, err := w.own.Exec(w.t.Context(), sql)
		must(w.t, err)
	}
}

// sweep does what each replica does every minute, and daily.
func (w *world) sweep() {
	ctx, now := w.t.Context(), w.clock.Now()
	daily := !now.Before(w.scan)
	if !daily && now.Sub(w.lastSweep) < sweepEvery {
		return
	}
	w.lastSweep = now
	sweeps := append(sweepsOf(w.workers), w.workers.Rehearse, w.workers.Warn)
	if daily {
		w.scan = lifecycle.NextScan(now)
		sweeps = append(sweeps, w.workers.DailyScan)
		must(w.t, w.workers.Tidy(ctx))
		sweeps = append(sweeps, w.workers.Retain)
		w.measureGrowth()
	}
	for _, fn := range sweeps {
		_, err := fn(ctx)
		must(w.t, err)
	}
	ended, err := w.workers.Expire(ctx)
	must(w.t, err)
	w.seen.ended += ended
}

// sweepsOf returns the sweeps that add jobs for certificates.
func sweepsOf(s *lifecycle.Service) []func(context.Context) (int, error) {
	return []func(context.Context) (int, error){s.CheckRenewals, s.Sweep, s.CollectOrders}
}

// deliver dispatches and runs jobs until none is due, or until the engine's waits have moved the
// clock by a step.
func (w *world) deliver() {
	end := w.clock.Now().Add(leastLeap)
	for round := 0; w.clock.Now().Before(end); round++ {
		w.dispatch()
		due := w.transport.take(w.clock.Now())
		if len(due) == 0 {
			return
		}
		if round == 100 {
			j, err := w.store.Job(w.t.Context(), w.org, due[0].job)
			w.t.Fatalf("at %s: %d jobs remain due after many rounds, such as %+v (%v)",
				w.clock.Now(), len(due), j, err)
		}
		g := errgroup.Group{}
		g.SetLimit(workersAtOnce)
		var mu sync.Mutex
		for _, one := range due {
			g.Go(func() error { w.run(&mu, one); return nil })
		}
		_ = g.Wait()
	}
}

func (w *world) dispatch() {
	for !w.transport.away {
		now := w.clock.Now()
		n, err := w.store.DispatchDue(w.t.Context(), now, w.lanes,
			func(jobs []controlplane.Job) error { return w.transport.enqueue(now, jobs) })
		must(w.t, err)
		if n < laneRoom {
			return // no lane is full
		}
	}
}

// run runs one task and records its result.
func (w *world) run(mu *sync.Mutex, one task) {
	ctx := w.t.Context()
	if n := w.dice.below(20) + 1; w.dying || !*soakCalm && w.dice.float() < oddsOfDeath {
		ctx = doomed(ctx, n)
	}
	done := w.clock.work()
	died, err := work(func() error { return w.workers.RunJob(ctx, one.job, one.generation) })
	done()
	mu.Lock()
	defer mu.Unlock()
	w.seen.runs++
	now := w.clock.Now()
	again, isAgain := errors.AsType[*lifecycle.RetryLater](err)
	_, isDead := errors.AsType[*lifecycle.DeadLettered](err)
	switch {
	case died:
		w.seen.killed++
		w.killed = append(w.killed, one.job)
	case isAgain:
		one.at = now.Add(again.After)
		w.transport.tasks[one] = true
	case isDead:
		w.seen.dead++
	case err != nil:
		w.seen.unexpected[err.Error()]++
		one.at = now.Add(leastLeap)
		w.transport.tasks[one] = true
	}
}

// expireKilled expires the leases of killed workers and requeues their jobs.
func (w *world) expireKilled() {
	if len(w.killed) == 0 {
		return
	}
	for _, table := range []string{
		`UPDATE domains SET claimed_until = now() - interval '1 second' WHERE claimed_by = ANY($1)`,
		`UPDATE jobs SET claimed_until = now() - interval '1 second' WHERE id = ANY($1) AND status = 'running'`} {
		_, err := w.own.Exec(w.t.Context(), table, w.killed)
		must(w.t, err)
	}
	w.killed = nil
	_, err := w.store.RequeueLost(w.t.Context(), w.clock.Now(), 1000)
	must(w.t, err)
}

// serveCustomers adds the domains that are due. Customers do nothing else.
func (w *world) serveCustomers() {
	ctx, now := w.t.Context(), w.clock.Now()
	for i := range w.scenario.subjects {
		if s := &w.scenario.subjects[i]; !s.added.After(now) && !s.done {
			s.done = true
			w.added++
			d, err := w.workers.AddDomain(ctx, controlplane.System("customer"), w.org,
				lifecycle.NewDomain{Name: s.name,
					Options: controlplane.Options{AutoIssue: true, AutoRenew: true,
						Profile: s.profile, CA: s.ca, Wildcard: s.wildcard,
						AdditionalNames: s.more}})
			must(w.t, err)
			w.dns.delegate(d)
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
