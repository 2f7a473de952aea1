package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/list/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

var _ list.ListResourceWithConfigure = (*domainListResource)(nil)

// domainListResource finds domains that Terraform does not manage yet, for `terraform query`.
type domainListResource struct {
	*configured
}

func (l *domainListResource) Metadata(
	_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_domain"
}

func (l *domainListResource) Configure(
	_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse,
) {
	l.configured, _ = req.ProviderData.(*configured)
}

func (l *domainListResource) ListResourceConfigSchema(
	_ context.Context, _ list.ListResourceSchemaRequest, resp *list.ListResourceSchemaResponse,
) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Finds the domains of the organization that match all filters for `terraform query`, sorted by name. " +
			"`-generate-config-out` writes the blocks that import them. Requires Terraform 1.14 or newer.",
		Attributes: domainFilterAttributes(func(text string,
			check validator.String) schema.Attribute {
			return schema.StringAttribute{Optional: true, MarkdownDescription: text,
				Validators: []validator.String{check}}
		}),
	}
}

func (l *domainListResource) List(
	ctx context.Context, req list.ListRequest, stream *list.ListResultsStream,
) {
	var filters domainFilters
	if diags := req.Config.Get(ctx, &filters); diags.HasError() {
		stream.Results = list.ListResultsStreamDiagnostics(diags)
		return
	}
	in := filters.toListParams()
	in.Limit = pageFor(req.Limit)
	p := problem{doing: "list the domains", schema: req.Config.Schema}
	stream.Results = streamed(ctx, req, p, l.client.DomainPages(ctx, in),
		func(d *client.Domain) listed {
			m := domainModel{OrganizationID: l.organization(ctx)}
			m.fromAPI(d)
			return listed{id: d.Id, name: d.Name, model: m}
		})
}
