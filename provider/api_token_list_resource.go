package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/list/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

var _ list.ListResourceWithConfigure = (*apiTokenListResource)(nil)

// apiTokenListResource finds tokens that Terraform does not manage yet, for `terraform query`,
// without their secrets.
type apiTokenListResource struct {
	*configured
}

func (l *apiTokenListResource) Metadata(
	_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_api_token"
}

func (l *apiTokenListResource) Configure(
	_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse,
) {
	l.configured, _ = req.ProviderData.(*configured)
}

func (l *apiTokenListResource) ListResourceConfigSchema(
	_ context.Context, _ list.ListResourceSchemaRequest, resp *list.ListResourceSchemaResponse,
) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Finds the API tokens of the organization for `terraform query`, newest first. An imported token has no secret: `token` stays null. Requires Terraform 1.14 or newer.",
	}
}

func (l *apiTokenListResource) List(
	ctx context.Context, req list.ListRequest, stream *list.ListResultsStream,
) {
	in := client.ListTokensParams{Limit: pageFor(req.Limit)}
	p := problem{doing: "list the API tokens"}
	stream.Results = streamed(ctx, req, p, l.client.TokenPages(ctx, in),
		func(t *client.Token) listed {
			m := apiTokenModel{OrganizationID: l.organization(ctx),
				DomainIDs:         types.SetNull(types.StringType),
				RotateWhenChanged: types.MapNull(types.StringType)}
			m.fromAPI(t, l.now())
			return listed{id: t.Id, name: t.Name, model: m}
		})
}
