package program

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// forcedAttempts is a metric of each CA: the orders that were attempted despite its counted limits.
// It is read from the database when it is scraped, and missing if the database is unavailable.
type forcedAttempts struct {
	store *postgres.Store
	cas   []string
}

var forcedTotal = prometheus.NewDesc("dcvaas_forced_attempts_total",
	"Orders that were attempted at the CA although its counted limits ruled it out, because a certificate was about to expire. Each worker reports the number that all share.",
	[]string{"ca"}, nil)

// Describe implements prometheus.Collector.
func (forcedAttempts) Describe(out chan<- *prometheus.Desc) { out <- forcedTotal }

// Collect implements prometheus.Collector.
func (s forcedAttempts) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	counts, err := s.store.ForcedAttempts(ctx)
	if err != nil {
		return
	}
	for _, ca := range s.cas {
		out <- prometheus.MustNewConstMetric(forcedTotal, prometheus.CounterValue,
			float64(counts[ca]), ca)
	}
}
