package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/setdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// Schema leaves the password, its version, and the name to ModifyPlan.
func (r *acmednsAccountResource) Schema(
	_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse,
) {
	kept := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	resp.Schema = schema.Schema{
		MarkdownDescription: "An account with which an ACME client publishes its own TXT values through the API of [acme-dns](https://github.com/joohoi/acme-dns): lego, Traefik, certbot, cert-manager, Caddy, acme.sh, and others. " +
			"The holder of its password can get certificates for each name whose CNAME points to `fulldomain`. Only Terraform's state contains the password: protect the state.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{Computed: true, MarkdownDescription: "ID, `ada_…`.",
				PlanModifiers: kept},
			"organization_id": organizationAttribute(),
			"description": schema.StringAttribute{
				Optional:            true,
				Computed:            true,
				Default:             stringdefault.StaticString(""),
				MarkdownDescription: "Description that identifies the account.",
				Validators:          []validator.String{descriptionValidator},
			},
			"allow_from": schema.SetAttribute{
				ElementType: types.StringType,
				Optional:    true,
				Computed:    true,
				Default: setdefault.StaticValue(types.SetValueMust(types.StringType,
					[]attr.Value{})),
				MarkdownDescription: "Networks that can publish values, such as `192.0.2.0/24`. Default: empty, for all.",
				Validators: []validator.Set{setvalidator.SizeAtMost(rules.MaxNetworks),
					setvalidator.NoNullValues(), setvalidator.ValueStringsAre(networkValidator)},
			},
			"delegation_id": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "ID of a delegation, `dlg_…`, at whose target the values are served: one CNAME then serves both the client and the service. The provider's token needs `domains:write`. " +
					"Without it, the account has its own target. A change removes the values that are served.",
				Validators: []validator.String{stringvalidator.RegexMatches(delegationID,
					"must be the ID of a delegation, dlg_ and 26 characters")},
			},
			"rotate_when_changed": schema.MapAttribute{
				ElementType:         types.StringType,
				Optional:            true,
				MarkdownDescription: "Arbitrary values. A change rotates the password; the previous one stops working immediately.",
			},
			"username": schema.StringAttribute{Computed: true, PlanModifiers: kept,
				MarkdownDescription: "Username of the client."},
			"password": schema.StringAttribute{Computed: true, Sensitive: true,
				MarkdownDescription: "Password of the client. Null after an import, and after a rotation outside Terraform, because the API returns it only once."},
			"password_version": schema.Int64Attribute{Computed: true,
				MarkdownDescription: "Number that rises with each new password: use it as the version of a write-only argument that stores `password`."},
			"subdomain": schema.StringAttribute{Computed: true, PlanModifiers: kept,
				MarkdownDescription: "Subdomain that the client sends. It never changes."},
			"fulldomain": schema.StringAttribute{Computed: true,
				MarkdownDescription: "Name at which the values are served. The CNAME of `_acme-challenge` points to it."},
			"server_url": schema.StringAttribute{Computed: true, PlanModifiers: kept,
				MarkdownDescription: "Base URL for the client."},
			"created_at": schema.StringAttribute{CustomType: timetypes.RFC3339Type{},
				Computed: true, MarkdownDescription: "When the account was created.",
				PlanModifiers: kept},
		},
	}
}

func (r *acmednsAccountResource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse,
) {
	resp.IdentitySchema = identityschema.Schema{
		Attributes: map[string]identityschema.Attribute{
			"id": identityschema.StringAttribute{RequiredForImport: true,
				Description: "ID, ada_…."},
		},
	}
}
