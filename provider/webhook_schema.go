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
)

func (r *webhookResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	kept := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	resp.Schema = schema.Schema{
		MarkdownDescription: "An address that events are sent to, signed by [Standard Webhooks](https://www.standardwebhooks.com). The guide *Webhooks* says what comes and how to verify it. " +
			"The secret that signs is never in the state: choose it, and give it in `secret_wo`. Where none is given the service makes one that nobody is told; " +
			"`POST /api/webhooks/{webhook}/rotate-secret` answers with another.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{Computed: true, MarkdownDescription: "Id, `whk_…`.", PlanModifiers: kept},
			"url": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Where events are POSTed: https, of a host on the public Internet, on port 443 or one from 1024 on.",
				Validators:          []validator.String{webhookURLValidator},
			},
			"events": schema.SetAttribute{
				ElementType:         types.StringType,
				Optional:            true,
				Computed:            true,
				Default:             setdefault.StaticValue(types.SetValueMust(types.StringType, []attr.Value{})),
				MarkdownDescription: "Types of the events that are sent, such as `domain.renewal_failed`. Default: none are named, and all are sent.",
				Validators:          []validator.Set{setvalidator.SizeAtMost(64), setvalidator.NoNullValues(), setvalidator.ValueStringsAre(stringvalidator.LengthAtLeast(1))},
			},
			"description": schema.StringAttribute{
				Optional:            true,
				Computed:            true,
				Default:             stringdefault.StaticString(""),
				MarkdownDescription: "What people know it by.",
				Validators:          []validator.String{stringvalidator.UTF8LengthAtMost(200)},
			},
			"enabled": schema.BoolAttribute{
				Optional: true,
				Computed: true,
				Default:  booldefault.StaticBool(true),
				MarkdownDescription: "Whether events are sent. Default: `true`. The service disables a webhook that is gone or has failed for five days, see `disabled_reason`; " +
					"the next plan shows that, and its apply enables the webhook again.",
			},
			"secret_wo": schema.StringAttribute{
				Optional:  true,
				WriteOnly: true,
				Sensitive: true,
				MarkdownDescription: "The secret that signs: `whsec_` and 24 to 64 bytes in base64. It is sent when the webhook is created and when `secret_wo_version` changes, and is kept neither in the plan nor in the state. " +
					"For 24 hours after a change the one before signs as well.",
				Validators: []validator.String{webhookSecretValidator, stringvalidator.AlsoRequires(path.MatchRoot("secret_wo_version"))},
			},
			"secret_wo_version": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: "Another number has `secret_wo` sent again.",
				Validators:          []validator.Int64{int64validator.AlsoRequires(path.MatchRoot("secret_wo"))},
			},
			"disabled_reason": schema.StringAttribute{Computed: true, MarkdownDescription: "Why the service disabled it: `gone` where it answered 410, `failing` where it failed for five days. Null otherwise."},
			"failing_since":   schema.StringAttribute{CustomType: timetypes.RFC3339Type{}, Computed: true, MarkdownDescription: "Since when no attempt has succeeded; null where the last one did."},
			"created_at":      schema.StringAttribute{CustomType: timetypes.RFC3339Type{}, Computed: true, MarkdownDescription: "When it was created.", PlanModifiers: kept},
		},
	}
}

func (r *webhookResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{
		Attributes: map[string]identityschema.Attribute{
			"id": identityschema.StringAttribute{RequiredForImport: true, Description: "Id, whk_…."},
		},
	}
}
