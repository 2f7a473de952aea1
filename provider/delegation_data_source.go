package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

var _ datasource.DataSourceWithConfigure = (*delegationDataSource)(nil)

// delegationDataSource reads the record for a name without adding a domain, for configurations that
// manage only DNS.
type delegationDataSource struct {
	*configured
}

type delegationModel struct {
	Domain types.String `tfsdk:"domain"`
	Name   types.String `tfsdk:"name"`
	FQDN   types.String `tfsdk:"fqdn"`
	Type   types.String `tfsdk:"type"`
	Target types.String `tfsdk:"target"`
}

func (d *delegationDataSource) Metadata(
	_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_delegation"
}

func (d *delegationDataSource) Schema(
	_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse,
) {
	str := func(text string) schema.Attribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: text}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "The record that delegates a domain. The domain does not need to exist, and is not added: use this if DNS is managed separately from the domains, or before them. " +
			"`dcvaas_domain` has the same record in `delegation`.",
		Attributes: map[string]schema.Attribute{
			"domain": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Name of the domain. Case, a trailing dot, and Unicode or A-labels make no difference.",
				Validators:          []validator.String{nameValidator},
			},
			"name": str("Name of the record, `_acme-challenge.` and the domain's name."),
			"fqdn": str("The same with a trailing dot."),
			"type": str("Type of the record, `CNAME`."),
			"target": str(
				"Target of the record. It depends only on the organization and the name, so it never changes."),
		},
	}
}

func (d *delegationDataSource) Configure(
	_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse,
) {
	d.configured, _ = req.ProviderData.(*configured)
}

func (d *delegationDataSource) Read(
	ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse,
) {
	var m delegationModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	found, err := d.client.Delegation(ctx, m.Domain.ValueString())
	if err != nil {
		problem{doing: "read the delegation of " + m.Domain.ValueString(),
			at: path.Root("domain")}.add(ctx, &resp.Diagnostics, err)
		return
	}
	m.fromAPI(found)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (m *delegationModel) fromAPI(d *client.DelegationRecord) {
	m.Name = types.StringValue(d.Name)
	m.FQDN = types.StringValue(d.Name + ".")
	m.Type = types.StringValue(string(d.Type))
	m.Target = types.StringValue(d.Target)
}
