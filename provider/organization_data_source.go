package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

var _ datasource.DataSourceWithConfigure = (*organizationDataSource)(nil)

type organizationDataSource struct {
	*configured
}

type organizationModel struct {
	ID          types.String      `tfsdk:"id"`
	Name        types.String      `tfsdk:"name"`
	Tier        types.String      `tfsdk:"tier"`
	Domains     types.Object      `tfsdk:"domains"`
	Delegations types.Object      `tfsdk:"delegations"`
	RateLimit   types.Object      `tfsdk:"rate_limit"`
	CreatedAt   timetypes.RFC3339 `tfsdk:"created_at"`
}

// Attributes of domains and delegations, and of rate_limit.
var (
	usageTypes     = map[string]attr.Type{"used": types.Int64Type, "limit": types.Int64Type}
	rateLimitTypes = map[string]attr.Type{"requests": types.Int64Type,
		"window_seconds": types.Int64Type}
)

func (o *organizationDataSource) Metadata(
	_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_organization"
}

func (o *organizationDataSource) Schema(
	_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse,
) {
	str := func(text string) schema.Attribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: text}
	}
	number := func(text string) schema.Attribute {
		return schema.Int64Attribute{Computed: true, MarkdownDescription: text}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "The organization of the provider's token, its plan, and its usage. The token needs the scope `organization:read`.",
		Attributes: map[string]schema.Attribute{
			"id":   str("ID, `org_…`."),
			"name": str("Name."),
			"tier": str("Plan: `free`, `pro`, or `agency`."),
			"domains": schema.SingleNestedAttribute{
				Computed:            true,
				MarkdownDescription: "Number of domains and its limit.",
				Attributes: map[string]schema.Attribute{
					"used":  number("Number of domains."),
					"limit": number("Maximum number of domains."),
				},
			},
			"delegations": schema.SingleNestedAttribute{
				Computed:            true,
				MarkdownDescription: "Number of delegations, those of domains and pinned ones, and its limit.",
				Attributes: map[string]schema.Attribute{
					"used":  number("Number of delegations."),
					"limit": number("Maximum number of delegations."),
				},
			},
			"rate_limit": schema.SingleNestedAttribute{
				Computed:            true,
				MarkdownDescription: "Rate limit of the API.",
				Attributes: map[string]schema.Attribute{
					"requests":       number("Maximum number of requests per window."),
					"window_seconds": number("Length of the window in seconds."),
				},
			},
			"created_at": schema.StringAttribute{CustomType: timetypes.RFC3339Type{},
				Computed: true, MarkdownDescription: "When the organization was created."},
		},
	}
}

func (o *organizationDataSource) Configure(
	_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse,
) {
	o.configured, _ = req.ProviderData.(*configured)
}

func (o *organizationDataSource) Read(
	ctx context.Context, _ datasource.ReadRequest, resp *datasource.ReadResponse,
) {
	found, err := o.client.Organization(ctx)
	if err != nil {
		problem{doing: "read the organization"}.add(ctx, &resp.Diagnostics, err)
		return
	}
	var m organizationModel
	m.fromAPI(found)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (m *organizationModel) fromAPI(o *client.Organization) {
	number := func(n int) attr.Value { return types.Int64Value(int64(n)) }
	m.ID = types.StringValue(o.Id)
	m.Name = types.StringValue(o.Name)
	m.Tier = types.StringValue(string(o.Tier))
	usage := func(u client.Usage) types.Object {
		return types.ObjectValueMust(usageTypes,
			map[string]attr.Value{"used": number(u.Used), "limit": number(u.Limit)})
	}
	m.Domains, m.Delegations = usage(o.Domains), usage(o.Delegations)
	m.RateLimit = types.ObjectValueMust(rateLimitTypes, map[string]attr.Value{
		"requests":       number(o.RateLimit.Requests),
		"window_seconds": number(o.RateLimit.WindowSeconds),
	})
	m.CreatedAt = fromTime(o.CreatedAt)
}
