package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/cmd/program"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// noises are the kinds of load that one tenant or one network causes.
var noises = map[string]struct {
	what  string
	start func(n *noise) error // returns at full load; n.stop stops it
}{
	"bodies":   {"wrong bodies", (*noise).wrongBodies},
	"requests": {"streams, pages, wrong credentials", (*noise).requests},
	"work":     {"orders, webhooks, exports", (*noise).work},
	"dns":      {"floods of the name server", (*noise).dnsFloods},
	"locks":    {"40 jobs whose domains are locked", (*noise).lockedRows},
	"removal":  {"the deletion of a large organization", (*noise).removal},
	"renewals": {"as many renewals at once", (*noise).renewals},
}

// noisy measures the experience of a quiet organization on the pro plan, with and without a tenant
// that causes as much load as possible. All limits are enabled.
//
// Two cores run everything: program, Postgres, Redis, test CA, and both tenants. To keep the load
// generator's influence on the ratio small, noise uses few goroutines, pauses after each rejection,
// stops after noiseRequests, and sends prepared requests. Each noisy round uses a new organization
// with full bursts.
func noisy(b *bench, items []string) error {
	dev, err := b.startDev("noisy", true, func(c *program.Config) {
		c.HTTP.RateLimits = true
		c.DNS.RateExempt = []string{"::1/128"} // neither the test CA nor the workers are exempt
	})
	if err != nil {
		return err
	}
	defer stopDev(dev)
	operator, err := b.newOperator(dev)
	if err != nil {
		return err
	}
	defer operator.close()
	q, err := b.newQuiet(operator)
	if err != nil {
		return err
	}
	defer q.close()
	// registers the account, and fills the first page of the list
	if _, err := q.measure(2 * time.Second); err != nil {
		return err
	}
	for _, item := range items {
		if err := b.noisyBeside(operator, q, item); err != nil {
			return fmt.Errorf("%s: %w", item, err)
		}
	}
	b.table.note(
		"noisy: together with a noisy tenant or network, with all limits enabled; limit: the same on the quiet system. An organization on the pro plan sends GET of a page of domains every %s and POST of a delegated domain every %s; certificate: from POST to active; webhook: from the event's time to its arrival at a receiver that responds immediately. p50 and p95 of each round.", quietGetEvery, quietPostEvery)
	return nil
}

// noisyBeside measures one kind of load.
func (b *bench) noisyBeside(o *operator, q *quiet, item string) error {
	kind := noises[item]
	length := pick(b.options.quick, 3*time.Second, 8*time.Second)
	var sides [2][]experience
	var others [2][]float64
	measure := func(side int) error {
		at, before := time.Now(), othersUsed(q)
		e, err := q.measure(length)
		others[side] = append(others[side],
			100*float64(othersUsed(q)-before)/float64(time.Since(at))/float64(
				runtime.GOMAXPROCS(0)))
		sides[side] = append(sides[side], e)
		return err
	}
	var sent, refused, failed int64
	err := b.interleave("noisy/"+item,
		func(int) error {
			n, err := o.newNoise()
			if err != nil {
				return err
			}
			defer n.stop()
			if err := settle(b.ctx); err != nil {
				return err
			}
			if err := kind.start(n); err != nil {
				return err
			}
			err = measure(0)
			n.stop()
			sent, refused, failed = sent+n.sent.Load(), refused+n.refused.Load(),
				failed+n.failed.Load()
			return err
		},
		func(int) error {
			if err := settle(b.ctx); err != nil {
				return err
			}
			return measure(1)
		})
	if err != nil {
		return err
	}
	for _, f := range experienceFigures {
		for _, p := range []float64{50, 95} {
			per := func(side int) []float64 {
				out := make([]float64, len(sides[side]))
				for i, e := range sides[side] {
					out[i] = percentile(f.of(e), p)
				}
				return out
			}
			b.table.add(fmt.Sprintf("beside %s: %s, p%g", kind.what, f.name, p), "ms", per(0),
				per(1), ratioAtMost(2))
		}
	}
	b.table.note(
		"noisy/%s: %s requests, of which %s were rejected with 429, and %s got no complete response. Other processes used %.0f%% of the processors in the noisy rounds, and %.0f%% in the quiet ones: above about 10%%, they affect the high percentiles.", item,
		thousands(fmt.Sprint(sent)), thousands(fmt.Sprint(refused)), thousands(fmt.Sprint(failed)),
		median(others[0]), median(others[1]))
	return nil
}

// othersUsed returns the CPU time of all processes except this one and Postgres.
func othersUsed(q *quiet) time.Duration { return busyTime() - cpuTime() - q.postgresCPU() }

// settle waits until this process is nearly idle, or for a limited time, so that one round does not
// affect the next.
func settle(ctx context.Context) error {
	const look = 300 * time.Millisecond
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		before := cpuTime()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(look):
		}
		if cpuTime()-before < look/6 {
			break
		}
	}
	return nil
}

// operator creates the organizations in the store of a running system.
type operator struct {
	b         *bench
	dev       *program.Dev
	store     *postgres.Store
	lifecycle *lifecycle.Service
	noises    int // so far
}

func (b *bench) newOperator(dev *program.Dev) (*operator, error) {
	store, err := postgres.Open(b.ctx, postgres.Config{DSN: dev.Postgres.DSN()})
	if err != nil {
		return nil, err
	}
	o := &operator{b: b, dev: dev, store: store}
	o.lifecycle, err = lifecycle.New(lifecycle.Config{Store: store, Zone: dev.Config.Zone,
		TargetKey: make([]byte, 32), Doctor: &instantDoctor{}, Issuer: noIssuer{}})
	if err != nil {
		store.Close()
		return nil, err
	}
	return o, nil
}

func (o *operator) close() { o.store.Close() }

// host returns the API's host and port.
func (o *operator) host() string {
	return strings.TrimPrefix(o.dev.Env()["DCVAAS_ENDPOINT"], "http://")
}
