package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

type webhookModel struct {
	ID              types.String      `tfsdk:"id"`
	OrganizationID  types.String      `tfsdk:"organization_id"`
	URL             types.String      `tfsdk:"url"`
	Events          types.Set         `tfsdk:"events"`
	Description     types.String      `tfsdk:"description"`
	Enabled         types.Bool        `tfsdk:"enabled"`
	SecretWO        types.String      `tfsdk:"secret_wo"` // null except in the configuration
	SecretWOVersion types.Int64       `tfsdk:"secret_wo_version"`
	DisabledReason  types.String      `tfsdk:"disabled_reason"`
	FailingSince    timetypes.RFC3339 `tfsdk:"failing_since"`
	CreatedAt       timetypes.RFC3339 `tfsdk:"created_at"`
}

func (m *webhookModel) toCreateRequest(
	ctx context.Context, secret types.String,
) (client.WebhookCreate, diag.Diagnostics) {
	in := client.WebhookCreate{Url: m.URL.ValueString(),
		Description: m.Description.ValueStringPointer(), Enabled: m.Enabled.ValueBoolPointer(),
		Secret: secret.ValueStringPointer()}
	return in, m.Events.ElementsAs(ctx, &in.Events, false)
}

// toUpdateRequest returns the values that change, and whether any do. It includes the secret if its
// version changes.
func (m *webhookModel) toUpdateRequest(
	ctx context.Context, state *webhookModel, secret types.String,
) (in client.WebhookUpdate, changed bool, diags diag.Diagnostics) {
	if !m.URL.Equal(state.URL) {
		in.Url, changed = m.URL.ValueStringPointer(), true
	}
	if !m.Description.Equal(state.Description) {
		in.Description, changed = m.Description.ValueStringPointer(), true
	}
	if !m.Enabled.Equal(state.Enabled) {
		in.Enabled, changed = m.Enabled.ValueBoolPointer(), true
	}
	if !m.SecretWOVersion.Equal(state.SecretWOVersion) && !secret.IsNull() {
		in.Secret, changed = secret.ValueStringPointer(), true
	}
	if !m.Events.Equal(state.Events) {
		changed, diags = true, m.Events.ElementsAs(ctx, &in.Events, false)
	}
	return in, changed, diags
}

// fromAPI sets the attributes from the API's response, which contains neither the secret nor its
// version.
func (m *webhookModel) fromAPI(w *client.Webhook) {
	m.ID = types.StringValue(w.Id)
	m.URL = types.StringValue(w.Url)
	events := make([]attr.Value, len(w.Events))
	for i, e := range w.Events {
		events[i] = types.StringValue(e)
	}
	m.Events = types.SetValueMust(types.StringType, events)
	m.Description = types.StringValue(w.Description)
	m.Enabled = types.BoolValue(w.Enabled)
	m.DisabledReason = fromNullable(w.DisabledReason)
	m.FailingSince = fromNullableTime(w.FailingSince)
	m.CreatedAt = fromTime(w.CreatedAt)
}

// planUpdate keeps the values that an update does not change. Another URL starts without failures;
// so does a webhook that is enabled, and it has no reason for being disabled.
func (m *webhookModel) planUpdate(state *webhookModel) {
	m.OrganizationID = state.OrganizationID
	if m.Enabled.Equal(state.Enabled) {
		m.DisabledReason = state.DisabledReason
		if m.URL.Equal(state.URL) {
			m.FailingSince = state.FailingSince
		}
	}
}

// keepKnown restores the planned values that the service has changed since the plan. The next
// refresh shows them.
func (m *webhookModel) keepKnown(planned *webhookModel) {
	if !planned.DisabledReason.IsUnknown() {
		m.DisabledReason = planned.DisabledReason
	}
	if !planned.FailingSince.IsUnknown() {
		m.FailingSince = planned.FailingSince
	}
}

// withoutWebhookSecret returns a new webhook without its secret. The service has not disabled it
// yet.
func withoutWebhookSecret(w *client.WebhookWithSecret) *client.Webhook {
	return &client.Webhook{Id: w.Id, Url: w.Url, Description: w.Description, Events: w.Events,
		Enabled:        w.Enabled,
		DisabledReason: nullable.NewNullNullable[client.WebhookDisabledReason](),
		FailingSince:   w.FailingSince, CreatedAt: w.CreatedAt}
}

// label returns the ID, because the URL may contain a secret.
func (m *webhookModel) label() string { return m.ID.ValueString() }
