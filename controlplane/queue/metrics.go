package queue

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// metrics count jobs by type and outcome; no label names a domain or an organization.
type metrics struct {
	jobs    *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	due     prometheus.Gauge
	running prometheus.Gauge

	declined prometheus.Counter

	expiring *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		jobs: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dcvaas_jobs_total",
			Help: "Runs of jobs, by type and outcome: ok (done or waiting), failed, dead, away."}, []string{"type", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "dcvaas_job_seconds",
			Help: "How long a run of a job took.", Buckets: prometheus.ExponentialBuckets(0.005, 3, 10)}, []string{"type"}),
		due: prometheus.NewGauge(prometheus.GaugeOpts{Name: "dcvaas_jobs_due",
			Help: "Jobs that are queued and due, in all of the database."}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{Name: "dcvaas_jobs_running",
			Help: "Jobs that a worker holds, in all of the database."}),
		declined: prometheus.NewCounter(prometheus.CounterOpts{Name: "dcvaas_jobs_handed_back_total",
			Help: "Jobs that went back into their row because others of their organization hang."}),
		expiring: newExpiring(),
	}
	// A counter that is not there yet has no increase when it first counts.
	for _, kind := range controlplane.JobKinds() {
		for _, outcome := range []string{"ok", "failed", "dead", "away"} {
			m.jobs.WithLabelValues(string(kind.Type), outcome)
		}
	}
	if r != nil {
		r.MustRegister(m.jobs, m.seconds, m.due, m.running, m.declined, m.expiring)
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
