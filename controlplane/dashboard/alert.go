package dashboard

import (
	"context"
	"net/http"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// alertsView is the data for templates/alert_list.html.
type alertsView struct {
	Rows []alertRow
	More bool // there are more of a kind
}

// alertRow is an alert.
type alertRow struct {
	Pill       pill
	Title, Fix string
	URL        string // of the object; empty without a page
	Since      moment
}

// alertsPage shows the organization's alerts.
func (d *Dashboard) alertsPage(w http.ResponseWriter, v *visit) error {
	alerts, more, err := d.store.Alerts(v.Context(), v.org.ID, nil, v.now)
	if err != nil {
		return err
	}
	view := alertsView{More: more}
	for i := range alerts {
		view.Rows = append(view.Rows, v.alertRow(&alerts[i]))
	}
	return d.render(w, v, http.StatusOK, "alert_list",
		layout{Title: "Alerts", Section: "alerts", Flash: d.takeFlash(w, v), Page: view})
}

func (v *visit) alertRow(a *controlplane.OrganizationAlert) alertRow {
	row := alertRow{Pill: pill{"warn", "alert", "Warning"}, Title: a.Title, Fix: a.DashboardFix,
		Since: v.maybeAt(a.Since)}
	if a.Severity == controlplane.SeverityCritical {
		row.Pill = pill{"danger", "alert", "Critical"}
	}
	switch {
	case a.DomainID != "":
		row.URL = domainURL(a.DomainID)
	case a.JobID != "":
		row.URL = "/jobs?status=failed#" + a.JobID
	case a.WebhookID != "":
		row.URL = webhookURL(a.WebhookID)
	case a.ConnectionID != "":
		row.URL = connectionsPath + "/" + a.ConnectionID
	}
	return row
}

// badgeTime is how long a page waits for the number of alerts.
const badgeTime = 500 * time.Millisecond

// alertCount returns the number of the organization's alerts, for the badge. A page is shown
// without it if it cannot be read.
func (d *Dashboard) alertCount(v *visit) int {
	if v.session == nil || v.org == nil {
		return 0
	}
	// Not in the transaction of a form, which would fail with it.
	ctx, cancel := context.WithTimeout(context.Background(), badgeTime)
	defer cancel()
	n, err := d.store.CountAlerts(ctx, v.org.ID, v.now)
	if err != nil {
		d.log.WarnContext(v.Context(), "dashboard: alerts not counted", "request_id", v.id,
			"error", err)
	}
	return n
}
