package api

import (
	"context"
	"errors"
)

var errPendingWebhook = errors.New("not built yet")

func (a *API) ListWebhooks(context.Context, ListWebhooksRequestObject) (ListWebhooksResponseObject, error) {
	return nil, errPendingWebhook
}

func (a *API) CreateWebhook(context.Context, CreateWebhookRequestObject) (CreateWebhookResponseObject, error) {
	return nil, errPendingWebhook
}

func (a *API) DeleteWebhook(context.Context, DeleteWebhookRequestObject) (DeleteWebhookResponseObject, error) {
	return nil, errPendingWebhook
}

func (a *API) GetWebhook(context.Context, GetWebhookRequestObject) (GetWebhookResponseObject, error) {
	return nil, errPendingWebhook
}

func (a *API) UpdateWebhook(context.Context, UpdateWebhookRequestObject) (UpdateWebhookResponseObject, error) {
	return nil, errPendingWebhook
}

func (a *API) ListWebhookDeliveries(context.Context, ListWebhookDeliveriesRequestObject) (ListWebhookDeliveriesResponseObject, error) {
	return nil, errPendingWebhook
}

func (a *API) GetWebhookDelivery(context.Context, GetWebhookDeliveryRequestObject) (GetWebhookDeliveryResponseObject, error) {
	return nil, errPendingWebhook
}

func (a *API) RedeliverWebhook(context.Context, RedeliverWebhookRequestObject) (RedeliverWebhookResponseObject, error) {
	return nil, errPendingWebhook
}

func (a *API) RedeliverWebhookRange(context.Context, RedeliverWebhookRangeRequestObject) (RedeliverWebhookRangeResponseObject, error) {
	return nil, errPendingWebhook
}

func (a *API) RotateWebhookSecret(context.Context, RotateWebhookSecretRequestObject) (RotateWebhookSecretResponseObject, error) {
	return nil, errPendingWebhook
}

func (a *API) TestWebhook(context.Context, TestWebhookRequestObject) (TestWebhookResponseObject, error) {
	return nil, errPendingWebhook
}
