package controlplane

import "time"

// Severity is the urgency of an alert.
type Severity string

// The severities.
const (
	SeverityCritical Severity = "critical"
	SeverityWarning  Severity = "warning"
)

// Alert is the entry of one alert in the catalog. The operator acts on every alert.
type Alert struct {
	Name     string
	Severity Severity
	Title    string // a sentence without a period; may have Prometheus templates
	Cause    string // what it means
	Fix      string // an imperative
	Note     string // about the expression; empty for none
	Expr     string // PromQL
	For      time.Duration
}

// Alerts returns the catalog of alerts. deploy/prometheus-rules.yaml and the guide's list of
// alerts are generated from it.
func Alerts() []Alert {
	return []Alert{
		{Name: "DCVaaSDown", Severity: SeverityCritical, For: 2 * time.Minute,
			Title: "{{ $labels.job }} at {{ $labels.instance }} is down",
			Cause: "The operator listener of the process cannot be scraped. A name server that is down stops every order while it is listed in DCVAAS_DNS_SERVERS.",
			Fix:   "Restart the process, or remove the name server from DCVAAS_DNS_SERVERS.",
			Expr:  `up{job=~"dcvaas-.*"} == 0`},
		{Name: "DCVaaSJobsFailing", Severity: SeverityWarning, For: 5 * time.Minute,
			Title: "{{ $value | humanizePercentage }} of the jobs fail",
			Cause: "More than 10% of the runs of jobs fail, not counting deliveries to webhooks.",
			Fix:   `Fix the cause that the log and last_error of GET /api/jobs?status=failed report.`,
			Note:  "At 10 runs or fewer, a rate means little. Deliveries fail because of their receivers.",
			Expr: `sum(rate(dcvaas_jobs_total{outcome=~"failed|dead",type!="webhook_delivery"}[15m]))
  / sum(rate(dcvaas_jobs_total{outcome=~"ok|failed|dead",type!="webhook_delivery"}[15m])) > 0.10
and sum(increase(dcvaas_jobs_total{outcome=~"ok|failed|dead",type!="webhook_delivery"}[15m])) > 10`},
		{Name: "DCVaaSJobsDead", Severity: SeverityWarning,
			Title: "Jobs of type {{ $labels.type }} are dead-lettered",
			Cause: "Jobs have failed in all attempts, and are not retried automatically.",
			Fix:   "Fix the cause in last_error, then retry the jobs with POST /api/jobs/{id}/retry.",
			Note:  "The second half detects a new series: increase does not show its first value.",
			Expr: `sum by (type) (increase(dcvaas_jobs_total{outcome="dead",type!="webhook_delivery"}[15m])) > 0
or sum by (type) (dcvaas_jobs_total{outcome="dead",type!="webhook_delivery"} unless dcvaas_jobs_total{outcome="dead",type!="webhook_delivery"} offset 15m) > 0`},
		{Name: "DCVaaSCertificatesExpiring", Severity: SeverityCritical, For: 5 * time.Minute,
			Title: "{{ $value }} certificates (lifetime: {{ $labels.lifetime }}) expire soon and are not renewed",
			Cause: "Certificates have expired or expire soon: within 7 days, or, for lifetimes under 21 days, when a quarter of the lifetime is left. Their owners were notified (domain.certificate_expiring).",
			Fix:   "Find the domains with GET /api/domains?expires_before= in each organization, and fix the cause in their condition RenewalOnTrack.",
			Note:  `Each worker reports the number for the whole database. Certificates with auto_renew off have auto_renew="false".`,
			Expr:  `max by (lifetime) (dcvaas_certificates_expiring{auto_renew="true"}) > 0`},
		{Name: "DCVaaSCADown", Severity: SeverityWarning, For: 5 * time.Minute,
			Title: "The CA {{ $labels.ca }} is unreachable",
			Cause: "All workers fail to reach the CA. Orders go to the next CA that CAA records allow. The CA's directory is fetched each minute, and orders retry the CA at most 5 minutes apart; the alert ends with the first success.",
			Fix:   "Check the CA's status page and the workers' network.",
			Note:  "If only some workers report 0, their network is the cause.",
			Expr:  `max by (ca) (dcvaas_ca_up) == 0`},
		{Name: "DCVaaSCAAccountUnusable", Severity: SeverityCritical, For: time.Minute,
			Title: "The CA {{ $labels.ca }} rejects the ACME account {{ $labels.account }}",
			Cause: "The CA has rejected the account itself, or orders of several unrelated domains because of the account. Orders go to another account of the CA or to the next CA. An order tries the account again after a minute, then at growing intervals up to an hour; the alert ends with the first order that the CA accepts.",
			Fix:   "Run dcvaas admin ca list for the CA's reason. Agree to new terms, or check the contact address, the external account binding, and the account at the CA.",
			Note:  "Each worker reports the state that all workers share.",
			Expr:  `min by (ca, account) (dcvaas_ca_account_usable) == 0`},
		{Name: "DCVaaSOrdersForced", Severity: SeverityWarning,
			Title: "Orders at the CA {{ $labels.ca }} are forced despite its limits",
			Cause: "The counted limits of all CAs ruled out orders for certificates that expire soon. One order per CA is attempted every 5 minutes anyway, and the CA may reject it.",
			Fix:   "Ask the CA for higher limits and configure them, or add a CA to DCVAAS_CAS. dcvaas_quota_decisions_total shows which CA delays orders.",
			Note:  "Each worker reports the number for the whole database.",
			Expr:  `max by (ca) (increase(dcvaas_forced_attempts_total[1h])) > 0`},
		{Name: "DCVaaSNoSweep", Severity: SeverityCritical, For: time.Minute,
			Title: "No worker has completed a sweep for 10 minutes",
			Cause: "Renewals that become due are not queued. No worker runs, or each sweep fails or hangs.",
			Fix:   "Check that dcvaas work runs, and fix the cause that its log reports (\"sweep failed\").",
			Note:  "Each worker reports the time for the whole database. DCVAAS_SWEEP_EVERY must be shorter than 10 minutes.",
			Expr: `time() - max(dcvaas_sweep_completed_timestamp_seconds) > 600
or absent_over_time(dcvaas_sweep_completed_timestamp_seconds[10m])`},
		{Name: "DCVaaSJobsPileUp", Severity: SeverityWarning, For: 10 * time.Minute,
			Title: "{{ $value }} jobs are due and wait for a worker",
			Cause: "Jobs become due faster than the workers run them.",
			Fix:   "Start more workers, or raise DCVAAS_CONCURRENCY. If dcvaas_jobs_running is 0, check Redis and the log of dcvaas work.",
			Note:  "Each worker reports the number for the whole database.",
			Expr:  `max(dcvaas_jobs_due) > 1000`},
		{Name: "DCVaaSJobsHang", Severity: SeverityWarning, For: 10 * time.Minute,
			Title: "Stuck jobs hold three quarters of the workers of a process",
			Cause: "Jobs do not finish, and other organizations' jobs run before those of the organizations that the log of dcvaas work names.",
			Fix:   "Look for a resolver or a CA that accepts requests and does not respond.",
			Expr:  `sum(rate(dcvaas_jobs_handed_back_total[5m])) > 0`},
		{Name: "DCVaaSRedisAway", Severity: SeverityCritical, For: time.Minute,
			Title: "Redis can't transport jobs of {{ $labels.instance }}",
			Cause: "Redis is unreachable, read-only, runs no scripts, or evicts keys. Jobs wait in Postgres until Redis is available. Requests pass without a limit, and the CAs reject orders over their limits.",
			Fix:   "Restore Redis. The process logs the reason (\"store unavailable\").",
			Expr:  `dcvaas_redis_up == 0`},
		{Name: "DCVaaSDatabaseAway", Severity: SeverityCritical, For: time.Minute,
			Title: "{{ $labels.instance }} cannot reach Postgres",
			Cause: "Requests get status 503. Runs of jobs end without a result, and continue when Postgres is available.",
			Fix:   "Restore Postgres. The process logs the reason (\"store unavailable\").",
			Expr:  `dcvaas_database_up == 0`},
		{Name: "DCVaaSZoneNotServed", Severity: SeverityCritical, For: 5 * time.Minute,
			Title: "{{ $value }} domains wait because the validation zone does not answer",
			Cause: "The CNAMEs of several domains point to their targets, but resolvers or the listed name servers do not answer for them (target-not-served, zone-not-answering). No order can be validated. The cause is in the validation zone, not in the customers' DNS.",
			Fix:   "Check the delegation of the validation zone (DCVAAS_ZONE) in its parent zone, its DNSSEC, and that every name server in DCVAAS_DNS_SERVERS answers on UDP and TCP from the Internet.",
			Note:  "Each worker reports the number for the whole database, once per sweep. Jobs that are being retried are not counted.",
			Expr:  `max(max_over_time(dcvaas_zone_unserved_domains[5m])) > 2`},
		{Name: "DCVaaSDNSReplicaBehind", Severity: SeverityCritical, For: time.Minute,
			Title: "The name server {{ $labels.instance }} does not follow the database",
			Cause: "The name server has lost its feed. It answers from lookups until the feed is restored, and returns SERVFAIL if it cannot know the answer.",
			Fix:   "Check the connection from the name server to Postgres.",
			Expr:  `dcvaas_dns_in_sync == 0`},
		{Name: "DCVaaSDNSFeedUnsteady", Severity: SeverityWarning,
			Title: "The name server {{ $labels.instance }} keeps losing its feed",
			Cause: "The name server's connection for LISTEN breaks repeatedly.",
			Fix:   "Check the network to Postgres, and a connection pooler in between: LISTEN needs a dedicated session.",
			Expr:  `increase(dcvaas_dns_feed_lost_total[30m]) > 5`},
		{Name: "DCVaaSDNSServfail", Severity: SeverityWarning, For: 5 * time.Minute,
			Title: "The name server {{ $labels.instance }} returns SERVFAIL in {{ $value | humanizePercentage }} of its responses",
			Cause: "The name server cannot know the answers: the feed is lost, and lookups fail or have reached their limit (dcvaas_dns_lookups_total).",
			Fix:   "Check the connection from the name server to Postgres.",
			Expr: `sum by (instance) (rate(dcvaas_dns_responses_total{rcode="SERVFAIL"}[5m]))
  / sum by (instance) (rate(dcvaas_dns_responses_total[5m])) > 0.01`},
		{Name: "DCVaaSAPIErrors", Severity: SeverityCritical, For: 5 * time.Minute,
			Title: "{{ $value | humanizePercentage }} of the API requests end in a server error",
			Cause: "More than 5% of the API requests get a status from 500 to 599.",
			Fix:   `Look up the errors in the log ("request failed") by the request ID that the caller received.`,
			Expr: `sum(rate(dcvaas_http_requests_total{status=~"5.."}[5m]))
  / sum(rate(dcvaas_http_requests_total[5m])) > 0.05`},
		{Name: "DCVaaSAPISlow", Severity: SeverityWarning, For: 10 * time.Minute,
			Title: "1% of the API requests take longer than {{ $value | humanizeDuration }}",
			Cause: "The 99th percentile of the API's response time is over a second.",
			Fix:   "Check the load of the API processes and of Postgres.",
			Expr:  `histogram_quantile(0.99, sum by (le) (rate(dcvaas_http_request_duration_seconds_bucket[10m]))) > 1`},
	}
}
