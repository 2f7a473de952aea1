package program

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnscheck"
)

// TestCheckMetrics checks that the metrics of checks are registered and consistent.
func TestCheckMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(checkQueries{dnscheck.New(dnscheck.Config{})})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	samples := map[string]int{}
	for _, f := range families {
		samples[f.GetName()] = len(f.GetMetric())
	}
	for name, want := range map[string]int{"dcvaas_check_queries_total": 2,
		"dcvaas_check_answers_reused_total": 1, "dcvaas_check_cache_entries": 1,
		"dcvaas_check_cache_bytes": 1} {
		if samples[name] != want {
			t.Errorf("%s has %d samples, want %d", name, samples[name], want)
		}
	}
}
