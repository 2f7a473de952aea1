package queue

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

// newUnserved returns the gauge of domains that wait for the validation zone.
func newUnserved() prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: "dcvaas_zone_unserved_domains",
		Help: "Domains whose jobs wait because the validation zone does not answer. Each worker reports the number for the whole database."})
}

// countUnserved updates the gauge of domains that wait for the validation zone.
func (q *Queue) countUnserved(ctx context.Context) (int, error) {
	n, err := q.Store.CountUnserved(ctx)
	if err == nil {
		q.metrics.unserved.Set(float64(n))
	}
	return 0, err
}
