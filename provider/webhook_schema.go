package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/setdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

func (r *webhookResource) Schema(
	_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse,
) {
	kept := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	resp.Schema = schema.Schema{
		MarkdownDescription: "A URL that events are sent to, signed with [Standard Webhooks](https://www.standardwebhooks.com). The guide [Webhooks](../guides/webhooks.md) describes the events and how to verify them. " +
			"The signing secret is never in the state: generate it, and set it in `secret_wo`. Without it, the service generates a secret that is not shown; " +
			"`POST /api/webhooks/{webhook}/rotate-secret` returns a new one.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{Computed: true, MarkdownDescription: "ID, `whk_…`.",
				PlanModifiers: kept},
			"organization_id": organizationAttribute(),
			"url": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Public HTTPS URL that events are sent to with POST, on port 443 or a port from 1024 to 65535.",
				Validators:          []validator.String{webhookURLValidator},
			},
			"events": schema.SetAttribute{
				ElementType: types.StringType,
				Optional:    true,
				Computed:    true,
				Default: setdefault.StaticValue(types.SetValueMust(types.StringType,
					[]attr.Value{})),
				MarkdownDescription: "Types of the events to send, such as `domain.renewal_failed`. Default: empty, for all events.",
				Validators: []validator.Set{setvalidator.SizeAtMost(rules.MaxWebhookEvents),
					setvalidator.NoNullValues(),
					setvalidator.ValueStringsAre(stringvalidator.LengthAtLeast(1))},
			},
			"description": schema.StringAttribute{
				Optional:            true,
				Computed:            true,
				Default:             stringdefault.StaticString(""),
				MarkdownDescription: "Description that identifies the webhook.",
				Validators:          []validator.String{descriptionValidator},
			},
			"enabled": schema.BoolAttribute{
				Optional: true,
				Computed: true,
				Default:  booldefault.StaticBool(true),
				MarkdownDescription: "Whether events are sent. Default: `true`. The service disables a webhook that returns 410 or fails for five days, see `disabled_reason`; " +
					"the next plan shows the change, and its apply enables the webhook again.",
			},
			"secret_wo": schema.StringAttribute{
				Optional:  true,
				WriteOnly: true,
				Sensitive: true,
				MarkdownDescription: "Signing secret: `whsec_` and 24 to 64 bytes in base64. It is sent when the webhook is created and when `secret_wo_version` changes, and is stored neither in the plan nor in the state. " +
					"For 24 hours after a change, the previous secret also signs.",
				Validators: []validator.String{webhookSecretValidator,
					stringvalidator.AlsoRequires(path.MatchRoot("secret_wo_version"))},
			},
			"secret_wo_version": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: "Version of `secret_wo`. A change sends the secret again.",
				Validators: []validator.Int64{
					int64validator.AlsoRequires(path.MatchRoot("secret_wo"))},
			},
			"disabled_reason": schema.StringAttribute{Computed: true,
				MarkdownDescription: "Why the service disabled the webhook: `gone` if it returned 410, `failing` if it failed for five days. Null otherwise."},
			"failing_since": schema.StringAttribute{CustomType: timetypes.RFC3339Type{},
				Computed:            true,
				MarkdownDescription: "Start of the current failures; null if the last attempt succeeded."},
			"created_at": schema.StringAttribute{CustomType: timetypes.RFC3339Type{},
				Computed: true, MarkdownDescription: "When the webhook was created.",
				PlanModifiers: kept},
		},
	}
}

func (r *webhookResource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse,
) {
	resp.IdentitySchema = identityschema.Schema{
		Attributes: map[string]identityschema.Attribute{
			"id": identityschema.StringAttribute{RequiredForImport: true,
				Description: "ID, whk_…."},
		},
	}
}
