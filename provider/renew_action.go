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

// renewAction renews a certificate now.
type renewAction struct {
	*configured
}

type renewModel struct {
	Domain  types.String `tfsdk:"domain"`
	Timeout types.String `tfsdk:"timeout"`
}

// defaultRenewal exceeds the time that any CA needs for an order without a queue.
const defaultRenewal = "10m"

func (a *renewAction) Metadata(
	_ context.Context, req action.MetadataRequest, resp *action.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_renew"
}

func (a *renewAction) Schema(
	_ context.Context, _ action.SchemaRequest, resp *action.SchemaResponse,
) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Renews the certificate of a domain now and waits for the new one. The service renews certificates automatically; use this for a change that needs a new certificate immediately. " +
			"A certificate that is neither due nor revoked, and matches the domain's options, can be renewed this way at most once per hour; otherwise, the action fails and states when to retry. " +
			"The provider's token needs the scopes `domains:write` and `jobs:read`. Requires Terraform 1.14 or newer.",
		Attributes: map[string]schema.Attribute{
			"domain": schema.StringAttribute{Required: true,
				MarkdownDescription: domainDescription},
			"timeout": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "How long to wait for the new certificate, such as `90s` or `1h`. The renewal continues after that. Default: `" + defaultRenewal + "`.",
				Validators:          []validator.String{durationValidator{positive}},
			},
		},
	}
}

func (a *renewAction) Configure(
	_ context.Context, req action.ConfigureRequest, _ *action.ConfigureResponse,
) {
	a.configured, _ = req.ProviderData.(*configured)
}

func (a *renewAction) Invoke(
	ctx context.Context, req action.InvokeRequest, resp *action.InvokeResponse,
) {
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
	reported := ""
	last, err := a.client.WaitJob(within, job.Id, func(j *client.Job) bool {
		if why := waiting(j); why != reported && why != "" {
			progress(resp, "%s", why)
			reported = why
		}
		return j.Status == client.JobStatusSucceeded || j.Status == client.JobStatusFailed
	})
	switch {
	case err == nil && last.Status == client.JobStatusSucceeded:
		progress(resp, "%s has a new certificate", d.Name)
	case err == nil:
		resp.Diagnostics.AddAttributeError(path.Root("domain"), "Cannot "+p.doing, failure(last))
	case within.Err() != nil && ctx.Err() == nil:
		resp.Diagnostics.AddAttributeError(path.Root("domain"), "No new certificate for "+d.Name+
			" within "+limit.String(),
			strings.TrimSpace(reported+" The renewal continues automatically as the job "+job.Id+
				"."))
	default:
		p.add(ctx, &resp.Diagnostics, err)
	}
}

// waiting describes why and until when a job waits, "" if it does not.
func waiting(j *client.Job) string {
	if j.Status != client.JobStatusQueued || j.Reason == "" {
		return ""
	}
	return "Waiting (" + j.Reason + ") until " + j.RunAt.UTC().Format(time.RFC3339) + "."
}

// failure describes why a job failed.
func failure(j *client.Job) string {
	e, err := j.LastError.Get()
	if err != nil {
		return "The job " + j.Id + " failed without a reason."
	}
	return sentence(e.Detail) + "\n\nCause: " + e.Code + "\nJob: " + j.Id
}
