package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

var _ datasource.DataSourceWithConfigure = (*domainsDataSource)(nil)

// domainsDataSource lists domains by name, an order that does not change when a domain changes.
type domainsDataSource struct {
	*configured
}

type domainsModel struct {
	domainFilters
	Names   types.List `tfsdk:"names"`
	Domains types.List `tfsdk:"domains"`
}

func (d *domainsDataSource) Metadata(
	_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_domains"
}

func (d *domainsDataSource) Schema(
	_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse,
) {
	attributes := domainFilterAttributes(func(text string,
		check validator.String) schema.Attribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: text,
			Validators: []validator.String{check}}
	})
	attributes["names"] = schema.ListAttribute{ElementType: types.StringType, Computed: true,
		MarkdownDescription: "Names of the domains, sorted."}
	attributes["domains"] = schema.ListNestedAttribute{
		Computed:            true,
		MarkdownDescription: "The domains, sorted by name.",
		NestedObject:        domainSummaryObject(),
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "The domains of the organization that match all filters; may be empty. " +
			"For details of one domain, such as its conditions, see `dcvaas_domain`.",
		Attributes: attributes,
	}
}

func domainSummaryObject() schema.NestedAttributeObject {
	return schema.NestedAttributeObject{Attributes: domainSummaryAttributes()}
}

func (d *domainsDataSource) Configure(
	_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse,
) {
	d.configured, _ = req.ProviderData.(*configured)
}

func (d *domainsDataSource) Read(
	ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse,
) {
	var m domainsModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	found, err := d.client.AllDomains(ctx, m.toListParams())
	if err != nil {
		// The API refers to a query parameter by name, like a field of a body.
		problem{doing: "list the domains", schema: req.Config.Schema}.add(ctx, &resp.Diagnostics,
			err)
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
