package program

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnscheck"
)

// checkQueries are metrics of the DNS queries that checks send, and of the answers that they share.
type checkQueries struct{ doctor *dnscheck.Doctor }

var (
	queriesTotal = prometheus.NewDesc("dcvaas_check_queries_total",
		"DNS queries that this process has sent to check domains, to resolvers (resolver) and to the zones' name servers (name_server).",
		[]string{"to"}, nil)
	answersReused = prometheus.NewDesc("dcvaas_check_answers_reused_total",
		"Answers to shared queries, about zones and CAA records, that a check took from an earlier or concurrent one in this process.",
		nil, nil)
	answersKept = prometheus.NewDesc("dcvaas_check_cache_entries",
		"Answers that this process keeps for the checks of sibling domains.", nil, nil)
	answersBytes = prometheus.NewDesc("dcvaas_check_cache_bytes",
		"Memory of the answers that this process keeps for the checks of sibling domains. It is limited to 16 MiB.", nil, nil)
)

// Describe implements prometheus.Collector.
func (checkQueries) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{queriesTotal, answersReused, answersKept, answersBytes} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c checkQueries) Collect(out chan<- prometheus.Metric) {
	s := c.doctor.Stats()
	out <- prometheus.MustNewConstMetric(queriesTotal, prometheus.CounterValue,
		float64(s.ResolverQueries), "resolver")
	out <- prometheus.MustNewConstMetric(queriesTotal, prometheus.CounterValue,
		float64(s.ServerQueries), "name_server")
	out <- prometheus.MustNewConstMetric(answersReused, prometheus.CounterValue, float64(s.Reused))
	out <- prometheus.MustNewConstMetric(answersKept, prometheus.GaugeValue, float64(s.Entries))
	out <- prometheus.MustNewConstMetric(answersBytes, prometheus.GaugeValue, float64(s.Bytes))
}
