package api

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// ListAlerts implements GET /api/alerts.
func (a *API) ListAlerts(
	ctx context.Context, _ ListAlertsRequestObject,
) (ListAlertsResponseObject, error) {
	p := principalOf(ctx)
	alerts, more, err := a.store.Alerts(ctx, p.org(), p.onlyDomains(), a.now())
	if err != nil {
		return nil, err
	}
	data := make([]Alert, len(alerts))
	for i := range alerts {
		data[i] = alertBody(&alerts[i])
	}
	return ListAlerts200JSONResponse{Data: data, HasMore: more}, nil
}

func alertBody(a *controlplane.OrganizationAlert) Alert {
	body := Alert{Id: a.ID, Code: a.Code, Severity: AlertSeverity(a.Severity),
		Since: timeOrNull(a.Since), Title: a.Title, Fix: a.Fix}
	for _, id := range []struct {
		value string
		field **string
	}{{a.DomainID, &body.DomainId}, {a.JobID, &body.JobId}, {a.WebhookID, &body.WebhookId},
		{a.ConnectionID, &body.ConnectionId}} {
		if id.value != "" {
			*id.field = &id.value
		}
	}
	return body
}
