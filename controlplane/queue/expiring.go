package queue

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

// newExpiring returns the gauge of certificates that expire soon.
func newExpiring() *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "dcvaas_certificates_expiring",
		Help: "Current certificates that have expired or expire soon, by auto_renew: within 7 days (lifetime long), or with a quarter left of a lifetime under 21 days (short). Each worker reports the number for the whole database."},
		[]string{"lifetime", "auto_renew"})
}

// countExpiring updates the gauge of certificates that expire soon.
func (q *Queue) countExpiring(ctx context.Context) (int, error) {
	counts, err := q.Store.CountExpiring(ctx)
	if err != nil {
		return 0, err
	}
	// Without certificates, the gauges are set to 0.
	seen := map[[2]string]int{{"long", "true"}: 0, {"long", "false"}: 0, {"short", "true"}: 0,
		{"short", "false"}: 0}
	for _, c := range counts {
		key := [2]string{"long", "false"}
		if c.ShortLived {
			key[0] = "short"
		}
		if c.AutoRenew {
			key[1] = "true"
		}
		seen[key] = c.Count
	}
	for key, n := range seen {
		q.metrics.expiring.WithLabelValues(key[:]...).Set(float64(n))
	}
	return 0, nil
}
