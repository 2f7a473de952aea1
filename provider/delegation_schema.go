package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

func (r *delegationResource) Schema(
	_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse,
) {
	text := func(description string) schema.Attribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "A name whose target is served although no domain uses it: create its record and have it checked before there is a domain, or keep it without one. " +
			"`dcvaas_domain` adds the delegations that it needs, so that most configurations need none of these; both can be in one configuration. " +
			"If a domain uses the name already, its delegation is pinned, and the target is the same.",
		Attributes: map[string]schema.Attribute{
			"id":              text("ID, `dlg_…`."),
			"organization_id": organizationAttribute(),
			"name": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Domain name, without `*.`: a wildcard uses the delegation of its base name. Case, a trailing dot, and Unicode or A-labels make no difference. A different name replaces the delegation.",
				Validators:          []validator.String{nameValidator},
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplaceIf(otherName,
					"A different name replaces the delegation; a different spelling does not.",
					"A different name replaces the delegation; a different spelling does not.")},
			},
			"record_name": text("Name of the record, `_acme-challenge.` and the name. Known at plan time."),
			"fqdn":        text("The same with a trailing dot, for providers that require one. Known at plan time."),
			"type":        text("Type of the record, `CNAME`. Known at plan time."),
			"target":      text("Target of the record, without a trailing dot. Known at plan time. It depends only on the organization and the name, so it never changes."),
			"pinned": schema.BoolAttribute{Computed: true,
				MarkdownDescription: "Whether the delegation stays without a domain that uses it. One that was unpinned outside Terraform is pinned by the next apply."},
			"connection_id": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "ID of a `dcvaas_dns_connection`, through which the service creates the record. Default: the connection of the oldest domain that uses the delegation and has one. " +
					"A change applies immediately: a missing record is created through the new connection, and one that exists stays.",
				Validators: []validator.String{connectionValidator},
			},
			"state": text("Result of the last check: `unchecked`, `delegated`, or `broken`."),
			"cause": schema.SingleNestedAttribute{
				Computed:            true,
				MarkdownDescription: "Why the delegation is broken; null otherwise.",
				Attributes: map[string]schema.Attribute{
					"code":     text("Stable code, such as `cname-missing`."),
					"message":  text("Human-readable text."),
					"observed": text("Observed value."),
					"expected": text("Expected value."),
					"fix":      text("Exact step that fixes the problem."),
				},
			},
			"last_checked_at": computedTime("Time of the last check."),
			"created_at": schema.StringAttribute{CustomType: timetypes.RFC3339Type{},
				Computed:            true,
				MarkdownDescription: "When the delegation was added, by a domain or by this resource."},
		},
	}
}

func (r *delegationResource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse,
) {
	resp.IdentitySchema = identityschema.Schema{
		Attributes: map[string]identityschema.Attribute{
			"id": identityschema.StringAttribute{RequiredForImport: true,
				Description: "ID, dlg_…, or name."},
		},
	}
}
