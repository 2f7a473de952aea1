package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// jobs measures the delay from a job's commit to the start of its work on an idle system, and the
// jobs per second of a worker. The limit is Asynq alone on the same Redis.
func jobs(b *bench, items []string) error {
	s, err := b.startStores("jobs")
	if err != nil {
		return err
	}
	defer s.stop()
	doctor := &instantDoctor{start: map[string]chan time.Time{}}
	t, err := b.newTenant(s, "jobs", doctor)
	if err != nil {
		return err
	}
	defer t.close()
	stop, err := t.startQueue(b.ctx, s.redisDB(0))
	if err != nil {
		return err
	}
	defer stop()
	bare, err := startBareQueue(s.redisDB(1), nil)
	if err != nil {
		return err
	}
	defer bare.stop()
	if slices.Contains(items, "pickup") {
		if err := b.pickup(t, doctor, bare); err != nil {
			return err
		}
	}
	if slices.Contains(items, "drain") {
		if err := b.drain(s, t, bare); err != nil {
			return err
		}
	}
	b.table.note(
		"jobs: dns_check jobs whose lookup returns immediately, so that each is dispatched, claimed, run, and concluded durably in Postgres; limit: tasks without work in Asynq alone, with the same Redis, concurrency, and check interval. By hand: those tasks, each with two durable updates of a bare row.")
	return nil
}

// pickup measures committed → running: from AddDomain's return to the start of the lookup,
// including the claim. The limit is the delay from Asynq's Enqueue to its handler.
func (b *bench) pickup(t *tenant, doctor *instantDoctor, bare *bareQueue) error {
	n := pick(b.options.quick, 10, 25)
	var ours, limit []float64
	one := func(round, i int) (time.Duration, error) {
		name := fmt.Sprintf("p%d-%d.example.com", round, i)
		ran := doctor.expect(name)
		_, err := t.lifecycle.AddDomain(b.ctx, controlplane.System("bench"), t.orgID,
			lifecycle.NewDomain{Name: name, Options: controlplane.Options{AutoRenew: true}})
		committed := time.Now()
		if err != nil {
			return 0, err
		}
		select {
		case at := <-ran:
			return max(at.Sub(committed), 0), nil
		case <-time.After(10 * time.Second):
			return 0, fmt.Errorf("the job of %s did not run before the timeout", name)
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		}
	}
	each := func(into *[]float64, one func(round, i int) (time.Duration, error)) func(int) error {
		return func(round int) error {
			for i := range n {
				// An odd pause avoids synchronization with timers.
				time.Sleep(37*time.Millisecond + time.Duration(i)*1700*time.Microsecond)
				took, err := one(round, i)
				if err != nil {
					return err
				}
				*into = append(*into, ms(took))
			}
			return nil
		}
	}
	err := b.interleave("jobs/pickup", each(&ours, one),
		each(&limit, func(int, int) (time.Duration, error) { return bare.pickup(b.ctx) }))
	if err != nil {
		return err
	}
	b.table.addPooled("job committed → running, idle, p50", 50, ours, limit, atMost(50, "ms"))
	b.table.addPooled("job committed → running, idle, p99", 99, ours, limit, atMost(150, "ms"))
	return nil
}

// drain measures jobs per second from the commit of many jobs to the end of the last one, and the
// CPU time of this process and Postgres for each job.
func (b *bench) drain(s *stores, t *tenant, bare *bareQueue) error {
	rows, err := openBareJobs(b.ctx, t.dsn)
	if err != nil {
		return err
	}
	defer rows.pool.Close()
	byHand, err := startBareQueue(s.redisDB(2), rows.run)
	if err != nil {
		return err
	}
	defer byHand.stop()
	n := pick(b.options.quick, 500, 2000)
	var ours, limit, hand drains
	err = b.interleave("jobs/drain",
		func(round int) error {
			prefix := fmt.Sprintf("d%d-", round)
			if err := t.addDomains(b.ctx, prefix, n); err != nil {
				return err
			}
			return ours.measure(s, n, func() error {
				return t.drained(b.ctx, n, func() error { return t.addChecks(b.ctx, prefix) })
			})
		},
		func(round int) error {
			if err := limit.measure(s, n,
				func() error {
					return bare.drain(b.ctx,
						"job_01h455vb4pex5vsknk084", n)
				}); err != nil {
				return err
			}
			prefix := fmt.Sprintf("job_by_hand_%d_", round)
			if err := rows.add(b.ctx, prefix, n); err != nil {
				return err
			}
			return hand.measure(s, n, func() error { return byHand.drain(b.ctx, prefix, n) })
		})
	if err != nil {
		return err
	}
	many := thousands(fmt.Sprint(n)) + " at once"
	b.table.add("jobs drained, "+many, "/s", ours.rate, limit.rate, ratioAtLeast(0.7))
	b.table.add("the same, limit: one durable claim and one durable conclusion by hand",
		"/s", ours.rate, hand.rate, target{})
	b.table.add("CPU of a drained job in this process, limit: by hand", "µs", ours.process,
		hand.process, target{})
	b.table.add("CPU of a drained job in Postgres, limit: by hand", "µs", ours.postgres,
		hand.postgres, target{})
	return nil
}

// drains are the results of one side, per job.
type drains struct{ rate, process, postgres []float64 }

func (d *drains) measure(s *stores, n int, work func() error) error {
	postgres, err := cpuOf(s.postgres.PID())
	if err != nil {
		return err
	}
	process, start := cpuTime(), time.Now()
	if err := work(); err != nil {
		return err
	}
	took, used := time.Since(start), cpuTime()-process
	after, err := cpuOf(s.postgres.PID())
	each := func(cpu time.Duration) float64 {
		return float64(cpu) / float64(time.Microsecond) / float64(n)
	}
	d.rate = append(d.rate, float64(n)/took.Seconds())
	d.process, d.postgres = append(d.process, each(used)), append(d.postgres, each(after-postgres))
	return err
}

// addDomains stores domains without jobs.
func (t *tenant) addDomains(ctx context.Context, prefix string, n int) error {
	_, err := t.db.Exec(ctx, `
		INSERT INTO domains (id, org_id, name, cname_target, status, auto_issue)
		SELECT 'dom_' || $1 || i, $2, $1 || i || '.example.com', md5($1 || i), 'pending_cname', false FROM generate_series(1, $3) i`, prefix, t.orgID, n)
	return err
}

// addChecks commits a job for each of these domains.
func (t *tenant) addChecks(ctx context.Context, prefix string) error {
	_, err := t.db.Exec(ctx, `
		INSERT INTO jobs (id, org_id, domain_id, type, slot, queue)
		SELECT 'job_' || id, org_id, id, 'dns_check', 'check', 'critical' FROM domains WHERE org_id = $2 AND id LIKE 'dom\_' || $1 || '%'`, prefix, t.orgID)
	return err
}

// drained adds jobs and returns when all are done.
func (t *tenant) drained(ctx context.Context, n int, add func() error) error {
	if err := add(); err != nil {
		return err
	}
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		var left bool
		if err := t.db.QueryRow(ctx,
			`SELECT EXISTS (SELECT 1 FROM jobs WHERE status IN ('queued', 'running'))`).Scan(
			&left); err != nil || !left {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
	rows, err := t.db.Query(ctx,
		`SELECT status || ' ' || reason || ' ' || last_error_code || ': ' || count(*) FROM jobs GROUP BY status, reason, last_error_code`)
	if err != nil {
		return err
	}
	left, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	return fmt.Errorf("%d jobs were not drained before the timeout: %q", n, left)
}

// instantDoctor immediately finds every delegation correct, and signals waiting measurements.
type instantDoctor struct {
	mu    sync.Mutex
	start map[string]chan time.Time
}

func (d *instantDoctor) expect(name string) <-chan time.Time {
	ch := make(chan time.Time, 1)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.start[name] = ch
	return ch
}

// RehearseNames implements lifecycle.Doctor.
func (d *instantDoctor) RehearseNames(
	ctx context.Context, names []controlplane.NameCheck, cas []controlplane.CAIdentity,
) ([]controlplane.Examination, error) {
	return d.ExamineNames(ctx, names, cas)
}

// ExamineNames implements lifecycle.Doctor.
func (d *instantDoctor) ExamineNames(
	ctx context.Context, names []controlplane.NameCheck, cas []controlplane.CAIdentity,
) ([]controlplane.Examination, error) {
	var all []controlplane.Examination
	for _, n := range names {
		e, err := d.examine(ctx, n.Name, n.Target, n.Wildcard, cas)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

func (d *instantDoctor) examine(
	_ context.Context, domain, _ string, _ bool, _ []controlplane.CAIdentity,
) (controlplane.Examination, error) {
	now := time.Now()
	d.mu.Lock()
	ch := d.start[domain]
	delete(d.start, domain)
	d.mu.Unlock()
	if ch != nil {
		ch <- now
	}
	return controlplane.Examination{Delegation: controlplane.Diagnosis{Code: controlplane.CauseOK,
		Summary: "in place", CheckedAt: now}}, nil
}
