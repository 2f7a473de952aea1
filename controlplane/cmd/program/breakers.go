package program

import (
	"context"
	"crypto/rand"
	"os"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// breakerCheckEvery is how often a worker looks for circuit breakers that have opened or closed.
// That costs no query.
const breakerCheckEvery = time.Second

// reportBreakers records in the database which CAs' circuit breakers are open in this worker, until
// ctx is done: each change, and repeatedly while one is open. `dcvaas admin ca list` shows them.
func (a *App) reportBreakers(ctx context.Context) {
	tick := time.NewTicker(breakerCheckEvery)
	defer tick.Stop()
	worker := workerName()
	var reported []controlplane.CABreaker
	var at time.Time
	report := func(ctx context.Context, open []controlplane.CABreaker, now time.Time) {
		if err := a.lifecycle.ReportBreakers(ctx, worker, open); err != nil {
			a.log.WarnContext(ctx, "reporting circuit breakers failed", "error", err)
			return
		}
		reported, at = open, now
	}
	for {
		select {
		case <-ctx.Done():
			if len(reported) > 0 {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
				defer cancel()
				report(ctx, nil, time.Now())
			}
			return
		case now := <-tick.C:
			open := a.engine.OpenBreakers()
			if !slices.Equal(open, reported) ||
				len(open) > 0 && now.Sub(at) > controlplane.BreakerReportFor/3 {
				report(ctx, open, now)
			}
		}
	}
}

// workerName returns a name of this process that no other one has.
func workerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	return host + "-" + rand.Text()[:8]
}
