package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/list/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

var _ list.ListResourceWithConfigure = (*domainListResource)(nil)

// domainListResource finds domains that Terraform does not manage yet, for `terraform query`.
type domainListResource struct {
	*configured
}

type domainListModel struct {
	Status types.String `tfsdk:"status"`
	Label  types.String `tfsdk:"label"`
	Q      types.String `tfsdk:"q"`
}

func (l *domainListResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_domain"
}

func (l *domainListResource) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	l.configured, _ = req.ProviderData.(*configured)
}

func (l *domainListResource) ListResourceConfigSchema(_ context.Context, _ list.ListResourceSchemaRequest, resp *list.ListResourceSchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Finds the domains of the organization for `terraform query`, all or those that every given filter lets pass, in the order of their names. " +
			"With `-generate-config-out` it writes the blocks that import them. Terraform 1.14 or newer.",
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
		},
	}
}

func (l *domainListResource) List(ctx context.Context, req list.ListRequest, stream *list.ListResultsStream) {
	var m domainListModel
	if diags := req.Config.Get(ctx, &m); diags.HasError() {
		stream.Results = list.ListResultsStreamDiagnostics(diags)
		return
	}
	in := (&domainsModel{Status: m.Status, Label: m.Label, Q: m.Q}).toListParams()
	in.Limit = pageFor(req.Limit)
	p := problem{doing: "list the domains", schema: req.Config.Schema}
	stream.Results = streamed(ctx, req, p, l.client.DomainPages(ctx, in), func(d *client.Domain) listed {
		var m domainModel
		m.fromAPI(d)
		return listed{id: d.Id, name: d.Name, model: m}
	})
}
