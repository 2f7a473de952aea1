package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/action/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

var _ action.ActionWithConfigure = (*verifyAction)(nil)

// verifyAction checks a domain's record now.
type verifyAction struct {
	*configured
}

type verifyModel struct {
	Domain types.String `tfsdk:"domain"`
}

func (a *verifyAction) Metadata(
	_ context.Context, req action.MetadataRequest, resp *action.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_verify"
}

func (a *verifyAction) Schema(
	_ context.Context, _ action.SchemaRequest, resp *action.SchemaResponse,
) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Checks a domain's record now instead of at the next scheduled check, and reports the result. " +
			"A missing record is a warning with the cause and the fix; the service continues to check. To wait for the record, use `dcvaas_domain_validation`. Requires Terraform 1.14 or newer.",
		Attributes: map[string]schema.Attribute{
			"domain": schema.StringAttribute{Required: true,
				MarkdownDescription: domainDescription},
		},
	}
}

func (a *verifyAction) Configure(
	_ context.Context, req action.ConfigureRequest, _ *action.ConfigureResponse,
) {
	a.configured, _ = req.ProviderData.(*configured)
}

func (a *verifyAction) Invoke(
	ctx context.Context, req action.InvokeRequest, resp *action.InvokeResponse,
) {
	var m verifyModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	before, ok := a.find(ctx, m.Domain.ValueString(), "verify", resp)
	if !ok {
		return
	}
	defer a.domains.forget()
	p := problem{doing: "verify " + before.Name, at: path.Root("domain")}
	if _, err := a.client.VerifyDomain(ctx, before.Id); err != nil {
		p.add(ctx, &resp.Diagnostics, err)
		return
	}
	progress(resp, "Checking %s", before.Delegation.Name)

	within, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	d, err := a.client.WaitDomain(within, before.Id,
		func(d *client.Domain) bool { return lastCheck(d).After(lastCheck(before)) })
	switch {
	case err == nil && delegated(d):
		progress(resp, "%s is delegated", d.Name)
	case err == nil:
		w := &wait{id: d.Id}
		resp.Diagnostics.AddAttributeWarning(path.Root("domain"), d.Name+" is not delegated yet",
			w.cause(d))
	case within.Err() != nil && ctx.Err() == nil:
		resp.Diagnostics.AddAttributeWarning(path.Root("domain"), before.Name+
			" has not been checked yet",
			"The requested check has not finished within "+checkLimit.String()+
				". The service continues automatically.")
	default:
		p.add(ctx, &resp.Diagnostics, err)
	}
}

// lastCheck returns when the domain's DNS was last checked, the zero time if never.
func lastCheck(d *client.Domain) time.Time {
	if c := dnsReady(d); c != nil && c.LastCheckedAt != nil {
		return *c.LastCheckedAt
	}
	return time.Time{}
}
