package controlplane

import (
	"strings"
	"time"
)

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
	Steps    []string // of the runbook, in Markdown
}

// runbooks is the page with a section for each alert.
const runbooks = "https://registry.terraform.io/providers/dcvaas/dcvaas/latest/docs/guides/monitoring"

// Runbook returns the URL of the alert's section in the guide.
func (a Alert) Runbook() string { return runbooks + "#" + strings.ToLower(a.Name) }

// Alerts returns the catalog of alerts. deploy/prometheus-rules.yaml and the guide's list of
// alerts are generated from it.
func Alerts() []Alert {
	return []Alert{
		{Name: "DCVaaSDown", Severity: SeverityCritical, For: 2 * time.Minute,
			Title: "{{ $labels.job }} at {{ $labels.instance }} is down",
			Cause: "The operator listener of the process cannot be scraped. A name server that is down delays orders by up to 10 s, or stops them while it is listed in DCVAAS_DNS_SERVERS.",
			Fix:   "Restart the process. If DCVAAS_DNS_SERVERS lists a name server that stays down, remove it.",
			Steps: []string{
				"`curl http://127.0.0.1:9090/livez` on the machine of the process, at its operator listener. A response means that Prometheus cannot reach the listener: check `DCVAAS_OPS_LISTEN`, `DCVAAS_OPS_HOSTS`, the login, and the network.",
				"Without a response, read the end of the process's log. Exit status 78 means that a setting must be changed first; the last line names it.",
				"Restart the process. If it is a name server that stays down, remove its address from `DCVAAS_DNS_SERVERS`, if that is set, and restart the workers.",
			},
			Expr: `up{job=~"dcvaas-.*"} == 0`},
		{Name: "DCVaaSJobsFailing", Severity: SeverityWarning, For: 5 * time.Minute,
			Title: "{{ $value | humanizePercentage }} of the jobs fail",
			Cause: "More than 10% of the runs of jobs fail, not counting deliveries to webhooks.",
			Fix:   `Fix the cause that the log and last_error of GET /api/jobs?status=failed report.`,
			Note:  "At 10 runs or fewer, a rate means little. Deliveries fail because of their receivers.",
			Steps: []string{
				"`sum by (type) (rate(dcvaas_jobs_total{outcome=\"failed\"}[15m]))` shows which jobs fail.",
				"If jobs of all types fail, check `/readyz` of the workers, and the alerts about CAs and the validation zone.",
				"Otherwise, read `last_error` of several failed jobs (`GET /api/jobs?status=failed` in each organization, or the log of `dcvaas work`). Its code has a page at `/problems/{code}`.",
			},
			Expr: `sum(rate(dcvaas_jobs_total{outcome=~"failed|dead",type!="webhook_delivery"}[15m]))
  / sum(rate(dcvaas_jobs_total{outcome=~"ok|failed|dead",type!="webhook_delivery"}[15m])) > 0.10
and sum(increase(dcvaas_jobs_total{outcome=~"ok|failed|dead",type!="webhook_delivery"}[15m])) > 10`},
		{Name: "DCVaaSJobsDead", Severity: SeverityWarning,
			Title: "Jobs of type {{ $labels.type }} are dead-lettered",
			Cause: "Jobs have failed in all attempts, and are not retried automatically.",
			Fix:   "Fix the cause in last_error, then retry the jobs with POST /api/jobs/{id}/retry.",
			Note:  "The second half detects a new series: increase does not show its first value.",
			Steps: []string{
				"Find the jobs: `GET /api/jobs?status=failed`, or \"job failed\" in the log of `dcvaas work`, with the ID and the error of each.",
				"If the cause is the customer's, such as a missing CNAME, the domain shows it to its owner, and a job follows automatically when the cause is fixed.",
				"If the cause is yours, fix it, then `POST /api/jobs/{id}/retry`.",
			},
			Expr: `sum by (type) (increase(dcvaas_jobs_total{outcome="dead",type!="webhook_delivery"}[15m])) > 0
or sum by (type) (dcvaas_jobs_total{outcome="dead",type!="webhook_delivery"} unless dcvaas_jobs_total{outcome="dead",type!="webhook_delivery"} offset 15m) > 0`},
		{Name: "DCVaaSCertificatesExpiring", Severity: SeverityCritical, For: 5 * time.Minute,
			Title: "{{ $value }} certificates (lifetime: {{ $labels.lifetime }}) expire soon and are not renewed",
			Cause: "Certificates have expired or expire soon: within 7 days, or, for lifetimes under 21 days, when a quarter of the lifetime is left. Their owners were notified (domain.certificate_expiring).",
			Fix:   "Find the domains with GET /api/domains?expires_before= in each organization, and fix the cause in their condition RenewalOnTrack.",
			Note:  `Each worker reports the number for the whole database. Certificates with auto_renew off have auto_renew="false".`,
			Steps: []string{
				"Check the other alerts first. Renewals need sweeps, workers, the validation zone, and a CA.",
				"List the domains: `GET /api/domains?expires_before=` with a date 7 days ahead, in each organization.",
				"Read the condition `RenewalOnTrack` of each domain. If the customer must act, such as restore the CNAME, contact the customer. Otherwise, fix the cause and request a renewal with `POST /api/domains/{domain}/renew`.",
			},
			Expr: `max by (lifetime) (dcvaas_certificates_expiring{auto_renew="true"}) > 0`},
		{Name: "DCVaaSCADown", Severity: SeverityWarning, For: 5 * time.Minute,
			Title: "The CA {{ $labels.ca }} is unreachable",
			Cause: "All workers fail to reach the CA. Orders go to the next CA that CAA records allow. The CA's directory is fetched each minute, and orders retry the CA at most 5 minutes apart; the alert ends with the first success.",
			Fix:   "Check the CA's status page and the workers' network.",
			Note:  "If only some workers report 0, their network is the cause.",
			Steps: []string{
				"`dcvaas admin ca list` shows in how many workers the circuit breaker is open, since when, and the error.",
				"Fetch the CA's directory from the machine of a worker with `curl`. If it fails there but not elsewhere, fix the workers' network, DNS, or `HTTPS_PROXY`.",
				"If the CA is down, wait: orders go to the next CA. With one CA only, first certificates wait, and renewals have a third of the lifetime left.",
			},
			Expr: `max by (ca) (dcvaas_ca_up) == 0`},
		{Name: "DCVaaSCAAccountUnusable", Severity: SeverityCritical, For: time.Minute,
			Title: "The CA {{ $labels.ca }} rejects the ACME account {{ $labels.account }}",
			Cause: "The CA has rejected the account itself, or orders of several unrelated domains because of the account. Orders go to another account of the CA or to the next CA. An order tries the account again after a minute, then at growing intervals up to an hour; the alert ends with the first order that the CA accepts.",
			Fix:   "Run dcvaas admin ca list for the CA's reason. Agree to new terms, or check the contact address, the external account binding, and the account at the CA.",
			Note:  "Each worker reports the state that all workers share.",
			Steps: []string{
				"`dcvaas admin ca list` shows the account's URL and the CA's reason.",
				"If the CA requires agreement to new terms, or a working contact address, follow its link.",
				"If the account is deactivated or its external account binding was revoked, configure a new one (`accounts` in `DCVAAS_CAS`).",
				"The next order that the CA accepts ends the alert.",
			},
			Expr: `min by (ca, account) (dcvaas_ca_account_usable) == 0`},
		{Name: "DCVaaSOrdersForced", Severity: SeverityWarning,
			Title: "Orders at the CA {{ $labels.ca }} are forced despite its limits",
			Cause: "The counted limits of all CAs ruled out orders for certificates that expire soon. One order per CA is attempted every 5 minutes anyway, and the CA may reject it.",
			Fix:   "Ask the CA for higher limits and configure them, or add a CA to DCVAAS_CAS. dcvaas_quota_decisions_total shows which CA delays orders.",
			Note:  "Each worker reports the number for the whole database.",
			Steps: []string{
				"`rate(dcvaas_quota_decisions_total{decision=\"wait\"}[1h])` by CA and account shows the limits that delay orders, and `dcvaas_ca_account_orders_left` how many orders are left.",
				"If the limits are those of the account, ask the CA for more, or add a CA: see [Capacity](self-hosting.md#capacity).",
				"If they are those of one registered domain, only its owner can request more.",
			},
			Expr: `max by (ca) (increase(dcvaas_forced_attempts_total[1h])) > 0`},
		{Name: "DCVaaSNoSweep", Severity: SeverityCritical, For: time.Minute,
			Title: "No worker has completed a sweep for 10 minutes",
			Cause: "Renewals that become due are not queued. No worker runs, or each sweep fails or hangs.",
			Fix:   "Check that dcvaas work runs, and fix the cause that its log reports (\"sweep failed\").",
			Note:  "Each worker reports the time for the whole database. DCVAAS_SWEEP_EVERY must be shorter than 10 minutes.",
			Steps: []string{
				"Check that at least one `dcvaas work` runs and is ready: `/readyz` names the cause if it is not.",
				"Find \"sweep failed\" in the workers' logs. A statement that fails each time is a problem of Postgres, such as a full disk or a lock that is held.",
				"If a worker hangs, restart it. Another one takes over the sweep within 30 s.",
			},
			Expr: `time() - max(dcvaas_sweep_completed_timestamp_seconds) > 600
or absent_over_time(dcvaas_sweep_completed_timestamp_seconds[10m])`},
		{Name: "DCVaaSJobsPileUp", Severity: SeverityWarning, For: 10 * time.Minute,
			Title: "{{ $value }} jobs are due and wait for a worker",
			Cause: "Jobs become due faster than the workers run them.",
			Fix:   "Start more workers, or raise DCVAAS_CONCURRENCY. If dcvaas_jobs_running is 0, check Redis and the log of dcvaas work.",
			Note:  "Each worker reports the number for the whole database.",
			Steps: []string{
				"If `dcvaas_jobs_running` is near `DCVAAS_CONCURRENCY` times the number of workers, the workers are busy: start more, or raise `DCVAAS_CONCURRENCY`.",
				"If it is near 0, jobs are not dispatched: check Redis, and `/readyz` and the log of the workers.",
				"After an outage, the number falls without action. Compare it with an hour ago.",
			},
			Expr: `max(dcvaas_jobs_due) > 1000`},
		{Name: "DCVaaSJobsLate", Severity: SeverityWarning, For: 5 * time.Minute,
			Title: "A due job has waited {{ $value | humanizeDuration }} for its dispatch",
			Cause: "The relay does not dispatch due jobs to the workers, or the workers are busy. Orders, checks, and deliveries are late.",
			Fix:   "Check that dcvaas work runs and is ready, and start more workers if they are busy.",
			Note:  "Each worker reports the time for the whole database.",
			Steps: []string{
				"If `DCVaaSRedisAway` or `DCVaaSDatabaseAway` also fires, start there.",
				"Check that a `dcvaas work` runs and is ready, and find \"dispatch failed\" in its log.",
				"If `dcvaas_jobs_running` is near `DCVAAS_CONCURRENCY` times the number of workers, start more workers.",
			},
			Expr: `max(dcvaas_relay_lag_seconds) > 300`},
		{Name: "DCVaaSJobsHang", Severity: SeverityWarning, For: 10 * time.Minute,
			Title: "Stuck jobs hold three quarters of the workers of a process",
			Cause: "Jobs do not finish, and other organizations' jobs run before those of the organizations that the log of dcvaas work names.",
			Fix:   "Look for a resolver or a CA that accepts requests and does not respond.",
			Steps: []string{
				"Find \"throttled an organization whose jobs hang\" in the log of `dcvaas work`.",
				"Read the open jobs of that organization, and test the server that they use: the resolvers, the CA, or the customer's name servers.",
				"Put a CA that accepts requests and does not respond on hold: `dcvaas admin ca hold`.",
			},
			Expr: `sum(rate(dcvaas_jobs_handed_back_total[5m])) > 0`},
		{Name: "DCVaaSRedisAway", Severity: SeverityCritical, For: time.Minute,
			Title: "Redis can't transport jobs of {{ $labels.instance }}",
			Cause: "Redis is unreachable or read-only, rejects the process, runs no scripts, or evicts keys. Jobs wait in Postgres until Redis is available. Requests pass without a limit, and the CAs reject orders over their limits.",
			Fix:   "Restore Redis. /readyz and the log of the process state the reason.",
			Steps: []string{
				"`/readyz` of the worker states the cause, such as `redis is not ready: unavailable: refuses connections`. \"misconfigured\" means that Redis rejects the user, the password, or a command.",
				"If it \"does not respond in time\", check the network, and whether Redis uses TLS: a URL that starts with `rediss://` requires it.",
				"Start Redis, or restore the network to it. Set `maxmemory-policy noeviction`.",
				"If Redis has lost its data, no action is needed: the workers dispatch all jobs again from Postgres.",
			},
			Expr: `dcvaas_redis_up == 0`},
		{Name: "DCVaaSDatabaseAway", Severity: SeverityCritical, For: time.Minute,
			Title: "{{ $labels.instance }} cannot use Postgres",
			Cause: "Postgres is unreachable or rejects the process, or, for serve and work, it cannot store data: its disk is full, or it is read-only. Requests get status 503. Runs of jobs end without a result, and continue when Postgres is available.",
			Fix:   "Restore Postgres. /readyz and the log of the process state the reason.",
			Steps: []string{
				"`/readyz` of the process states the cause, such as `postgres is not ready: unavailable: cannot write: its disk is full`. \"misconfigured\" means that Postgres rejects the role, the password, or a right.",
				"With a full disk, add space. Do not delete files in `pg_wal`. An old replication slot, or failed archiving, often keeps them.",
				"If Postgres is read-only, the URL leads to a standby: point it to the primary, or add `target_session_attrs=read-write` to a URL with several hosts.",
				"If Postgres has no free connections, lower `DCVAAS_DATABASE_CONNECTIONS`, or raise `max_connections`.",
			},
			Expr: `dcvaas_database_up == 0`},
		{Name: "DCVaaSZoneNotServed", Severity: SeverityCritical, For: 5 * time.Minute,
			Title: "{{ $value }} domains wait because the validation zone does not answer",
			Cause: "The CNAMEs of several domains point to their targets, but resolvers or the name servers do not answer for them (target-not-served, zone-not-answering). No order can be validated. The cause is in the validation zone, not in the customers' DNS.",
			Fix:   "Check the delegation of the validation zone (DCVAAS_ZONE) in its parent zone, its DNSSEC, and that every name server answers on UDP and TCP from the Internet.",
			Note:  "Each worker reports the number for the whole database, once per sweep. Jobs that are being retried are not counted.",
			Steps: []string{
				"Query each name server of `DCVAAS_NAME_SERVERS` from another network, over UDP and TCP: `dig @203.0.113.1 SOA acme.example.net` and with `+tcp`.",
				"Query the delegation: `dig NS acme.example.net +trace`. The parent's NS records and addresses must be those in `DCVAAS_NAME_SERVERS`, without a DS record.",
				"Check the firewalls and the process `dcvaas dns`.",
			},
			Expr: `max(max_over_time(dcvaas_zone_unserved_domains[5m])) > 2`},
		{Name: "DCVaaSZoneUnreachable", Severity: SeverityCritical,
			Title: "The validation zone is unreachable: {{ $labels.step }}",
			Cause: "Three probes in a row failed: resolvers on the Internet do not find the record _dcvaas-probe of the validation zone, or a name server does not serve it. Orders are held until a probe succeeds. The label step names what is broken: replica (a name server does not serve current values), delegation (NS or DS records in the parent zone), glue (addresses in the parent zone), port-53 (a name server does not answer at its public address), or resolution (only the resolvers fail).",
			Fix:   "Fix the step that the label names. The log of the worker has the details.",
			Steps: []string{
				"Read \"the validation zone is not reachable\" in the logs of `dcvaas work`: `problems` names the server, the address, and what it answered.",
				"`dig TXT _dcvaas-probe.acme.example.net` and `dig NS acme.example.net +trace` show the same from outside.",
				"`delegation` and `glue`: correct the records at the parent zone's DNS host. They must be those of `DCVAAS_NAME_SERVERS`, without a DS record.",
				"`port-53`: allow UDP and TCP port 53 in the firewalls, and check that `dcvaas dns` listens on that address.",
				"`replica`: check `/readyz` of the name server, and that the workers reach the address that it announces (`DCVAAS_DNS_ANNOUNCE`).",
				"Orders start within 10 s after the first probe that succeeds.",
			},
			Expr: `max by (step) (dcvaas_zone_problem) > 0 and on () max(dcvaas_zone_probe_failures) >= 3`},
		{Name: "DCVaaSZoneDegraded", Severity: SeverityWarning, For: 10 * time.Minute,
			Title: "A part of the validation zone is broken: {{ $labels.step }}",
			Cause: "Resolvers reach the validation zone, but the probe finds a broken step, for example one of two name servers that does not answer over TCP. Validations can fail at random.",
			Fix:   "Fix the step that the label names. The log of the worker has the details.",
			Note:  "Workers query the name servers at their public addresses. If their network cannot reach those, although the Internet can, the step is port-53.",
			Steps: []string{
				"Read \"a part of the validation zone is broken\" in the logs of `dcvaas work`, and follow the steps of [DCVaaSZoneUnreachable](#dcvaaszoneunreachable).",
			},
			Expr: `max by (step) (dcvaas_zone_problem) > 0 unless on () max(dcvaas_zone_probe_failures) >= 3`},
		{Name: "DCVaaSDNSReplicaBehind", Severity: SeverityCritical, For: time.Minute,
			Title: "The name server {{ $labels.instance }} does not follow the database",
			Cause: "The name server has lost its feed or its lease, or the feed is late. Without its lease, it answers SERVFAIL for targets, and orders do not wait for it.",
			Fix:   "Check the connection from the name server to Postgres.",
			Steps: []string{
				"`/readyz` of the name server states the cause.",
				"Read \"feed\" in its log, and check the network from it to Postgres.",
				"Until then, it answers from lookups while Postgres responds to it, and SERVFAIL otherwise. Orders continue as long as another name server has its lease.",
			},
			Expr: `dcvaas_dns_in_sync == 0 or dcvaas_dns_lease == 0 or dcvaas_dns_feed_lag_seconds > 10`},
		{Name: "DCVaaSDNSFeedUnsteady", Severity: SeverityWarning,
			Title: "The name server {{ $labels.instance }} keeps losing its feed",
			Cause: "The name server's connection for LISTEN breaks repeatedly.",
			Fix:   "Check the network to Postgres, and a connection pooler in between: LISTEN needs a dedicated session.",
			Steps: []string{
				"Read the errors of the feed in the name server's log.",
				"If a connection pooler or a firewall ends idle sessions, connect directly to Postgres, or configure session pooling.",
			},
			Expr: `increase(dcvaas_dns_feed_lost_total[30m]) > 5`},
		{Name: "DCVaaSDNSServfail", Severity: SeverityWarning, For: 5 * time.Minute,
			Title: "The name server {{ $labels.instance }} returns SERVFAIL in {{ $value | humanizePercentage }} of its responses",
			Cause: "The name server cannot know the answers: the feed is lost, and lookups fail or have reached their limit (dcvaas_dns_lookups_total).",
			Fix:   "Check the connection from the name server to Postgres.",
			Steps: []string{
				"`rate(dcvaas_dns_lookups_total[5m])` by `result` shows whether lookups fail (`failed`) or exceed their limit (`refused`).",
				"For `failed`, fix the connection to Postgres. For `refused`, the queries are for random names: they harm no customer while `dcvaas_dns_in_sync` is 1.",
			},
			Expr: `sum by (instance) (rate(dcvaas_dns_responses_total{rcode="SERVFAIL"}[5m]))
  / sum by (instance) (rate(dcvaas_dns_responses_total[5m])) > 0.01`},
		{Name: "DCVaaSAPIErrors", Severity: SeverityCritical, For: 5 * time.Minute,
			Title: "{{ $value | humanizePercentage }} of the API requests end in a server error",
			Cause: "More than 5% of the API requests get a status from 500 to 599.",
			Fix:   `Look up the errors in the log ("request failed") by the request ID that the caller received.`,
			Steps: []string{
				"`sum by (route, status) (rate(dcvaas_http_requests_total{status=~\"5..\"}[5m]))` shows which calls fail.",
				"For status 503, check `/readyz` of `dcvaas serve`: Postgres is the usual cause.",
				"For status 500, find \"request failed\" in the log. It is a defect: report it with the request ID and the error.",
			},
			Expr: `sum(rate(dcvaas_http_requests_total{status=~"5.."}[5m]))
  / sum(rate(dcvaas_http_requests_total[5m])) > 0.05`},
		{Name: "DCVaaSAPISlow", Severity: SeverityWarning, For: 10 * time.Minute,
			Title: "1% of the API requests take longer than {{ $value | humanizeDuration }}",
			Cause: "The 99th percentile of the API's response time is over a second.",
			Fix:   "Check the load of the API processes and of Postgres.",
			Steps: []string{
				"`sum by (route) (rate(dcvaas_http_request_duration_seconds_sum[10m]))` shows which calls take the time.",
				"If `rate(dcvaas_database_connection_waits_total[5m])` grows, requests wait for a connection: raise `DCVAAS_DATABASE_CONNECTIONS`, or start another `dcvaas serve`.",
				"Otherwise, look for slow statements in Postgres, with `pg_stat_activity` and `log_min_duration_statement`.",
			},
			Expr: `histogram_quantile(0.99, sum by (le) (rate(dcvaas_http_request_duration_seconds_bucket[10m]))) > 1`},
	}
}
