package provider

import (
	"context"
	"errors"
	"net/http"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
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

type delegationDataModel struct {
	Domain        types.String      `tfsdk:"domain"`
	Name          types.String      `tfsdk:"name"`
	FQDN          types.String      `tfsdk:"fqdn"`
	Type          types.String      `tfsdk:"type"`
	Target        types.String      `tfsdk:"target"`
	ID            types.String      `tfsdk:"id"`
	Pinned        types.Bool        `tfsdk:"pinned"`
	State         types.String      `tfsdk:"state"`
	Cause         types.Object      `tfsdk:"cause"`
	LastCheckedAt timetypes.RFC3339 `tfsdk:"last_checked_at"`
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
		MarkdownDescription: "The record that delegates a domain, and the state of the delegation. The domain does not need to exist, and is not added: use this if DNS is managed separately from the domains, or before them. " +
			"`dcvaas_domain` has the same record in `delegation`. To keep a delegation without a domain, use the resource `dcvaas_delegation`.",
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
			"id": str("ID of the delegation, `dlg_…`. Null if it does not exist: then it is not checked. " +
				"It exists while a domain uses it, or while it is pinned."),
			"pinned": schema.BoolAttribute{Computed: true,
				MarkdownDescription: "Whether the delegation stays without a domain that uses it. Null if it does not exist."},
			"state": str("Result of the last check: `unchecked`, `delegated`, or `broken`. Null if the delegation does not exist."),
			"cause": schema.ObjectAttribute{AttributeTypes: causeTypes, Computed: true,
				MarkdownDescription: "Why the delegation is broken: `code`, `message`, `observed`, `expected`, and `fix`. Null otherwise."},
			"last_checked_at": schema.StringAttribute{CustomType: timetypes.RFC3339Type{},
				Computed: true, MarkdownDescription: "Time of the last check."},
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
	var m delegationDataModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	if err := d.find(ctx, &m); err != nil {
		problem{doing: "read the delegation of " + m.Domain.ValueString(),
			at: path.Root("domain")}.add(ctx, &resp.Diagnostics, err)
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// find reads the delegation, or only the record if the organization does not have the delegation,
// or the service is too old for delegations.
func (d *delegationDataSource) find(ctx context.Context, m *delegationDataModel) error {
	name, err := parseName(m.Domain.ValueString())
	if err != nil {
		return err
	}
	found, err := d.client.DelegationObject(ctx, name)
	if err == nil {
		m.fromAPI(found)
		return nil
	}
	var e *client.Error
	if !errors.As(err, &e) || !e.API || e.Status != http.StatusNotFound {
		return err
	}
	record, err := d.client.Delegation(ctx, name)
	if err != nil {
		return err
	}
	m.setRecord(record)
	m.Cause = types.ObjectNull(causeTypes)
	return nil
}

func (m *delegationDataModel) fromAPI(d *client.Delegation) {
	m.setRecord(&d.Record)
	m.ID = types.StringValue(d.Id)
	m.Pinned = types.BoolValue(d.Pinned)
	m.State = types.StringValue(string(d.State))
	m.Cause = causeObject(d.Cause)
	m.LastCheckedAt = fromNullableTime(d.LastCheckedAt)
}

func (m *delegationDataModel) setRecord(r *client.DelegationRecord) {
	m.Name, m.FQDN = types.StringValue(r.Name), types.StringValue(r.Name+".")
	m.Type, m.Target = types.StringValue(string(r.Type)), types.StringValue(r.Target)
}
