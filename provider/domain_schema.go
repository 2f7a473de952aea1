package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// Attributes of `delegation`.
var delegationTypes = map[string]attr.Type{
	"name":   types.StringType,
	"fqdn":   types.StringType,
	"type":   types.StringType,
	"target": types.StringType,
}

func (r *domainResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	settled := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	resp.Schema = schema.Schema{
		MarkdownDescription: "A domain that a certificate is kept for. Creating it returns at once: make the record that `delegation` says, which is known at plan, " +
			"and wait with `dcvaas_domain_validation` where something needs the certificate. Renewals need no apply.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Id, `dom_…`.",
				PlanModifiers:       settled,
			},
			"name": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Domain name. Case, a trailing dot, and Unicode or A-labels make no difference; another name replaces the domain.",
				Validators:          []validator.String{nameValidator},
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplaceIf(otherName,
					"Another name replaces the domain; another spelling of it does not.",
					"Another name replaces the domain; another spelling of it does not.")},
			},
			"wildcard": schema.BoolAttribute{
				Optional:            true,
				Computed:            true,
				Default:             booldefault.StaticBool(false),
				MarkdownDescription: "Whether the certificate is for `*.name` too, over the same record. Default: `false`.",
			},
			"key_type": schema.StringAttribute{
				Optional:            true,
				Computed:            true,
				MarkdownDescription: "Key of the certificate: `ec256` (default), `ec384`, `rsa2048` or `rsa4096`. With `csr_pem` it is the request's.",
				Validators: []validator.String{
					stringvalidator.OneOf(rules.KeyTypes()...),
					stringvalidator.ConflictsWith(path.MatchRoot("csr_pem")),
				},
			},
			"csr_pem": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Certificate request (PKCS#10, PEM). The private key then never leaves its owner.",
				Validators:          []validator.String{csrValidator},
			},
			"profile": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "ACME profile to ask the CA for, such as `classic`, `tlsserver` or `shortlived`. Without it the CA chooses.",
				Validators:          []validator.String{profileValidator},
			},
			"preferred_chain": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Common name of the root that the chain should end at, where the CA offers several chains.",
				Validators:          []validator.String{chainValidator},
			},
			"ca": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "The CA to try first, by its name in the service's list.",
				Validators:          []validator.String{stringvalidator.LengthBetween(1, 64)},
			},
			"auto_issue": schema.BoolAttribute{
				Optional:            true,
				Computed:            true,
				Default:             booldefault.StaticBool(true),
				MarkdownDescription: "Whether the first certificate is issued as soon as the record is seen. Default: `true`.",
			},
			"auto_renew": schema.BoolAttribute{
				Optional:            true,
				Computed:            true,
				Default:             booldefault.StaticBool(true),
				MarkdownDescription: "Whether the certificate is renewed before it ends. Default: `true`.",
			},
			"labels": schema.MapAttribute{
				ElementType:         types.StringType,
				Optional:            true,
				MarkdownDescription: "Labels to find the domain by: at most 64, keys of 1 to 63 letters, digits and `._/-`, values of at most 255 characters.",
				Validators: []validator.Map{
					mapvalidator.SizeAtMost(rules.MaxLabels),
					mapvalidator.NoNullValues(),
					mapvalidator.KeysAre(labelKeyValidator),
					mapvalidator.ValueStringsAre(labelValueValidator),
				},
			},
			"deletion_protection": schema.BoolAttribute{
				Optional:            true,
				Computed:            true,
				Default:             booldefault.StaticBool(false),
				MarkdownDescription: "Whether Terraform refuses to delete or replace the domain. It is kept in state only: the API does not know it. Default: `false`.",
			},
			"delegation": schema.SingleNestedAttribute{
				Computed:            true,
				MarkdownDescription: "The one record to make. Known at plan, so that `for_each` and other providers' records can use it.",
				Attributes: map[string]schema.Attribute{
					"name":   schema.StringAttribute{Computed: true, MarkdownDescription: "`_acme-challenge.` and the name."},
					"fqdn":   schema.StringAttribute{Computed: true, MarkdownDescription: "The same with a trailing dot, for providers that want one."},
					"type":   schema.StringAttribute{Computed: true, MarkdownDescription: "`CNAME`."},
					"target": schema.StringAttribute{Computed: true, MarkdownDescription: "What the record points at, without a trailing dot."},
				},
			},
			"status": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "`pending_cname`, `issuing`, `active` or `error`.",
			},
			"status_reason": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Why it is in that status, as a stable code; empty when there is nothing to say.",
			},
			"certificate_id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Id of the current certificate. It changes with each renewal.",
			},
			"expires_at":     computedTime("When the current certificate ends."),
			"renew_at":       computedTime("When it is renewed."),
			"last_issued_at": computedTime("When a certificate was last issued."),
			"created_at": schema.StringAttribute{
				CustomType:          timetypes.RFC3339Type{},
				Computed:            true,
				MarkdownDescription: "When the domain was added.",
				PlanModifiers:       settled,
			},
		},
	}
}

func computedTime(description string) schema.StringAttribute {
	return schema.StringAttribute{CustomType: timetypes.RFC3339Type{}, Computed: true, MarkdownDescription: description}
}

func (r *domainResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{
		Attributes: map[string]identityschema.Attribute{
			"id": identityschema.StringAttribute{RequiredForImport: true, Description: "Id, dom_…, or name."},
		},
	}
}

func otherName(_ context.Context, req planmodifier.StringRequest, resp *stringplanmodifier.RequiresReplaceIfFuncResponse) {
	resp.RequiresReplace = req.PlanValue.IsUnknown() || !sameName(req.StateValue.ValueString(), req.PlanValue.ValueString())
}
