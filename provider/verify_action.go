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

// verifyAction has a domain's record looked for now.
type verifyAction struct {
	*configured
}

type verifyModel struct {
	Domain types.String `tfsdk:"domain"`
}

func (a *verifyAction) Metadata(_ context.Context, req action.MetadataRequest, resp *action.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_verify"
}

func (a *verifyAction) Schema(_ context.Context, _ action.SchemaRequest, resp *action.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Has a domain's record looked for now instead of at the service's next turn, and tells what was found. " +
			"A record that is not there is a warning with the cause and the fix: the service goes on looking. To wait for it, see `dcvaas_domain_validation`. Terraform 1.14 or newer.",
		Attributes: map[string]schema.Attribute{
			"domain": schema.StringAttribute{Required: true, MarkdownDescription: domainDescription},
		},
	}
}

func (a *verifyAction) Configure(_ context.Context, req action.ConfigureRequest, _ *action.ConfigureResponse) {
	a.configured, _ = req.ProviderData.(*configured)
}

func (a *verifyAction) Invoke(ctx context.Context, req action.InvokeRequest, resp *action.InvokeResponse) {
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
	progress(resp, "Looking for %s", before.Delegation.Name)

	within, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	d, err := a.client.WaitDomain(within, before.Id, func(d *client.Domain) bool { return lastLook(d).After(lastLook(before)) })
	switch {
	case err == nil && delegated(d):
		progress(resp, "%s is delegated", d.Name)
	case err == nil:
		w := &wait{id: d.Id}
		resp.Diagnostics.AddAttributeWarning(path.Root("domain"), d.Name+" is not delegated yet", w.cause(d))
	case within.Err() != nil && ctx.Err() == nil:
		resp.Diagnostics.AddAttributeWarning(path.Root("domain"), before.Name+" is not checked yet",
			"The check that was asked for has not ended within "+checkLimit.String()+". The service goes on by itself.")
	default:
		p.add(ctx, &resp.Diagnostics, err)
	}
}

// lastLook returns when the domain's DNS was last looked at, the zero time if never.
func lastLook(d *client.Domain) time.Time {
	for _, c := range d.Conditions {
		if c.Type == client.ConditionTypeDNSReady && c.LastCheckedAt != nil {
			return *c.LastCheckedAt
		}
	}
	return time.Time{}
}
