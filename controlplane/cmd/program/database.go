package program

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// databaseUse are metrics of how this process uses Postgres.
type databaseUse struct{ store *postgres.Store }

var (
	connectionsOpen = prometheus.NewDesc("dcvaas_database_connections",
		"Open connections of this process to Postgres, by pool and state: in_use or idle. Commits in the pool lazy do not wait for the disk.",
		[]string{"pool", "state"}, nil)
	connectionsMax = prometheus.NewDesc("dcvaas_database_connections_limit",
		"Maximum connections of the pool.", []string{"pool"}, nil)
	connectionWaits = prometheus.NewDesc("dcvaas_database_connection_waits_total",
		"Statements and transactions that waited because no connection of the pool was idle.",
		[]string{"pool"}, nil)
	connectionWaitTime = prometheus.NewDesc("dcvaas_database_connection_wait_seconds_total",
		"Total time that statements and transactions waited because no connection of the pool was idle.", []string{"pool"}, nil)
	lockTimeouts = prometheus.NewDesc("dcvaas_database_lock_timeouts_total",
		"Statements that ended because another transaction kept a lock. Most are repeated after a pause.",
		nil, nil)
	statementTimeouts = prometheus.NewDesc("dcvaas_database_statement_timeouts_total",
		"Statements that reached their time limit, including the wait for a connection.", nil, nil)
)

// Describe implements prometheus.Collector.
func (databaseUse) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{connectionsOpen, connectionsMax, connectionWaits,
		connectionWaitTime, lockTimeouts, statementTimeouts} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (u databaseUse) Collect(out chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, t, v, labels...)
	}
	stats := u.store.Stats()
	for _, p := range stats.Pools {
		send(connectionsOpen, prometheus.GaugeValue, float64(p.InUse), p.Name, "in_use")
		send(connectionsOpen, prometheus.GaugeValue, float64(p.Idle), p.Name, "idle")
		send(connectionsMax, prometheus.GaugeValue, float64(p.Max), p.Name)
		send(connectionWaits, prometheus.CounterValue, float64(p.Waits), p.Name)
		send(connectionWaitTime, prometheus.CounterValue, p.WaitFor.Seconds(), p.Name)
	}
	send(lockTimeouts, prometheus.CounterValue, float64(stats.LockTimeouts))
	send(statementTimeouts, prometheus.CounterValue, float64(stats.StatementTimeouts))
}
