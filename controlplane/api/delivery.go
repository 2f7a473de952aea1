package api

import (
	"context"

	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// ListWebhookDeliveries implements GET /api/webhooks/{webhook}/deliveries.
func (a *API) ListWebhookDeliveries(
	ctx context.Context, r ListWebhookDeliveriesRequestObject,
) (ListWebhookDeliveriesResponseObject, error) {
	w, err := a.webhook(ctx, r.Webhook)
	if err != nil {
		return nil, err
	}
	if err := knownType("type", deref(r.Params.Type), "an event type",
		append(controlplane.EventTypes(), controlplane.EventTest)); err != nil {
		return nil, err
	}
	f := postgres.DeliveryFilter{Status: controlplane.DeliveryStatus(deref(r.Params.Status)),
		EventType: deref(r.Params.Type), Limit: limitOf(r.Params.Limit)}
	l := listing{Operation: "listWebhookDeliveries", Org: w.OrgID,
		Filters: []any{w.ID, f.Status, f.EventType}}
	if f.After, err = a.position(l, r.Params.Cursor); err != nil {
		return nil, err
	}
	deliveries, next, err := a.store.ListDeliveries(ctx, w.OrgID, w.ID, f)
	if err != nil {
		return nil, err
	}
	data := make([]WebhookDelivery, len(deliveries))
	for i := range deliveries {
		data[i] = deliveryBody(&deliveries[i])
	}
	return ListWebhookDeliveries200JSONResponse{Data: data, HasMore: next != nil,
		NextCursor: a.next(l, next)}, nil
}

// GetWebhookDelivery implements GET /api/webhooks/{webhook}/deliveries/{delivery}.
func (a *API) GetWebhookDelivery(
	ctx context.Context, r GetWebhookDeliveryRequestObject,
) (GetWebhookDeliveryResponseObject, error) {
	p, err := a.forDelivery(ctx, r.Webhook, r.Delivery)
	if err != nil {
		return nil, err
	}
	d, err := a.store.Delivery(ctx, p.org(), r.Webhook, r.Delivery)
	if err != nil {
		return nil, err
	}
	attempts, err := a.store.Attempts(ctx, p.org(), d.ID)
	if err != nil {
		return nil, err
	}
	b := deliveryBody(d)
	body := WebhookDeliveryWithAttempts{Id: b.Id, WebhookId: b.WebhookId, EventId: b.EventId,
		EventType: b.EventType, Status: b.Status, AttemptsMade: b.AttemptsMade,
		LastStatusCode: b.LastStatusCode, LastError: b.LastError, NextAttemptAt: b.NextAttemptAt,
		CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt,
		Attempts: make([]WebhookAttempt, len(attempts))}
	for i := range attempts {
		body.Attempts[i] = attemptBody(&attempts[i], d.Body)
	}
	return GetWebhookDelivery200JSONResponse(body), nil
}

// TestWebhook implements POST /api/webhooks/{webhook}/test.
func (a *API) TestWebhook(
	ctx context.Context, r TestWebhookRequestObject,
) (TestWebhookResponseObject, error) {
	p, err := a.forWebhook(ctx, r.Webhook)
	if err != nil {
		return nil, err
	}
	d, err := a.lifecycle.TestWebhook(ctx, p.actor, p.org(), r.Webhook)
	if err != nil {
		return nil, err
	}
	return TestWebhook202JSONResponse{Body: deliveryBody(d),
		Headers: TestWebhook202ResponseHeaders{Location: deliveryLocation(d)}}, nil
}

// RedeliverWebhook implements POST /api/webhooks/{webhook}/deliveries/{delivery}/redeliver.
func (a *API) RedeliverWebhook(
	ctx context.Context, r RedeliverWebhookRequestObject,
) (RedeliverWebhookResponseObject, error) {
	p, err := a.forDelivery(ctx, r.Webhook, r.Delivery)
	if err != nil {
		return nil, err
	}
	d, err := a.lifecycle.Redeliver(ctx, p.actor, p.org(), r.Webhook, r.Delivery)
	if err != nil {
		return nil, err
	}
	return RedeliverWebhook202JSONResponse{Body: deliveryBody(d),
		Headers: RedeliverWebhook202ResponseHeaders{Location: deliveryLocation(d)}}, nil
}

// RedeliverWebhookRange implements POST /api/webhooks/{webhook}/redeliver.
func (a *API) RedeliverWebhookRange(
	ctx context.Context, r RedeliverWebhookRangeRequestObject,
) (RedeliverWebhookRangeResponseObject, error) {
	p, err := a.forWebhook(ctx, r.Webhook)
	if err != nil {
		return nil, err
	}
	queued, until, err := a.lifecycle.RedeliverRange(ctx, p.actor, p.org(), r.Webhook, r.Body.Since,
		r.Body.Until, deref(r.Body.All))
	if err != nil {
		return nil, err
	}
	return RedeliverWebhookRange202JSONResponse{Queued: queued, Until: until.UTC()}, nil
}

// forDelivery is forWebhook for a call about one delivery.
func (a *API) forDelivery(ctx context.Context, webhook, id string) (principal, error) {
	p, err := a.forWebhook(ctx, webhook)
	if err == nil && !controlplane.IsID(controlplane.PrefixDelivery, id) {
		err = controlplane.NotFound("delivery", id)
	}
	return p, err
}

func deliveryLocation(d *controlplane.Delivery) string {
	return "/api/webhooks/" + d.WebhookID + "/deliveries/" + d.ID
}

// deliveryBody converts a delivery to its API representation.
func deliveryBody(d *controlplane.Delivery) WebhookDelivery {
	return WebhookDelivery{Id: d.ID, WebhookId: d.WebhookID, EventId: d.EventID,
		EventType: d.EventType, Status: WebhookDeliveryStatus(d.Status),
		AttemptsMade: d.Attempts, LastStatusCode: codeOrNull(d.LastStatusCode),
		LastError: orNull(d.LastError), NextAttemptAt: timeOrNull(d.NextAttemptAt),
		CreatedAt: d.CreatedAt.UTC(), UpdatedAt: d.UpdatedAt.UTC()}
}

func attemptBody(t *controlplane.Attempt, sent []byte) WebhookAttempt {
	return WebhookAttempt{At: t.At.UTC(), DurationMs: int(t.Duration.Milliseconds()),
		StatusCode: codeOrNull(t.StatusCode), Error: orNull(t.Error),
		RequestHeaders: t.RequestHeaders, RequestBody: string(sent),
		ResponseHeaders: t.ResponseHeaders, ResponseBody: t.ResponseBody}
}

func codeOrNull(code int) nullable.Nullable[int] {
	if code == 0 {
		return nullable.NewNullNullable[int]()
	}
	return nullable.NewNullableWithValue(code)
}
