package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/objectvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

func (r *dnsConnectionResource) Schema(
	ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse,
) {
	kept := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	resp.Schema = schema.Schema{
		MarkdownDescription: "Access to a DNS host, through which the service creates and removes the CNAMEs of domains: set `connection_id` of `dcvaas_domain` or `dcvaas_delegation`. " +
			"The guide [Automatic records](../guides/automatic-records.md) describes the key that it needs. The credentials are tested when they are sent and every day, and are never in the state.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{Computed: true, MarkdownDescription: "ID, `con_…`.",
				PlanModifiers: kept},
			"organization_id": organizationAttribute(),
			"type": schema.StringAttribute{
				Required: true,
				MarkdownDescription: "`rfc2136`: a name server with dynamic updates (RFC 2136) that are signed with TSIG, such as BIND or Knot DNS. " +
					"A change replaces the connection.",
				Validators: []validator.String{stringvalidator.OneOf(
					string(client.DNSConnectionTypeRfc2136))},
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"name": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Display name.",
				Validators:          []validator.String{tokenNameValidator},
			},
			"credentials_wo": schema.SingleNestedAttribute{
				Optional:  true,
				WriteOnly: true,
				MarkdownDescription: "Credentials. They are required to create the connection. They are sent then and when `credentials_wo_version` changes, and are stored neither in the plan nor in the state. " +
					"The apply fails if the DNS host rejects them.",
				Validators: []validator.Object{objectvalidator.AlsoRequires(
					path.MatchRoot("credentials_wo_version"))},
				Attributes: map[string]schema.Attribute{
					"server": schema.StringAttribute{Required: true, WriteOnly: true,
						MarkdownDescription: "Host name or address of the primary name server, on the public Internet, with an optional port (default 53).",
						Validators:          []validator.String{stringvalidator.LengthAtLeast(1)}},
					"key_name": schema.StringAttribute{Required: true, WriteOnly: true,
						MarkdownDescription: "Name of the TSIG key.",
						Validators:          []validator.String{stringvalidator.LengthAtLeast(1)}},
					"key_algorithm": schema.StringAttribute{Optional: true, WriteOnly: true,
						MarkdownDescription: "`hmac-sha256` (default) or `hmac-sha512`.",
						Validators: []validator.String{stringvalidator.OneOf(
							string(client.DNSCredentialsKeyAlgorithmHmacSha256),
							string(client.DNSCredentialsKeyAlgorithmHmacSha512))}},
					"key_secret": schema.StringAttribute{Required: true, WriteOnly: true,
						Sensitive:           true,
						MarkdownDescription: "Secret of the TSIG key in base64.",
						Validators:          []validator.String{stringvalidator.LengthAtLeast(1)}},
					"zones": schema.ListAttribute{Required: true, WriteOnly: true,
						ElementType:         types.StringType,
						MarkdownDescription: "Zones in which records may be created: 1 to 100, in any order.",
						Validators: []validator.List{listvalidator.SizeBetween(1, maxZones),
							listvalidator.NoNullValues(),
							listvalidator.ValueStringsAre(stringvalidator.LengthAtLeast(1))}},
				},
			},
			"credentials_wo_version": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: "Version of `credentials_wo`. A change sends the credentials again.",
				Validators: []validator.Int64{
					int64validator.AlsoRequires(path.MatchRoot("credentials_wo"))},
			},
			"zones": schema.SetAttribute{Computed: true, ElementType: types.StringType,
				MarkdownDescription: "Zones in which the connection can create records. Null if the DNS host did not respond."},
			"status": schema.StringAttribute{Computed: true,
				MarkdownDescription: "Result of the last test: `ok`, `invalid` if the DNS host rejects the credentials, or `unreachable`. A refresh shows a warning if it is `invalid`."},
			"status_detail": schema.StringAttribute{Computed: true,
				MarkdownDescription: "Why the status is not `ok`; null if it is."},
			"created_at": schema.StringAttribute{CustomType: timetypes.RFC3339Type{},
				Computed: true, MarkdownDescription: "When the connection was created.",
				PlanModifiers: kept},
			"timeouts": timeouts.Attributes(ctx, timeouts.Opts{Delete: true,
				DeleteDescription: "How long to wait for the removal of records that are no longer needed, such as `30s` or `2h45m`. Default: `10m`."}),
		},
	}
}

// connectionValidator accepts the ID of a DNS connection.
var connectionValidator = stringvalidator.RegexMatches(connectionID,
	"must be the ID of a DNS connection, con_ and 26 characters")

// maxZones is how many zones the API accepts.
const maxZones = 100

func (r *dnsConnectionResource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse,
) {
	resp.IdentitySchema = identityschema.Schema{
		Attributes: map[string]identityschema.Attribute{
			"id": identityschema.StringAttribute{RequiredForImport: true,
				Description: "ID, con_…."},
		},
	}
}
