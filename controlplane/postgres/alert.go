package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// The conditions of the rows that an organization gets an alert for.
const (
	// A dead-lettered job has an alert, unless a later job did the same, or the alert of
	// its domain states what is wrong. Deliveries are listed on the page of their webhook.
	alertingJob = `j.status = 'failed' AND j.dead_lettered_at IS NOT NULL AND j.delivery_id IS NULL
		AND NOT EXISTS (SELECT FROM domains d WHERE d.org_id = j.org_id AND d.id = j.domain_id AND ` + needsAttention + `)
		AND NOT EXISTS (SELECT FROM jobs n WHERE n.org_id = j.org_id AND n.slot = j.slot AND n.created_at > j.created_at
			AND (n.domain_id = j.domain_id OR n.delegation_id = j.delegation_id OR n.connection_id = j.connection_id))`
	alertingWebhook    = `w.deleted_at IS NULL AND NOT w.enabled AND w.disabled_reason <> ''`
	alertingConnection = `c.status = 'invalid'`
)

// Alerts returns the alerts of an organization, the most urgent first: at most
// controlplane.MaxAlerts of each kind. Unless only is nil, it returns those of these domains, of
// CAs, and of the validation zone. more reports whether there are others.
func (s *Store) Alerts(
	ctx context.Context, orgID string, only []string, now time.Time,
) (alerts []controlplane.OrganizationAlert, more bool, err error) {
	domains, next, err := s.ListDomains(ctx, orgID, DomainFilter{Attention: true, IDs: only,
		Sort: "expires_at", Limit: controlplane.MaxAlerts})
	if err != nil {
		return nil, false, err
	}
	since, err := s.summarySince(ctx, orgID, domains)
	if err != nil {
		return nil, false, err
	}
	for i := range domains {
		d := &domains[i]
		alerts = append(alerts, controlplane.DomainAlert(d, since[d.ID], now))
	}
	l := newList(`SELECT `+jobColumns+`, coalesce((SELECT d.name FROM domains d WHERE d.org_id = j.org_id AND d.id = j.domain_id), '') AS domain_name
		FROM jobs j`, "j.org_id = @org_id AND "+alertingJob, named{"org_id": orgID})
	l.where(only != nil, "j.domain_id = ANY(@only)", named{"only": only})
	l.newest("j.created_at", "j.id", nil, controlplane.MaxAlerts)
	jobs, nextJob, err := readPage(ctx, s.queries, l, scanNamedJob,
		func(j namedJob) *Cursor { return at(j.CreatedAt, j.ID) })
	if err != nil {
		return nil, false, err
	}
	for i := range jobs {
		alerts = append(alerts, controlplane.JobAlert(&jobs[i].Job, jobs[i].name))
	}
	more = next != nil || nextJob != nil
	if only == nil {
		further, err := s.alertsOfOrganization(ctx, orgID)
		if err != nil {
			return nil, false, err
		}
		alerts = append(alerts, further...)
	}
	outages, err := s.CAOutages(ctx, now)
	if err != nil {
		return nil, false, err
	}
	for i := range outages {
		alerts = append(alerts, controlplane.CAAlert(&outages[i]))
	}
	zone, err := s.ZoneState(ctx)
	if err != nil {
		return nil, false, err
	}
	if zone.Held() {
		alerts = append(alerts, controlplane.ZoneAlert(zone))
	}
	controlplane.SortAlerts(alerts)
	return alerts, more, nil
}

// alertsOfOrganization returns the alerts that are about no domain: of webhooks and connections.
func (q queries) alertsOfOrganization(
	ctx context.Context, orgID string,
) ([]controlplane.OrganizationAlert, error) {
	hooks, err := all(ctx, q, scanWebhook, `SELECT `+webhookColumns+
		` FROM webhooks w WHERE w.org_id = $1 AND `+alertingWebhook+
		` ORDER BY w.created_at DESC, w.id DESC LIMIT $2`, orgID, controlplane.MaxAlerts)
	if err != nil {
		return nil, err
	}
	connections, err := all(ctx, q, scanConnection, `SELECT `+connectionColumns.list("c.")+
		` FROM dns_connections c WHERE c.org_id = $1 AND `+alertingConnection+
		` ORDER BY c.created_at DESC, c.id DESC LIMIT $2`, orgID, controlplane.MaxAlerts)
	if err != nil {
		return nil, err
	}
	var alerts []controlplane.OrganizationAlert
	for i := range hooks {
		alerts = append(alerts, controlplane.WebhookAlert(&hooks[i]))
	}
	for i := range connections {
		alerts = append(alerts, controlplane.ConnectionAlert(&connections[i]))
	}
	return alerts, nil
}

// CountAlerts returns how many alerts Alerts returns for an organization.
func (q queries) CountAlerts(ctx context.Context, orgID string, now time.Time) (n int, err error) {
	limited := func(from string) string {
		return `(SELECT count(*) FROM (SELECT FROM ` + from + ` LIMIT @most) counted)`
	}
	err = q.db.QueryRow(ctx, `SELECT `+
		limited(`domains d WHERE d.org_id = @org_id AND `+needsAttention)+` + `+
		limited(`jobs j WHERE j.org_id = @org_id AND `+alertingJob)+` + `+
		limited(`webhooks w WHERE w.org_id = @org_id AND `+alertingWebhook)+` + `+
		limited(`dns_connections c WHERE c.org_id = @org_id AND `+alertingConnection)+` +
		(SELECT count(DISTINCT b.ca) FROM ca_breakers b WHERE b.reported_at > @reported) +
		(SELECT count(*) FROM zone_probe WHERE failures >= @held)`,
		pgx.QueryExecModeCacheDescribe, named{"org_id": orgID, "most": controlplane.MaxAlerts,
			"held":     controlplane.HeldAfter,
			"reported": now.Add(-controlplane.BreakerReportFor)}).Scan(&n)
	return n, translate(err, "", "")
}

// namedJob is a job with the name of its domain.
type namedJob struct {
	controlplane.Job
	name string
}

func scanNamedJob(row pgx.CollectableRow) (namedJob, error) {
	var j namedJob
	err := row.Scan(append(jobFields(&j.Job), &j.name)...)
	return j, err
}

// summarySince returns since when domains have the state of their summary, by ID.
func (q queries) summarySince(
	ctx context.Context, orgID string, domains []controlplane.Domain,
) (map[string]*time.Time, error) {
	since := make(map[string]*time.Time, len(domains))
	if len(domains) == 0 {
		return since, nil
	}
	ids := make([]string, len(domains))
	for i := range domains {
		ids[i] = domains[i].ID
	}
	rows, err := q.db.Query(ctx,
		`SELECT id, summary_since FROM domains WHERE org_id = $1 AND id = ANY($2)`, orgID, ids)
	if err != nil {
		return nil, translate(err, "", "")
	}
	var id string
	var at *time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &at}, func() error {
		since[id] = at
		at = nil
		return nil
	})
	return since, translate(err, "", "")
}
