package provider

import (
	"context"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/action/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

var _ action.ActionWithConfigure = (*renewAction)(nil)

// renewAction has a certificate renewed now.
type renewAction struct {
	*configured
}

type renewModel struct {
	Domain  types.String `tfsdk:"domain"`
	Timeout types.String `tfsdk:"timeout"`
}

// defaultRenewal is longer than any CA takes for an order that need not wait.
const defaultRenewal = "10m"

func (a *renewAction) Metadata(_ context.Context, req action.MetadataRequest, resp *action.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_renew"
}

func (a *renewAction) Schema(_ context.Context, _ action.SchemaRequest, resp *action.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Has the certificate of a domain renewed now, and waits for the new one. The service renews by itself in time, so this is for a change that needs a new certificate at once. " +
			"A certificate that is neither due nor revoked, and fits the domain's options, is renewed this way at most once an hour: sooner, the action fails and states the time. " +
			"The provider's token needs the scope `jobs:read` beside `domains:write` to see what comes of it. Terraform 1.14 or newer.",
		Attributes: map[string]schema.Attribute{
			"domain": schema.StringAttribute{Required: true, MarkdownDescription: domainDescription},
			"timeout": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "How long to wait for the new certificate, such as `90s` or `1h`. The renewal goes on after that. Default: `" + defaultRenewal + "`.",
				Validators:          []validator.String{durationValidator{}},
			},
		},
	}
}

func (a *renewAction) Configure(_ context.Context, req action.ConfigureRequest, _ *action.ConfigureResponse) {
	a.configured, _ = req.ProviderData.(*configured)
}

func (a *renewAction) Invoke(ctx context.Context, req action.InvokeRequest, resp *action.InvokeResponse) {
	var m renewModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	d, ok := a.find(ctx, m.Domain.ValueString(), "renew", resp)
	if !ok {
		return
	}
	defer a.domains.forget()
	p := problem{doing: "renew the certificate of " + d.Name, at: path.Root("domain")}
	job, err := a.client.RenewDomain(ctx, d.Id)
	if err != nil {
		p.add(ctx, &resp.Diagnostics, err)
		return
	}
	progress(resp, "Renewing the certificate of %s (%s)", d.Name, job.Id)

	limit := durationOf(m.Timeout)
	if limit == 0 {
		limit = durationOf(types.StringValue(defaultRenewal))
	}
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	said := ""
	last, err := a.client.WaitJob(within, job.Id, func(j *client.Job) bool {
		if why := waiting(j); why != said && why != "" {
			progress(resp, "%s", why)
			said = why
		}
		return j.Status == client.JobStatusSucceeded || j.Status == client.JobStatusFailed
	})
	switch {
	case err == nil && last.Status == client.JobStatusSucceeded:
		progress(resp, "%s has a new certificate", d.Name)
	case err == nil:
		resp.Diagnostics.AddAttributeError(path.Root("domain"), "Cannot "+p.doing, failure(last))
	case within.Err() != nil && ctx.Err() == nil:
		resp.Diagnostics.AddAttributeError(path.Root("domain"), "No new certificate for "+d.Name+" within "+limit.String(),
			strings.TrimSpace(said+" The renewal goes on by itself, as the job "+job.Id+"."))
	default:
		p.add(ctx, &resp.Diagnostics, err)
	}
}

// waiting says what a job waits for and until when; nothing where it does not wait.
func waiting(j *client.Job) string {
	if j.Status != client.JobStatusQueued || j.Reason == "" {
		return ""
	}
	return "Waiting (" + j.Reason + ") until " + j.RunAt.UTC().Format(time.RFC3339) + "."
}

// failure says why a job failed.
func failure(j *client.Job) string {
	e, err := j.LastError.Get()
	if err != nil {
		return "The job " + j.Id + " failed, and says no reason."
	}
	return sentence(e.Detail) + "\n\nCause: " + e.Code + "\nJob: " + j.Id
}
