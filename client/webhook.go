package client

import "context"

// CreateWebhook creates a webhook, to which events are sent. Only this response contains the secret
// that signs them.
func (c *Client) CreateWebhook(ctx context.Context, in WebhookCreate) (*WebhookWithSecret, error) {
	return decode[WebhookWithSecret](c.raw.CreateWebhook(ctx, nil, in))
}

// Webhook returns a webhook, without its secret.
func (c *Client) Webhook(ctx context.Context, id string) (*Webhook, error) {
	return decode[Webhook](c.raw.GetWebhook(ctx, id))
}

// Webhooks returns one page of webhooks, newest first.
func (c *Client) Webhooks(ctx context.Context, in ListWebhooksParams) (*WebhookList, error) {
	return decode[WebhookList](c.raw.ListWebhooks(ctx, &in))
}

// UpdateWebhook changes the fields that are set in in.
func (c *Client) UpdateWebhook(ctx context.Context, id string, in WebhookUpdate) (*Webhook, error) {
	return decode[Webhook](c.raw.UpdateWebhook(ctx, id, nil, in))
}

// DeleteWebhook deletes a webhook. Nothing more is sent to its URL.
func (c *Client) DeleteWebhook(ctx context.Context, id string) error {
	return discard(c.raw.DeleteWebhook(ctx, id))
}

// RevokePreviousWebhookSecrets revokes the previous secrets of a webhook. Deliveries are signed
// only with the current one after it.
func (c *Client) RevokePreviousWebhookSecrets(ctx context.Context, id string) error {
	return discard(c.raw.RevokePreviousWebhookSecrets(ctx, id))
}
