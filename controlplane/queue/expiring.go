package queue

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

// newExpiring returns the gauge of certificates that near their end.
func newExpiring() *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "dcvaas_certificates_expiring",
		Help: "Current certificates within 7 days of their end (lifetime long), or with a quarter of a life under 21 days left (short), or ended, by whether they are to be renewed (auto_renew). Every worker shows the number of all the database."},
		[]string{"lifetime", "auto_renew"})
}

// countExpiring shows how many certificates near their end.
func (q *Queue) countExpiring(ctx context.Context) (int, error) {
	counts, err := q.Store.CountExpiring(ctx)
	if err != nil {
		return 0, err
	}
	// A series that is absent would be no zero.
	seen := map[[2]string]int{{"long", "true"}: 0, {"long", "false"}: 0, {"short", "true"}: 0, {"short", "false"}: 0}
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
