package queue

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// metrics count jobs by type and outcome. No label contains a domain or an organization.
type metrics struct {
	jobs    *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	depth   *depth

	declined prometheus.Counter

	expiring *prometheus.GaugeVec
	unserved prometheus.Gauge
	swept    prometheus.Gauge
	zone     zoneMetrics
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		jobs: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dcvaas_jobs_total",
			Help: "Runs of jobs, by type and outcome: ok (completed or deferred), failed, dead (dead-lettered), away (not recorded)."},
			[]string{"type", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "dcvaas_job_duration_seconds",
			Help:    "Duration of the runs of jobs.",
			Buckets: prometheus.ExponentialBuckets(0.005, 3, 10)}, []string{"type"}),
		depth: newDepth(),
		declined: prometheus.NewCounter(
			prometheus.CounterOpts{Name: "dcvaas_jobs_handed_back_total",
				Help: "Jobs that were requeued because other jobs of their organization are stuck."}),
		expiring: newExpiring(),
		unserved: newUnserved(),
		swept:    newSwept(),
		zone:     newZoneMetrics(),
	}
	// Prometheus does not see the first increment of a counter that did not exist before.
	for _, kind := range controlplane.JobKinds() {
		for _, outcome := range []string{"ok", "failed", "dead", "away"} {
			m.jobs.WithLabelValues(string(kind.Type), outcome)
		}
	}
	if r != nil {
		r.MustRegister(m.jobs, m.seconds, m.declined, m.expiring, m.unserved, m.swept,
			m.zone.failures, m.zone.problem, m.zone.probed)
		m.depth.register(r)
	}
	return m
}

func (m *metrics) ran(kind string, err error, took time.Duration) {
	outcome := "ok"
	if _, ok := errors.AsType[*lifecycle.DeadLettered](err); ok {
		outcome = "dead"
	} else if _, ok := errors.AsType[*lifecycle.RetryLater](err); ok {
		outcome = "failed"
	} else if err != nil {
		outcome = "away"
	}
	m.jobs.WithLabelValues(kind, outcome).Inc()
	m.seconds.WithLabelValues(kind).Observe(took.Seconds())
}
