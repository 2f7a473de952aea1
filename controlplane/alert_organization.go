package controlplane

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"
)

// MaxAlerts is how many alerts of each kind an organization gets at a time.
const MaxAlerts = 100

// OrganizationAlert is a problem that an organization has now. It is computed when it is read, and
// ends with the problem. At most one of the IDs is set.
type OrganizationAlert struct {
	ID       string // the same while the problem lasts
	Code     string // of the catalog
	Severity Severity
	Since    *time.Time // nil: not known
	Title    string
	Fix      string
	// DashboardFix is Fix in the terms of the dashboard.
	DashboardFix string

	DomainID, JobID, WebhookID, ConnectionID string
}

func newAlert(code string, severity Severity, object, title string) OrganizationAlert {
	entry, _ := CodeOf(code)
	return OrganizationAlert{ID: code + "." + object, Code: code, Severity: severity, Title: title,
		Fix: entry.Fix, DashboardFix: cmp.Or(entry.DashboardFix, entry.Fix)}
}

// DomainAlert returns the alert of a domain whose state needs attention, and has had that state
// since a time. It is critical if the domain has no usable certificate any longer, or will not have
// one soon.
func DomainAlert(d *Domain, since *time.Time, now time.Time) OrganizationAlert {
	s := d.Summary(now)
	severity := SeverityWarning
	switch {
	case s.State == SummaryExpired, s.State == SummaryRevoked,
		s.State == SummaryAtRisk && d.LastIssuedAt != nil &&
			!now.Before(ExpiryAlarmAt(*d.LastIssuedAt, *d.ExpiresAt)):
		severity = SeverityCritical
	}
	if s.State == SummaryExpired {
		since = d.ExpiresAt
	}
	a := newAlert(string(s.Reason), severity, d.ID, d.Name+": "+s.Headline)
	a.Since, a.Fix, a.DashboardFix, a.DomainID = since, s.NextStep, s.DashboardStep, d.ID
	return a
}

// JobAlert returns the alert of a dead-lettered job. name is its domain's; it may be empty.
func JobAlert(j *Job, name string) OrganizationAlert {
	title := "Job dead-lettered"
	if name != "" {
		title = name + ": " + title
	}
	a := newAlert(ReasonDeadLettered, SeverityWarning, j.ID, title)
	a.JobID, a.Since = j.ID, j.DeadLetteredAt
	return a
}

// WebhookAlert returns the alert of a webhook that was disabled automatically.
func WebhookAlert(w *Webhook) OrganizationAlert {
	name := w.ID
	if u, err := url.Parse(w.URL); err == nil {
		name = u.Host // the rest may be secret
	}
	a := newAlert("webhook-disabled", SeverityWarning, w.ID, name+": Webhook disabled")
	a.WebhookID, a.Since = w.ID, &w.UpdatedAt
	return a
}

// ConnectionAlert returns the alert of a connection whose DNS host rejects it.
func ConnectionAlert(c *Connection) OrganizationAlert {
	a := newAlert(CodeConnectionInvalid, SeverityWarning, c.ID, c.Name+": DNS connection invalid")
	a.ConnectionID, a.Since = c.ID, c.LastTestedAt
	return a
}

// CAAlert returns the alert of a CA that does not respond. The organization need not act.
func CAAlert(o *CAOutage) OrganizationAlert {
	a := newAlert("ca-unreachable", SeverityWarning, o.CA, "The CA "+o.CA+" is unreachable")
	a.Since = &o.Since
	return a
}

// ZoneAlert returns the alert while orders are held, because the validation zone is unreachable.
// The organization need not act.
func ZoneAlert(z ZoneState) OrganizationAlert {
	entry, _ := CodeOf(ReasonZoneUnreachable)
	a := newAlert(ReasonZoneUnreachable, SeverityCritical, "zone", entry.Title)
	a.Since = &z.Since
	return a
}

// SortAlerts sorts alerts: critical ones first, then by their start, the latest first.
func SortAlerts(alerts []OrganizationAlert) {
	slices.SortStableFunc(alerts, func(a, b OrganizationAlert) int {
		if a.Severity != b.Severity {
			return strings.Compare(string(a.Severity), string(b.Severity)) // critical, warning
		}
		switch {
		case a.Since == nil || b.Since == nil:
			return strings.Compare(a.ID, b.ID)
		case !a.Since.Equal(*b.Since):
			return b.Since.Compare(*a.Since)
		}
		return strings.Compare(a.ID, b.ID)
	})
}
