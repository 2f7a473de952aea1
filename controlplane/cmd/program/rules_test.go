package program

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

var (
	ruleExpr   = regexp.MustCompile(`(?s)expr: (.*?)\n +(?:for|labels|annotations):`)
	ruleMetric = regexp.MustCompile(`\b(dcvaas_\w+)(?:\{([^}]*)\})?`)
	ruleLabel  = regexp.MustCompile(`(\w+) *(?:=~|!~|!=|=)`)
	ruleGroup  = regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)`)
	// labels that a legend of the dashboard shows
	legendLabel = regexp.MustCompile(`\{\{(\w+)\}\}`)
	descHelp    = regexp.MustCompile(`fqName: "(\w+)", help: ("(?:[^"\\]|\\.)*")`)
	descParts   = regexp.MustCompile(
		`(?s)fqName: "(\w+)", .*constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)
)

// TestQueriesNameMetrics tests that the alert rules and the dashboard name only metrics and labels
// that exist.
func TestQueriesNameMetrics(t *testing.T) {
	t.Parallel()
	labels := measured(t, startStack(t, DevConfig{EmbeddedRedis: true}))
	rules := readText(t, "controlplane/deploy/prometheus-rules.yaml")
	exprs := ruleExpr.FindAllStringSubmatch(rules, -1)
	if n := strings.Count(rules, "- alert:"); n == 0 || len(exprs) != n {
		t.Fatalf("alerts = %d, expressions = %d, want as many of each", n, len(exprs))
	}
	used := map[string]bool{}
	for _, expr := range exprs {
		checkQuery(t, labels, expr[1], used)
	}
	for _, name := range []string{"dcvaas_jobs_due", "dcvaas_jobs_total",
		"dcvaas_certificates_expiring", "dcvaas_ca_up", "dcvaas_ca_account_usable",
		"dcvaas_forced_attempts_total", "dcvaas_zone_unserved_domains", "dcvaas_dns_in_sync",
		"dcvaas_zone_problem", "dcvaas_zone_probe_failures", "dcvaas_dns_lease", "dcvaas_dns_feed_lag_seconds",
		"dcvaas_relay_lag_seconds", "dcvaas_sweep_completed_timestamp_seconds",
		"dcvaas_redis_up", "dcvaas_database_up"} {
		if !used[name] {
			t.Errorf("no alert rule uses %s", name)
		}
	}
	queries := dashboardQueries(t)
	if len(queries) < 20 {
		t.Errorf("the dashboard has %d queries, want at least 20", len(queries))
	}
	for _, expr := range queries {
		checkQuery(t, labels, expr, used)
	}
}

// checkQuery tests that the metrics and labels of a query exist, and adds the metrics to used.
func checkQuery(t *testing.T, labels map[string][]string, expr string, used map[string]bool) {
	t.Helper()
	known := []string{"instance", "job", "le"} // of every target, and of histograms
	for _, m := range ruleMetric.FindAllStringSubmatch(expr, -1) {
		name := m[1]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base := strings.TrimSuffix(name, suffix); labels[base] != nil {
				name = base
			}
		}
		used[name] = true
		if labels[name] == nil {
			t.Errorf("metric %s does not exist: %s", name, expr)
			continue
		}
		known = append(known, labels[name]...)
		for _, l := range ruleLabel.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(labels[name], l[1]) {
				t.Errorf("%s has no label %s: %s", name, l[1], expr)
			}
		}
	}
	for _, m := range ruleGroup.FindAllStringSubmatch(expr, -1) {
		for l := range strings.SplitSeq(m[1], ",") {
			if l = strings.TrimSpace(l); !slices.Contains(known, l) {
				t.Errorf("no metric of the query has the label %s: %s", l, expr)
			}
		}
	}
}

// dashboardQueries returns the queries of the dashboard for Grafana.
func dashboardQueries(t *testing.T) (queries []string) {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Type    string `json:"type"`
			Title   string `json:"title"`
			Targets []struct {
				Expr   string `json:"expr"`
				Legend string `json:"legendFormat"`
			} `json:"targets"`
		} `json:"panels"`
	}
	must(t, json.Unmarshal([]byte(readText(t, "controlplane/deploy/grafana-dashboard.json")),
		&dashboard))
	for _, p := range dashboard.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("the panel %q has no query", p.Title)
		}
		for _, target := range p.Targets {
			queries = append(queries, target.Expr)
			for _, m := range legendLabel.FindAllStringSubmatch(target.Legend, -1) {
				if !strings.Contains(target.Expr, m[1]) && m[1] != "instance" {
					t.Errorf("the panel %q shows the label %s, which is not in its query %s",
						p.Title, m[1], target.Expr)
				}
			}
		}
	}
	return queries
}

// TestDashboardQueries tests with promtool that the dashboard's queries are valid PromQL.
func TestDashboardQueries(t *testing.T) {
	t.Parallel()
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var all []rule
	for i, expr := range dashboardQueries(t) {
		all = append(all, rule{fmt.Sprintf("dashboard:query:%d", i), expr})
	}
	text, err := json.Marshal(map[string]any{ // JSON is valid YAML
		"groups": []any{map[string]any{"name": "dashboard", "rules": all}}})
	must(t, err)
	file := filepath.Join(t.TempDir(), "dashboard.yaml")
	must(t, os.WriteFile(file, text, 0o600))
	if out, err := exec.Command("promtool", "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("promtool check rules: %v; tools/install.sh test installs it\n%s", err, out)
	}
}

// TestMetricsFollowConventions tests the names, units, and help texts of the real metrics with
// Prometheus' linter.
func TestMetricsFollowConventions(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	s.waitActive(s.add("measured.example.com").Id) // some metrics exist after their first value
	families, err := s.App.metrics.Gather()
	must(t, err)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	must(t, err)
	for _, p := range problems {
		t.Errorf("Lint() of the metric %s = %s, want no problem", p.Metric, p.Text)
	}
	for name, labels := range measured(t, s) {
		for _, forbidden := range []string{"domain", "org", "org_id", "organization", "name"} {
			if slices.Contains(labels, forbidden) {
				t.Errorf("%s has the label %s, want none about domains or organizations", name,
					forbidden)
			}
		}
	}
}

var update = flag.Bool("update", false, "write the list of metrics in the guide")

// TestMonitoringGuide tests that the guide lists exactly the metrics of the program, with their
// help texts.
func TestMonitoringGuide(t *testing.T) {
	t.Parallel()
	const guide = "provider/templates/guides/monitoring.md"
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	labels := measured(t, s)
	table := "| metric | labels | meaning |\n|---|---|---|\n"
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if !strings.HasPrefix(name, "dcvaas_") {
			continue // of Go and of the process
		}
		text, own := "", labels[name]
		for _, l := range own {
			if l != "" {
				text += ", `" + l + "`"
			}
		}
		help := metricHelp(t, s, name)
		table += fmt.Sprintf("| `%s` | %s | %s |\n", name, strings.TrimPrefix(text, ", "),
			strings.ReplaceAll(help, "|", "\\|"))
	}
	old := readText(t, guide)
	start := strings.Index(old, "<!-- metrics")
	end := strings.Index(old, "<!-- /metrics -->")
	if start < 0 || end < start {
		t.Fatalf("%s has no markers for the metrics", guide)
	}
	start += strings.Index(old[start:], "\n") + 1
	want := old[:start] + "\n" + table + "\n" + old[end:]
	if *update {
		must(t, os.WriteFile(filepath.Join(repository, guide), []byte(want), 0o644)) //nolint:gosec // a document
		return
	}
	if diff := cmp.Diff(want, old); diff != "" {
		t.Errorf("the metrics in %s are stale, run this test with -update and make docs (-want +got):\n%s",
			guide, diff)
	}
}

// metricHelp returns the help text of a metric.
func metricHelp(t *testing.T, s *stack, name string) string {
	t.Helper()
	descs := make(chan *prometheus.Desc)
	go func() { defer close(descs); s.App.metrics.Describe(descs) }()
	help := ""
	for d := range descs {
		m := descHelp.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("malformed metric description: %s", d)
		}
		if m[1] == name {
			text, err := strconv.Unquote(m[2])
			must(t, err)
			help = text
		}
	}
	return help
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
			if !slices.Contains(labels[m[1]], name) {
				labels[m[1]] = append(labels[m[1]], name)
			}
		}
	}
	return labels
}
