package queue

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// newSwept returns the gauge of the last sweep.
func newSwept() prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: "dcvaas_sweep_completed_timestamp_seconds",
		Help: "Unix time at which a worker last completed a sweep for due renewals. Each worker reports the time for the whole database, or its own start before it could read it."})
}

// recordSwept updates the gauge of the last sweep.
func (q *Queue) recordSwept(ctx context.Context) (int, error) {
	at, err := q.Store.Finished(ctx, lifecycle.SweepLease)
	if err == nil && !at.IsZero() {
		q.metrics.swept.Set(float64(at.UnixMilli()) / 1000)
	}
	return 0, err
}
