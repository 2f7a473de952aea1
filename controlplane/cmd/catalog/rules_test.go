package main

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// ruleCase is a course of metrics, a sample every 15 s from 0 s on, and what an alert does.
type ruleCase struct {
	alert  string
	name   string
	series map[string]string // by name and labels; values in promtool's notation
	silent []string          // times at which the alert does not fire
	firing string            // a time at which it fires; empty for none
	labels map[string]string // of the alert, without the severity
	title  string
}

// ruleCases test each alert at its limits. In the notation of promtool, "1+0x20 0+0x40" is 21
// samples of 1, until 5m, and then 41 of 0.
func ruleCases() []ruleCase {
	const failed, succeeded = `dcvaas_jobs_total{outcome="failed",type="dns_check"}`,
		`dcvaas_jobs_total{outcome="ok",type="dns_check"}`
	return []ruleCase{
		{alert: "DCVaaSDown", name: "a worker stops",
			series: map[string]string{
				`up{job="dcvaas-work",instance="w1"}`: "1+0x20 0+0x40",
				`up{job="node",instance="w1"}`:        "0+0x60"},
			silent: []string{"5m", "7m"}, firing: "7m15s",
			labels: map[string]string{"job": "dcvaas-work", "instance": "w1"},
			title:  "dcvaas-work at w1 is down"},
		{alert: "DCVaaSJobsFailing", name: "a ninth of the runs fails",
			series: map[string]string{failed: "0+1x120", succeeded: "0+8x120"},
			silent: []string{"4m"}, firing: "25m", title: "11.11% of the jobs fail"},
		{alert: "DCVaaSJobsFailing", name: "an eleventh fails",
			series: map[string]string{failed: "0+1x120", succeeded: "0+10x120"},
			silent: []string{"10m", "25m"}},
		{alert: "DCVaaSJobsFailing", name: "few runs",
			series: map[string]string{failed: "0+0x40 1+0x10 2+0x10 3+0x60", succeeded: "0+0x120"},
			silent: []string{"12m", "16m", "20m"}},
		{alert: "DCVaaSJobsFailing", name: "only deliveries fail",
			series: map[string]string{
				`dcvaas_jobs_total{outcome="failed",type="webhook_delivery"}`: "0+9x120",
				succeeded: "0+2x120"},
			silent: []string{"20m"}},
		{alert: "DCVaaSJobsDead", name: "a job is dead-lettered",
			series: map[string]string{
				`dcvaas_jobs_total{outcome="dead",type="start_issuance"}`:   "0+0x80 1+0x80",
				`dcvaas_jobs_total{outcome="dead",type="webhook_delivery"}`: "0+1x160"},
			silent: []string{"20m", "36m"}, firing: "21m",
			labels: map[string]string{"type": "start_issuance"},
			title:  "Jobs of type start_issuance are dead-lettered"},
		{alert: "DCVaaSJobsDead", name: "in a process that has just started",
			series: map[string]string{
				`dcvaas_jobs_total{outcome="dead",type="revocation"}`: "_x80 1+0x80"},
			silent: []string{"19m45s", "36m"}, firing: "21m",
			labels: map[string]string{"type": "revocation"},
			title:  "Jobs of type revocation are dead-lettered"},
		{alert: "DCVaaSCertificatesExpiring", name: "two certificates",
			series: map[string]string{
				`dcvaas_certificates_expiring{lifetime="long",auto_renew="true",instance="w1"}`: "2+0x40",
				`dcvaas_certificates_expiring{lifetime="long",auto_renew="true",instance="w2"}`: "2+0x40"},
			silent: []string{"4m45s"}, firing: "5m", labels: map[string]string{"lifetime": "long"},
			title: "2 certificates (lifetime: long) expire soon and are not renewed"},
		{alert: "DCVaaSCertificatesExpiring", name: "renewal is off",
			series: map[string]string{
				`dcvaas_certificates_expiring{lifetime="long",auto_renew="false"}`: "2+0x40"},
			silent: []string{"10m"}},
		{alert: "DCVaaSCADown", name: "all workers",
			series: map[string]string{`dcvaas_ca_up{ca="le",instance="w1"}`: "0+0x40",
				`dcvaas_ca_up{ca="le",instance="w2"}`: "0+0x40"},
			silent: []string{"4m45s"}, firing: "5m", labels: map[string]string{"ca": "le"},
			title: "The CA le is unreachable"},
		{alert: "DCVaaSCADown", name: "one worker",
			series: map[string]string{`dcvaas_ca_up{ca="le",instance="w1"}`: "0+0x40",
				`dcvaas_ca_up{ca="le",instance="w2"}`: "1+0x40"},
			silent: []string{"10m"}},
		{alert: "DCVaaSCAAccountUnusable", name: "one account",
			series: map[string]string{
				`dcvaas_ca_account_usable{ca="le",account="default"}`: "0+0x40",
				`dcvaas_ca_account_usable{ca="le",account="second"}`:  "1+0x40"},
			silent: []string{"45s"}, firing: "1m",
			labels: map[string]string{"ca": "le", "account": "default"},
			title:  "The CA le rejects the ACME account default"},
		{alert: "DCVaaSOrdersForced", name: "one order",
			series: map[string]string{`dcvaas_forced_attempts_total{ca="le"}`: "0+0x20 1+0x300"},
			silent: []string{"5m", "70m"}, firing: "6m", labels: map[string]string{"ca": "le"},
			title: "Orders at the CA le are forced despite its limits"},
		{alert: "DCVaaSNoSweep", name: "sweeps stop after 10 minutes",
			series: map[string]string{
				`dcvaas_sweep_completed_timestamp_seconds{instance="w1"}`: "0+15x40 600+0x60",
				`dcvaas_sweep_completed_timestamp_seconds{instance="w2"}`: "0+0x100"},
			silent: []string{"10m", "20m", "21m"}, firing: "21m15s",
			title: "No worker has completed a sweep for 10 minutes"},
		{alert: "DCVaaSNoSweep", name: "no worker runs after 5 minutes",
			series: map[string]string{
				`dcvaas_sweep_completed_timestamp_seconds{instance="w1"}`: "0+15x20 stale _x80"},
			silent: []string{"5m", "14m"}, firing: "17m",
			title: "No worker has completed a sweep for 10 minutes"},
		{alert: "DCVaaSJobsPileUp", name: "over the limit",
			series: map[string]string{`dcvaas_jobs_due{instance="w1"}`: "1001+0x60"},
			silent: []string{"9m45s"}, firing: "10m", title: "1001 jobs are due and wait for a worker"},
		{alert: "DCVaaSJobsPileUp", name: "two workers at the limit",
			series: map[string]string{`dcvaas_jobs_due{instance="w1"}`: "1000+0x60",
				`dcvaas_jobs_due{instance="w2"}`: "1000+0x60"},
			silent: []string{"12m"}},
		{alert: "DCVaaSJobsLate", name: "the relay has stopped",
			series: map[string]string{`dcvaas_relay_lag_seconds{instance="w1"}`: "0+15x60"},
			silent: []string{"5m", "10m"}, firing: "10m15s",
			title: "A due job has waited 10m 15s for its dispatch"},
		{alert: "DCVaaSJobsLate", name: "jobs wait 5 minutes",
			series: map[string]string{`dcvaas_relay_lag_seconds{instance="w1"}`: "300+0x60"},
			silent: []string{"12m"}},
		{alert: "DCVaaSJobsHang", name: "jobs are handed back",
			series: map[string]string{`dcvaas_jobs_handed_back_total{instance="w1"}`: "0+1x80"},
			silent: []string{"10m"}, firing: "11m",
			title: "Stuck jobs hold three quarters of the workers of a process"},
		{alert: "DCVaaSRedisAway", name: "Redis is gone for a minute, and jobs wait",
			series: map[string]string{
				`dcvaas_redis_up{job="dcvaas-work",instance="w1"}`: "1+0x20 0+0x20",
				`dcvaas_jobs_due{job="dcvaas-work",instance="w1"}`: "0+0x20 5+0x20"},
			silent: []string{"5m", "6m"}, firing: "6m15s",
			labels: map[string]string{"job": "dcvaas-work", "instance": "w1"},
			title:  "Redis can't transport jobs of w1"},
		{alert: "DCVaaSRedisAway", name: "Redis restarts in 45 seconds",
			series: map[string]string{
				`dcvaas_redis_up{job="dcvaas-work",instance="w1"}`: "1+0x20 0+0x2 1+0x20"},
			silent: []string{"5m30s", "6m", "6m15s", "7m"}},
		{alert: "DCVaaSDatabaseAway", name: "Postgres is gone for a minute",
			series: map[string]string{
				`dcvaas_database_up{job="dcvaas-serve",instance="s1"}`: "1+0x20 0+0x20"},
			silent: []string{"5m", "6m"}, firing: "6m15s",
			labels: map[string]string{"job": "dcvaas-serve", "instance": "s1"},
			title:  "s1 cannot use Postgres"},
		{alert: "DCVaaSZoneNotServed", name: "three domains",
			series: map[string]string{`dcvaas_zone_unserved_domains{instance="w1"}`: "3+0x60"},
			silent: []string{"4m45s"}, firing: "5m",
			title: "3 domains wait because the validation zone does not answer"},
		{alert: "DCVaaSZoneNotServed", name: "two domains",
			series: map[string]string{`dcvaas_zone_unserved_domains{instance="w1"}`: "2+0x60"},
			silent: []string{"10m"}},
		{alert: "DCVaaSZoneUnreachable", name: "glue is missing",
			series: map[string]string{
				`dcvaas_zone_probe_failures{instance="w1"}`:         "0 1 2 3+0x60",
				`dcvaas_zone_problem{instance="w1",step="glue"}`:    "0 1+0x60",
				`dcvaas_zone_problem{instance="w1",step="port-53"}`: "0+0x60"},
			silent: []string{"30s"}, firing: "45s", labels: map[string]string{"step": "glue"},
			title: "The validation zone is unreachable: glue"},
		{alert: "DCVaaSZoneDegraded", name: "TCP is closed",
			series: map[string]string{
				`dcvaas_zone_probe_failures{instance="w1"}`:         "0+0x80",
				`dcvaas_zone_problem{instance="w1",step="port-53"}`: "1+0x80"},
			silent: []string{"9m45s"}, firing: "10m", labels: map[string]string{"step": "port-53"},
			title: "A part of the validation zone is broken: port-53"},
		{alert: "DCVaaSZoneDegraded", name: "unreachable",
			series: map[string]string{
				`dcvaas_zone_probe_failures{instance="w1"}`:         "3+0x80",
				`dcvaas_zone_problem{instance="w1",step="port-53"}`: "1+0x80"},
			silent: []string{"15m"}},
		{alert: "DCVaaSDNSReplicaBehind", name: "one of two",
			series: map[string]string{`dcvaas_dns_in_sync{instance="n1"}`: "1+0x40",
				`dcvaas_dns_in_sync{instance="n2"}`: "0+0x40"},
			silent: []string{"45s"}, firing: "1m", labels: map[string]string{"instance": "n2"},
			title: "The name server n2 does not follow the database"},
		{alert: "DCVaaSDNSReplicaBehind", name: "without its lease",
			series: map[string]string{`dcvaas_dns_in_sync{instance="n1"}`: "1+0x40",
				`dcvaas_dns_lease{instance="n1"}`: "0+0x40"},
			silent: []string{"45s"}, firing: "1m", labels: map[string]string{"instance": "n1"},
			title: "The name server n1 does not follow the database"},
		{alert: "DCVaaSDNSReplicaBehind", name: "late feed",
			series: map[string]string{`dcvaas_dns_in_sync{instance="n1"}`: "1+0x40",
				`dcvaas_dns_feed_lag_seconds{instance="n1"}`: "30+15x40"},
			silent: []string{"45s"}, firing: "1m", labels: map[string]string{"instance": "n1"},
			title: "The name server n1 does not follow the database"},
		{alert: "DCVaaSDNSFeedUnsteady", name: "lost every 2 minutes",
			series: map[string]string{
				`dcvaas_dns_feed_lost_total{instance="n1"}`: "0+0x7 1+0x7 2+0x7 3+0x7 4+0x7 5+0x7 6+0x7 7+0x7 8+0x7"},
			silent: []string{"8m"}, firing: "17m", labels: map[string]string{"instance": "n1"},
			title: "The name server n1 keeps losing its feed"},
		{alert: "DCVaaSDNSFeedUnsteady", name: "lost twice",
			series: map[string]string{`dcvaas_dns_feed_lost_total{instance="n1"}`: "0+0x20 2+0x100"},
			silent: []string{"10m", "20m"}},
		{alert: "DCVaaSDNSServfail", name: "2%",
			series: map[string]string{
				`dcvaas_dns_responses_total{instance="n1",rcode="SERVFAIL"}`: "0+2x80",
				`dcvaas_dns_responses_total{instance="n1",rcode="NOERROR"}`:  "0+98x80"},
			silent: []string{"4m"}, firing: "12m", labels: map[string]string{"instance": "n1"},
			title: "The name server n1 returns SERVFAIL in 2% of its responses"},
		{alert: "DCVaaSDNSServfail", name: "0.5%",
			series: map[string]string{
				`dcvaas_dns_responses_total{instance="n1",rcode="SERVFAIL"}`: "0+1x80",
				`dcvaas_dns_responses_total{instance="n1",rcode="NOERROR"}`:  "0+199x80"},
			silent: []string{"12m"}},
		{alert: "DCVaaSAPIErrors", name: "10%",
			series: map[string]string{`dcvaas_http_requests_total{status="503"}`: "0+10x80",
				`dcvaas_http_requests_total{status="200"}`: "0+90x80"},
			silent: []string{"4m"}, firing: "12m",
			title: "10% of the API requests end in a server error"},
		{alert: "DCVaaSAPIErrors", name: "clients' errors",
			series: map[string]string{`dcvaas_http_requests_total{status="404"}`: "0+90x80",
				`dcvaas_http_requests_total{status="500"}`: "0+1x80"},
			silent: []string{"12m"}},
		{alert: "DCVaaSAPISlow", name: "5% take longer than a second",
			series: map[string]string{
				`dcvaas_http_request_duration_seconds_bucket{le="1"}`:    "0+95x120",
				`dcvaas_http_request_duration_seconds_bucket{le="2.5"}`:  "0+100x120",
				`dcvaas_http_request_duration_seconds_bucket{le="+Inf"}`: "0+100x120"},
			silent: []string{"9m"}, firing: "20m",
			title: "1% of the API requests take longer than 2.2s"},
		{alert: "DCVaaSAPISlow", name: "0.5% take longer than a second",
			series: map[string]string{
				`dcvaas_http_request_duration_seconds_bucket{le="1"}`:    "0+995x120",
				`dcvaas_http_request_duration_seconds_bucket{le="2.5"}`:  "0+1000x120",
				`dcvaas_http_request_duration_seconds_bucket{le="+Inf"}`: "0+1000x120"},
			silent: []string{"20m"}},
	}
}

// healthy are the metrics of an installation without problems, for an hour.
var healthy = map[string]string{
	`up{job="dcvaas-work",instance="w1"}`:                                           "1+0x240",
	`dcvaas_jobs_total{outcome="ok",type="dns_check",instance="w1"}`:                "0+20x240",
	`dcvaas_jobs_total{outcome="failed",type="dns_check",instance="w1"}`:            "0+1x240",
	`dcvaas_jobs_total{outcome="dead",type="dns_check",instance="w1"}`:              "0+0x240",
	`dcvaas_certificates_expiring{lifetime="long",auto_renew="true",instance="w1"}`: "0+0x240",
	`dcvaas_ca_up{ca="le",instance="w1"}`:                                           "1+0x240",
	`dcvaas_ca_account_usable{ca="le",account="default",instance="w1"}`:             "1+0x240",
	`dcvaas_forced_attempts_total{ca="le",instance="w1"}`:                           "3+0x240",
	`dcvaas_sweep_completed_timestamp_seconds{instance="w1"}`:                       "0+15x240",
	`dcvaas_jobs_due{instance="w1"}`:                                                "40+0x240",
	`dcvaas_relay_lag_seconds{instance="w1"}`:                                       "1+0x240",
	`dcvaas_jobs_handed_back_total{instance="w1"}`:                                  "7+0x240",
	`dcvaas_redis_up{instance="w1"}`:                                                "1+0x240",
	`dcvaas_database_up{instance="w1"}`:                                             "1+0x240",
	`dcvaas_zone_unserved_domains{instance="w1"}`:                                   "0+0x240",
	`dcvaas_zone_probe_failures{instance="w1"}`:                                     "0+0x240",
	`dcvaas_zone_problem{instance="w1",step="glue"}`:                                "0+0x240",
	`dcvaas_dns_in_sync{instance="n1"}`:                                             "1+0x240",
	`dcvaas_dns_lease{instance="n1"}`:                                               "1+0x240",
	`dcvaas_dns_feed_lag_seconds{instance="n1"}`:                                    "2+0x240",
	`dcvaas_dns_feed_lost_total{instance="n1"}`:                                     "1+0x240",
	`dcvaas_dns_responses_total{instance="n1",rcode="NOERROR"}`:                     "0+90x240",
	`dcvaas_http_requests_total{status="200"}`:                                      "0+90x240",
	`dcvaas_http_request_duration_seconds_bucket{le="1"}`:                           "0+90x240",
	`dcvaas_http_request_duration_seconds_bucket{le="+Inf"}`:                        "0+90x240",
}

// The format of promtool's tests.
type (
	ruleTest struct {
		Name     string      `json:"name"`
		Interval string      `json:"interval"`
		Series   []series    `json:"input_series"`
		Alerts   []alertTest `json:"alert_rule_test"`
	}
	series struct {
		Series string `json:"series"`
		Values string `json:"values"`
	}
	alertTest struct {
		At    string  `json:"eval_time"`
		Alert string  `json:"alertname"`
		Want  []alert `json:"exp_alerts"`
	}
	alert struct {
		Labels      map[string]string `json:"exp_labels"`
		Annotations map[string]string `json:"exp_annotations"`
	}
)

func newRuleTest(name string, values map[string]string) ruleTest {
	test := ruleTest{Name: name, Interval: "15s"}
	for _, s := range slices.Sorted(maps.Keys(values)) {
		test.Series = append(test.Series, series{s, values[s]})
	}
	return test
}

// promtool runs promtool, which checks the rules as Prometheus does.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("promtool", args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v; tools/install.sh test installs it\n%s", strings.Join(args, " "),
			err, out)
	}
}

// TestAlertRules tests with promtool that each alert fires when it should, with its title and its
// runbook, and not before or otherwise.
func TestAlertRules(t *testing.T) {
	t.Parallel()
	file, err := filepath.Abs("../../" + rules)
	if err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
	catalog := map[string]controlplane.Alert{}
	calm := newRuleTest("a healthy installation", healthy)
	for _, a := range controlplane.Alerts() {
		catalog[a.Name] = a
		for _, at := range []string{"2m", "20m", "1h"} {
			calm.Alerts = append(calm.Alerts, alertTest{At: at, Alert: a.Name})
		}
	}
	tests := []ruleTest{calm}
	fires := map[string]bool{}
	for _, c := range ruleCases() {
		a, ok := catalog[c.alert]
		if !ok {
			t.Errorf("the catalog has no alert %s", c.alert)
			continue
		}
		test := newRuleTest(c.alert+": "+c.name, c.series)
		for _, at := range c.silent {
			test.Alerts = append(test.Alerts, alertTest{At: at, Alert: c.alert})
		}
		if c.firing != "" {
			fires[c.alert] = true
			labels := map[string]string{"severity": string(a.Severity)}
			maps.Copy(labels, c.labels)
			test.Alerts = append(test.Alerts, alertTest{At: c.firing, Alert: c.alert,
				Want: []alert{{labels, map[string]string{"summary": c.title,
					"description": a.Cause + " " + a.Fix, "runbook_url": a.Runbook()}}}})
		}
		tests = append(tests, test)
	}
	for name := range catalog {
		if !fires[name] {
			t.Errorf("no case makes the alert %s fire", name)
		}
	}
	// JSON is valid YAML.
	text, err := json.Marshal(map[string]any{"rule_files": []string{file},
		"evaluation_interval": "15s", "tests": tests})
	if err != nil {
		t.Fatal(err)
	}
	input := filepath.Join(t.TempDir(), "rules.test.yaml")
	if err := os.WriteFile(input, text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "test", "rules", input)
}

// TestRunbooks tests that each alert leads to a section of the guide with steps, and that each
// section is that of an alert.
func TestRunbooks(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../" + guides + "monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(guide), "\n## Runbooks\n")
	sections := map[string]string{}
	for _, section := range strings.Split(text, "\n### ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		sections[strings.ToLower(name)] = body
	}
	for _, a := range controlplane.Alerts() {
		page, anchor, _ := strings.Cut(a.Runbook(), "#")
		if !strings.HasSuffix(page, "/guides/monitoring") {
			t.Errorf("runbook of %s = %s, want one in the guide", a.Name, a.Runbook())
		}
		if !strings.Contains(sections[anchor], "\n1. ") {
			t.Errorf("section %s of the guide = %q, want numbered steps", anchor, sections[anchor])
		}
		delete(sections, anchor)
	}
	for name := range sections {
		t.Errorf("section %s of the guide is about no alert", name)
	}
}
