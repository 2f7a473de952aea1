package provider

import (
	"cmp"
	"context"

	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/list/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

var _ list.ListResourceWithConfigure = (*webhookListResource)(nil)

// webhookListResource finds webhooks that Terraform does not manage yet, for `terraform query`.
type webhookListResource struct {
	*configured
}

func (l *webhookListResource) Metadata(
	_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_webhook"
}

func (l *webhookListResource) Configure(
	_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse,
) {
	l.configured, _ = req.ProviderData.(*configured)
}

func (l *webhookListResource) ListResourceConfigSchema(
	_ context.Context, _ list.ListResourceSchemaRequest, resp *list.ListResourceSchemaResponse,
) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Finds the webhooks of the organization for `terraform query`, newest first. Requires Terraform 1.14 or newer.",
	}
}

func (l *webhookListResource) List(
	ctx context.Context, req list.ListRequest, stream *list.ListResultsStream,
) {
	in := client.ListWebhooksParams{Limit: pageFor(req.Limit)}
	p := problem{doing: "list the webhooks"}
	stream.Results = streamed(ctx, req, p, l.client.WebhookPages(ctx, in),
		func(w *client.Webhook) listed {
			m := webhookModel{OrganizationID: l.organization(ctx)}
			m.fromAPI(w)
			return listed{id: w.Id, name: cmp.Or(w.Description, w.Url), model: m}
		})
}
