package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

var _ datasource.DataSourceWithConfigure = (*domainsDataSource)(nil)

// domainsDataSource lists domains in the order of their names, which stays when something happens to one of them.
type domainsDataSource struct {
	*configured
}

type domainsModel struct {
	Status  types.String `tfsdk:"status"`
	Label   types.String `tfsdk:"label"`
	Q       types.String `tfsdk:"q"`
	Names   types.List   `tfsdk:"names"`
	Domains types.List   `tfsdk:"domains"`
}

func (d *domainsDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_domains"
}

func (d *domainsDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "All domains of the organization, or those that every given filter lets pass; none is an empty list. " +
			"For what is known of a single one, such as its conditions, see `dcvaas_domain`.",
		Attributes: map[string]schema.Attribute{
			"status": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Only domains in this status: `pending_cname`, `issuing`, `active` or `error`.",
				Validators: []validator.String{stringvalidator.OneOf(string(client.DomainStatusPendingCname), string(client.DomainStatusIssuing),
					string(client.DomainStatusActive), string(client.DomainStatusError))},
			},
			"label": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Only domains with this label: `key=value`, or `key` for any value.",
				Validators:          []validator.String{stringvalidator.UTF8LengthBetween(1, 255)},
			},
			"q": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Only domains whose name has this in it.",
				Validators:          []validator.String{stringvalidator.UTF8LengthBetween(1, 253)},
			},
			"names": schema.ListAttribute{ElementType: types.StringType, Computed: true, MarkdownDescription: "Their names, in order."},
			"domains": schema.ListNestedAttribute{
				Computed:            true,
				MarkdownDescription: "The domains, in the order of their names.",
				NestedObject:        domainSummaryObject(),
			},
		},
	}
}

func domainSummaryObject() schema.NestedAttributeObject {
	return schema.NestedAttributeObject{Attributes: domainSummaryAttributes()}
}

func (d *domainsDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse) {
	d.configured, _ = req.ProviderData.(*configured)
}

func (d *domainsDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m domainsModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	found, err := d.client.AllDomains(ctx, m.toListParams())
	if err != nil {
		// A query parameter is pointed to by its name, as a field of a body is.
		problem{doing: "list the domains", schema: req.Config.Schema}.add(ctx, &resp.Diagnostics, err)
		return
	}
	names, summaries := make([]string, len(found)), make([]domainSummary, len(found))
	for i := range found {
		names[i] = found[i].Name
		summaries[i].fromAPI(&found[i])
	}
	var diags diag.Diagnostics
	m.Names, diags = types.ListValueFrom(ctx, types.StringType, names)
	resp.Diagnostics.Append(diags...)
	m.Domains, diags = types.ListValueFrom(ctx, domainSummaryObject().Type(), summaries)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (m *domainsModel) toListParams() client.ListDomainsParams {
	in := client.ListDomainsParams{Label: m.Label.ValueStringPointer(), Q: m.Q.ValueStringPointer(), Sort: new(client.ListDomainsParamsSortName)}
	if !m.Status.IsNull() {
		in.Status = new(client.DomainStatus(m.Status.ValueString()))
	}
	return in
}
