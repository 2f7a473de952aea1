package queue

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// depth are gauges of the jobs and orders that are not finished. Each worker reports the values for
// the whole database.
type depth struct {
	due, running, lag prometheus.Gauge
	held              *prometheus.GaugeVec
	orders, oldest    *prometheus.GaugeVec
}

func newDepth() *depth {
	d := &depth{
		due: prometheus.NewGauge(prometheus.GaugeOpts{Name: "dcvaas_jobs_due",
			Help: "Jobs that are queued and due, in the whole database."}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{Name: "dcvaas_jobs_running",
			Help: "Jobs that a worker holds, in the whole database."}),
		lag: prometheus.NewGauge(prometheus.GaugeOpts{Name: "dcvaas_relay_lag_seconds",
			Help: "How long the job that has been due for longest has waited for its dispatch to a worker, in the whole database. 0 without such a job."}),
		held: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "dcvaas_jobs_held",
			Help: "Jobs that wait to place an order, in the whole database, by reason: the counted limits of the CA (ca-quota), the organization's budget (order-budget), an operator's hold (ca-held), or a CA that paused the name (ca-paused) or rejects the account (ca-account)."},
			[]string{"reason"}),
		orders: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "dcvaas_orders_open",
			Help: "Orders that are not over, in the whole database: in progress, or set aside because another CA is used meanwhile."},
			[]string{"state"}),
		oldest: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "dcvaas_orders_oldest_seconds",
			Help: "Age of the oldest order that is in progress or set aside, in the whole database. 0 without one."}, []string{"state"}),
	}
	d.setOrders(postgres.OpenOrders{})
	d.setHeld(nil)
	return d
}

func (d *depth) register(r prometheus.Registerer) {
	r.MustRegister(d.due, d.running, d.lag, d.held, d.orders, d.oldest)
}

func (d *depth) setHeld(counts map[string]int) {
	for _, reason := range controlplane.HeldReasons() {
		d.held.WithLabelValues(reason).Set(float64(counts[reason]))
	}
}

func (d *depth) setOrders(o postgres.OpenOrders) {
	for state, ages := range map[string]postgres.OrderAges{"in_progress": o.InProgress,
		"set_aside": o.SetAside} {
		d.orders.WithLabelValues(state).Set(float64(ages.Count))
		d.oldest.WithLabelValues(state).Set(ages.Oldest.Seconds())
	}
}

// measure updates the gauges. If the database is unavailable, they keep their values, and
// requeueLost logs it.
func (q *Queue) measure(ctx context.Context) {
	m, now := q.metrics.depth, q.Now()
	if jobs, err := q.Store.QueueDepth(ctx, now); err == nil {
		m.due.Set(float64(jobs.Due))
		m.running.Set(float64(jobs.Running))
		m.lag.Set(jobs.Lag.Seconds())
		m.setHeld(jobs.Held)
	}
	if orders, err := q.Store.OpenOrders(ctx, now); err == nil {
		m.setOrders(orders)
	}
}
