package program

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	ruleExpr   = regexp.MustCompile(`(?s)expr: (.*?)\n +(?:for|labels|annotations):`)
	ruleMetric = regexp.MustCompile(`\b(dcvaas_\w+)(?:\{([^}]*)\})?`)
	ruleLabel  = regexp.MustCompile(`(\w+) *(?:=~|!~|!=|=)`)
	descParts  = regexp.MustCompile(
		`(?s)fqName: "(\w+)", .*constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)
)

// TestAlertRulesNameMetrics tests that the alert rules name only metrics and labels that exist.
func TestAlertRulesNameMetrics(t *testing.T) {
	t.Parallel()
	labels := measured(t, startStack(t, DevConfig{EmbeddedRedis: true}))
	rules, err := os.ReadFile("../../deploy/prometheus-rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	exprs := ruleExpr.FindAllStringSubmatch(string(rules), -1)
	if n := strings.Count(string(rules), "- alert:"); n == 0 || len(exprs) != n {
		t.Fatalf("alerts = %d, expressions = %d, want as many of each", n, len(exprs))
	}
	used := map[string]bool{}
	for _, expr := range exprs {
		for _, m := range ruleMetric.FindAllStringSubmatch(expr[1], -1) {
			name := m[1]
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if base := strings.TrimSuffix(name, suffix); labels[base] != nil {
					name = base
				}
			}
			used[name] = true
			if labels[name] == nil {
				t.Errorf("metric %s does not exist: %s", name, expr[1])
				continue
			}
			for _, l := range ruleLabel.FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(labels[name], l[1]) {
					t.Errorf("%s has no label %s: %s", name, l[1], expr[1])
				}
			}
		}
	}
	for _, name := range []string{"dcvaas_jobs_due", "dcvaas_jobs_total",
		"dcvaas_certificates_expiring", "dcvaas_ca_up", "dcvaas_ca_account_usable",
		"dcvaas_forced_attempts_total", "dcvaas_zone_unserved_domains", "dcvaas_dns_in_sync",
		"dcvaas_sweep_completed_timestamp_seconds", "dcvaas_redis_up", "dcvaas_database_up"} {
		if !used[name] {
			t.Errorf("no alert rule uses %s", name)
		}
	}
}

// measured returns the program's metrics with their labels.
func measured(t *testing.T, s *stack) map[string][]string {
	t.Helper()
	labels := map[string][]string{}
	descs := make(chan *prometheus.Desc)
	go func() { defer close(descs); s.App.metrics.Describe(descs) }()
	for d := range descs {
		m := descParts.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("malformed metric description: %s", d)
		}
		for _, l := range strings.Split(m[2]+","+m[3], ",") {
			name, _, _ := strings.Cut(l, "=")
			labels[m[1]] = append(labels[m[1]], name)
		}
	}
	return labels
}
