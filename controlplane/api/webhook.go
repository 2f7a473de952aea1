package api

import (
	"context"

	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// ListWebhooks implements GET /api/webhooks.
func (a *API) ListWebhooks(
	ctx context.Context, r ListWebhooksRequestObject,
) (ListWebhooksResponseObject, error) {
	p, err := a.unrestricted(ctx)
	if err != nil {
		return nil, err
	}
	l := listing{Operation: "listWebhooks", Org: p.org()}
	after, err := a.position(l, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	webhooks, next, err := a.store.ListWebhooks(ctx, p.org(), after, limitOf(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	data := make([]Webhook, len(webhooks))
	for i := range webhooks {
		data[i] = a.webhookBody(&webhooks[i])
	}
	return ListWebhooks200JSONResponse{Data: data, HasMore: next != nil,
		NextCursor: a.next(l, next)}, nil
}

// CreateWebhook implements POST /api/webhooks.
func (a *API) CreateWebhook(
	ctx context.Context, r CreateWebhookRequestObject,
) (CreateWebhookResponseObject, error) {
	p, err := a.unrestricted(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.replacedWebhook(ctx, r.Params.Replacing); err != nil {
		return nil, err
	}
	b := r.Body
	w, secret, err := a.lifecycle.CreateWebhook(ctx, p.actor, p.org(),
		lifecycle.NewWebhook{URL: b.Url, Description: deref(b.Description),
			Events: deref(b.Events), Enabled: b.Enabled == nil || *b.Enabled,
			Secret: deref(b.Secret), Replacing: deref(r.Params.Replacing)})
	if err != nil {
		return nil, err
	}
	return CreateWebhook201JSONResponse{Body: a.webhookWithSecret(w, secret),
		Headers: CreateWebhook201ResponseHeaders{Location: "/api/webhooks/" + w.ID,
			CacheControl: "no-store"}}, nil
}

// GetWebhook implements GET /api/webhooks/{webhook}.
func (a *API) GetWebhook(
	ctx context.Context, r GetWebhookRequestObject,
) (GetWebhookResponseObject, error) {
	w, err := a.webhook(ctx, r.Webhook)
	if err != nil {
		return nil, err
	}
	return GetWebhook200JSONResponse(a.webhookBody(w)), nil
}

// UpdateWebhook implements PATCH /api/webhooks/{webhook}.
func (a *API) UpdateWebhook(
	ctx context.Context, r UpdateWebhookRequestObject,
) (UpdateWebhookResponseObject, error) {
	p, err := a.forWebhook(ctx, r.Webhook)
	if err != nil {
		return nil, err
	}
	b := r.Body
	w, err := a.lifecycle.UpdateWebhook(ctx, p.actor, p.org(), r.Webhook,
		lifecycle.WebhookPatch{URL: b.Url, Description: b.Description,
			Events: b.Events, Enabled: b.Enabled, Secret: b.Secret})
	if err != nil {
		return nil, err
	}
	return UpdateWebhook200JSONResponse(a.webhookBody(w)), nil
}

// DeleteWebhook implements DELETE /api/webhooks/{webhook}.
func (a *API) DeleteWebhook(
	ctx context.Context, r DeleteWebhookRequestObject,
) (DeleteWebhookResponseObject, error) {
	p, err := a.forWebhook(ctx, r.Webhook)
	if err != nil {
		return nil, err
	}
	if err := a.lifecycle.DeleteWebhook(ctx, p.actor, p.org(), r.Webhook); err != nil {
		return nil, err
	}
	return DeleteWebhook204Response{}, nil
}

// RotateWebhookSecret implements POST /api/webhooks/{webhook}/rotate-secret.
func (a *API) RotateWebhookSecret(
	ctx context.Context, r RotateWebhookSecretRequestObject,
) (RotateWebhookSecretResponseObject, error) {
	p, err := a.forWebhook(ctx, r.Webhook)
	if err != nil {
		return nil, err
	}
	w, secret, err := a.lifecycle.RotateWebhookSecret(ctx, p.actor, p.org(), r.Webhook)
	if err != nil {
		return nil, err
	}
	return RotateWebhookSecret200JSONResponse{Body: a.webhookWithSecret(w, secret),
		Headers: RotateWebhookSecret200ResponseHeaders{CacheControl: "no-store"}}, nil
}

// RevokePreviousWebhookSecrets implements DELETE /api/webhooks/{webhook}/previous-secrets.
func (a *API) RevokePreviousWebhookSecrets(
	ctx context.Context, r RevokePreviousWebhookSecretsRequestObject,
) (RevokePreviousWebhookSecretsResponseObject, error) {
	p, err := a.forWebhook(ctx, r.Webhook)
	if err != nil {
		return nil, err
	}
	if err := a.lifecycle.RevokePreviousWebhookSecrets(ctx, p.actor, p.org(),
		r.Webhook); err != nil {
		return nil, err
	}
	return RevokePreviousWebhookSecrets204Response{}, nil
}

// unrestricted returns the caller, and an error if it is restricted to some domains: a webhook
// receives the events of all domains, so only callers with access to all domains can use webhooks.
func (a *API) unrestricted(ctx context.Context) (principal, error) {
	p := principalOf(ctx)
	if p.restricted() {
		return p, errRestricted("read or change webhooks, which receive the events of all domains")
	}
	return p, nil
}

// forWebhook is unrestricted for a call about one webhook.
func (a *API) forWebhook(ctx context.Context, id string) (principal, error) {
	p, err := a.unrestricted(ctx)
	if err == nil && !controlplane.IsID(controlplane.PrefixWebhook, id) {
		err = controlplane.NotFound("webhook", id)
	}
	return p, err
}

func (a *API) webhook(ctx context.Context, id string) (*controlplane.Webhook, error) {
	p, err := a.forWebhook(ctx, id)
	if err != nil {
		return nil, err
	}
	return a.store.Webhook(ctx, p.org(), id)
}

// webhookBody converts a webhook to its API representation.
func (a *API) webhookBody(w *controlplane.Webhook) Webhook {
	now := a.now()
	body := Webhook{Id: w.ID, Url: w.URL, Description: w.Description, Events: listOf(w.Events),
		Enabled:             w.Enabled,
		DisabledReason:      nullable.NewNullNullable[WebhookDisabledReason](),
		FailingSince:        timeOrNull(w.FailingSince),
		PreviousSecretUntil: timeOrNull(w.Secrets.PreviousUntil(now)),
		Secrets:             secretsBody(w.Secrets, now), CreatedBy: w.CreatedBy,
		CreatedAt: w.CreatedAt.UTC(), UpdatedAt: w.UpdatedAt.UTC()}
	if w.DisabledReason != "" {
		body.DisabledReason.Set(WebhookDisabledReason(w.DisabledReason))
	}
	return body
}

func (a *API) webhookWithSecret(w *controlplane.Webhook, secret string) WebhookWithSecret {
	b := a.webhookBody(w)
	body := WebhookWithSecret{Secret: secret, Id: b.Id, Url: b.Url, Description: b.Description,
		Events: b.Events, Enabled: b.Enabled,
		DisabledReason:      nullable.NewNullNullable[WebhookWithSecretDisabledReason](),
		FailingSince:        b.FailingSince,
		PreviousSecretUntil: b.PreviousSecretUntil, Secrets: b.Secrets, CreatedBy: b.CreatedBy,
		CreatedAt: b.CreatedAt,
		UpdatedAt: b.UpdatedAt}
	if w.DisabledReason != "" {
		body.DisabledReason.Set(WebhookWithSecretDisabledReason(w.DisabledReason))
	}
	return body
}
