package queue

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// probeTick is the interval between checks whether a probe of the validation zone is due.
const probeTick = 5 * time.Second

// zoneMetrics are what the last probes of the validation zone found out.
type zoneMetrics struct {
	failures prometheus.Gauge
	problem  *prometheus.GaugeVec
	probed   prometheus.Gauge
}

func newZoneMetrics() zoneMetrics {
	m := zoneMetrics{
		failures: prometheus.NewGauge(prometheus.GaugeOpts{Name: "dcvaas_zone_probe_failures",
			Help: "Probes of the validation zone in a row that failed. From 1 on, no order starts. Each worker reports the number for the whole database."}),
		problem: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "dcvaas_zone_problem",
			Help: "1 if the last probe found the step broken on the way from resolvers to the validation zone: replica, delegation, glue, port-53, or resolution. The log of the worker has the details. Each worker reports the same."},
			[]string{"step"}),
		probed: prometheus.NewGauge(
			prometheus.GaugeOpts{Name: "dcvaas_zone_probe_timestamp_seconds",
				Help: "Unix time at which a worker last completed a probe of the validation zone. 0 before the first. Each worker reports the same."}),
	}
	m.set(controlplane.ZoneState{}) // until it is read
	return m
}

func (m zoneMetrics) set(z controlplane.ZoneState) {
	m.failures.Set(float64(z.Failures))
	broken := map[controlplane.ZoneStep]bool{}
	for _, p := range z.Problems {
		broken[p.Step] = true
	}
	for _, step := range controlplane.ZoneSteps() {
		value := 0.0
		if broken[step] {
			value = 1
		}
		m.problem.WithLabelValues(string(step)).Set(value)
	}
	if !z.CheckedAt.IsZero() {
		m.probed.Set(float64(z.CheckedAt.Unix()))
	}
}

// probeZone tests the validation zone when a test is due.
func (q *Queue) probeZone(ctx context.Context) {
	for {
		if err := q.Lifecycle.ProbeZone(ctx); err != nil && ctx.Err() == nil {
			q.Logger.WarnContext(ctx,
				"queue: testing the validation zone failed; retried in the next run", "error", err)
		}
		if z, err := q.Store.ZoneState(ctx); err == nil {
			q.metrics.zone.set(z)
		}
		if !sleep(ctx, probeTick) {
			return
		}
	}
}
