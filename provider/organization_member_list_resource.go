package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/list/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

var _ list.ListResourceWithConfigure = (*memberListResource)(nil)

// memberListResource finds members that Terraform does not manage yet, for `terraform query`.
type memberListResource struct {
	*configured
}

func (l *memberListResource) Metadata(
	_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_organization_member"
}

func (l *memberListResource) Configure(
	_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse,
) {
	l.configured, _ = req.ProviderData.(*configured)
}

func (l *memberListResource) ListResourceConfigSchema(
	_ context.Context, _ list.ListResourceSchemaRequest, resp *list.ListResourceSchemaResponse,
) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Finds the members of the organization for `terraform query`, oldest first. The token needs the scope `members:read`. Requires Terraform 1.14 or newer.",
	}
}

func (l *memberListResource) List(
	ctx context.Context, req list.ListRequest, stream *list.ListResultsStream,
) {
	in := client.ListMembersParams{Limit: pageFor(req.Limit)}
	p := problem{doing: "list the members"}
	stream.Results = streamed(ctx, req, p, l.client.MemberPages(ctx, in),
		func(a *client.Member) listed {
			m := memberModel{OrganizationID: l.organization(ctx)}
			m.fromAPI(a)
			return listed{id: a.Id, name: a.Login, model: m}
		})
}
