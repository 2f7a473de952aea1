package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
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

// delegationTypes are the attributes of delegation.
var delegationTypes = map[string]attr.Type{
	"name":   types.StringType,
	"fqdn":   types.StringType,
	"type":   types.StringType,
	"target": types.StringType,
}

func (r *domainResource) Schema(
	_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse,
) {
	settled := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	resp.Schema = schema.Schema{
		MarkdownDescription: "A domain with a certificate, which can have further names. Its creation does not wait: create the records in `delegations`, which are known at plan time, " +
			"and use `dcvaas_domain_validation` to wait for the delegation or the certificate. Renewals need no apply.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "ID, `dom_…`.",
				PlanModifiers:       settled,
			},
			"organization_id": organizationAttribute(),
			"name": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Domain name of at most 10 labels. Case, a trailing dot, and Unicode or A-labels make no difference. A different name replaces the domain; the plan fails, and nothing is destroyed, if the new domain could not be created.",
				Validators:          []validator.String{nameValidator},
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplaceIf(otherName,
					"A different name replaces the domain; a different spelling does not.",
					"A different name replaces the domain; a different spelling does not.")},
			},
			"wildcard": schema.BoolAttribute{
				Optional:            true,
				Computed:            true,
				Default:             booldefault.StaticBool(false),
				MarkdownDescription: "Whether the certificate also covers `*.name`, with the same record. Default: `false`." + ordersCertificate,
			},
			"additional_names": schema.SetAttribute{
				ElementType: types.StringType,
				Optional:    true,
				MarkdownDescription: "Further names in the certificate, under any registered domains, each with its own record in `delegations`. An element can be a wildcard, such as `*.example.net`, which needs the record of its base name. " +
					"Case, a trailing dot, and Unicode or A-labels make no difference. A certificate has at most 100 names, `name` and its wildcard included, and at most 25 with the profiles `tlsserver` and `shortlived`. A name that a wildcard of the same certificate covers is rejected, as CAs do. " +
					"The first certificate is issued when all records are found." + ordersCertificate,
				Validators: []validator.Set{setvalidator.NoNullValues(),
					setvalidator.ValueStringsAre(additionalNameValidator)},
			},
			"issue_partial": schema.BoolAttribute{
				Optional: true,
				Computed: true,
				Default:  booldefault.StaticBool(false),
				MarkdownDescription: "Whether a certificate is ordered for the names whose records are found while others are missing; a name whose record appears later is added by a new certificate. Not allowed with `csr_pem`. Default: `false`. " +
					"A change applies immediately: setting it to `true` orders a certificate that waited for it.",
			},
			"key_type": schema.StringAttribute{
				Optional:            true,
				Computed:            true,
				MarkdownDescription: "Key type of the certificate: `ec256` (default), `ec384`, `rsa2048`, `rsa3072`, or `rsa4096`. With `csr_pem`, it must be that of the CSR, which is the default then." + ordersCertificate,
				Validators:          []validator.String{keyTypeValidator},
			},
			"csr_pem": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "CSR (PKCS#10, PEM) with exactly the certificate's names. You keep the private key. Keys, signatures, and extensions that CAs reject, such as RSASSA-PSS and OCSP must-staple, are rejected at plan time." + ordersCertificate,
				Validators:          []validator.String{csrValidator},
			},
			"profile": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "ACME profile, such as `classic`, `tlsserver`, or `shortlived`. Default: the CA's default." + ordersCertificate,
				Validators:          []validator.String{profileValidator},
			},
			"preferred_chain": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Common name of the preferred root certificate, if the CA offers several chains. If it does not offer this one, the certificate has the default chain, and a refresh shows a warning." + ordersCertificate,
				Validators:          []validator.String{chainValidator},
			},
			"ca": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Preferred CA, by its name in the service's list." + ordersCertificate,
				Validators:          []validator.String{caValidator},
			},
			"auto_issue": schema.BoolAttribute{
				Optional: true,
				Computed: true,
				Default:  booldefault.StaticBool(true),
				MarkdownDescription: "Whether the first certificate is issued as soon as the record is found, and a new one is ordered when the options change. Default: `true`. " +
					"A change applies immediately: setting it to `true` orders a certificate that waited for it.",
			},
			"auto_renew": schema.BoolAttribute{
				Optional:            true,
				Computed:            true,
				Default:             booldefault.StaticBool(true),
				MarkdownDescription: "Whether the certificate is renewed automatically. Default: `true`. A change applies immediately, and orders no certificate.",
			},
			"labels": schema.MapAttribute{
				ElementType:         types.StringType,
				Optional:            true,
				MarkdownDescription: "Labels for filters: at most 64. A key has 1 to 63 letters, digits, and `._/-`, and starts and ends with a letter or digit; a value has at most 255 characters. A change applies immediately, and orders no certificate.",
				Validators: []validator.Map{
					mapvalidator.SizeAtMost(rules.MaxLabels),
					mapvalidator.NoNullValues(),
					mapvalidator.KeysAre(labelKeyValidator),
					mapvalidator.ValueStringsAre(labelValueValidator),
				},
			},
			"connection_id": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "ID of a `dcvaas_dns_connection`, through which the service creates the records in `delegations`, as far as its zones contain them. Names outside of its zones stay manual. The domain is created in any case; `dcvaas_domain_validation` reports what can't be created. " +
					"The records are removed with the domain. A change applies immediately: missing records are created through the new connection, and records that exist stay.",
				Validators: []validator.String{connectionValidator},
			},
			"deletion_protection": schema.BoolAttribute{
				Optional:            true,
				Computed:            true,
				Default:             booldefault.StaticBool(false),
				MarkdownDescription: "Whether Terraform rejects a deletion or replacement of the domain. It is stored only in the state, not in the API. Default: `false`. A change applies with the apply.",
			},
			"delegation": schema.SingleNestedAttribute{
				Computed:            true,
				MarkdownDescription: "The record to create for `name`. Known at plan time, so that `for_each` and other providers' records can use it.",
				Attributes:          recordAttributes(),
			},
			"delegations": schema.MapNestedAttribute{
				Computed: true,
				MarkdownDescription: "The records to create for all names, `name` included, each with the attributes of `delegation`. The keys are the names in lowercase and A-labels, without `*.`: a wildcard and its base name share one record. " +
					"Known at plan time, so that `for_each` over it creates the records.",
				NestedObject: schema.NestedAttributeObject{Attributes: recordAttributes()},
			},
			"options_revision": schema.Int64Attribute{
				Computed: true,
				MarkdownDescription: "Rises with every change of an option that the certificate depends on: `wildcard`, `additional_names`, `key_type`, `csr_pem`, `profile`, `preferred_chain`, or `ca`. " +
					"Pass it to `dcvaas_domain_validation` to wait for the certificate with the changed options.",
			},
			"status": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "`pending_cname`, `issuing`, `active`, or `error`.",
			},
			"status_reason": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Reason for the status, a stable code; may be empty.",
			},
			"certificate_id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "ID of the current certificate. It changes with each renewal.",
			},
			"expires_at":     computedTime("When the current certificate expires."),
			"renew_at":       computedTime("When the certificate is due for renewal."),
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

// recordAttributes are the attributes of a record.
func recordAttributes() map[string]schema.Attribute {
	text := func(description string) schema.Attribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	return map[string]schema.Attribute{
		"name":   text("`_acme-challenge.` and the name."),
		"fqdn":   text("The same with a trailing dot, for providers that require one."),
		"type":   text("`CNAME`."),
		"target": text("Target of the record, without a trailing dot."),
	}
}

// ordersCertificate says when a change of an option takes effect.
const ordersCertificate = " A change orders a new certificate immediately, unless `auto_issue` is `false`; the current certificate stays in use until the new one is issued."

func computedTime(description string) schema.StringAttribute {
	return schema.StringAttribute{CustomType: timetypes.RFC3339Type{}, Computed: true,
		MarkdownDescription: description}
}

func (r *domainResource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse,
) {
	resp.IdentitySchema = identityschema.Schema{
		Attributes: map[string]identityschema.Attribute{
			"id": identityschema.StringAttribute{RequiredForImport: true,
				Description: "ID, dom_…, or name."},
		},
	}
}

func otherName(
	_ context.Context, req planmodifier.StringRequest,
	resp *stringplanmodifier.RequiresReplaceIfFuncResponse,
) {
	resp.RequiresReplace = req.PlanValue.IsUnknown() ||
		!sameName(req.StateValue.ValueString(), req.PlanValue.ValueString())
}
