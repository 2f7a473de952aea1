package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

var (
	_ resource.ResourceWithConfigure   = (*webhookResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*webhookResource)(nil)
	_ resource.ResourceWithImportState = (*webhookResource)(nil)
	_ resource.ResourceWithIdentity    = (*webhookResource)(nil)
)

type webhookResource struct {
	*configured
}

// webhookRename maps the API's field to the attribute that it comes from.
var webhookRename = map[string]string{"secret": "secret_wo"}

func (r *webhookResource) Metadata(
	_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_webhook"
}

func (r *webhookResource) Configure(
	_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse,
) {
	r.configured, _ = req.ProviderData.(*configured)
}

// ModifyPlan keeps the reasons of failures unless the planned change resets them.
func (r *webhookResource) ModifyPlan(
	ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
) {
	var state, plan *webhookModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() || plan == nil {
		return
	}
	if state == nil {
		plan.OrganizationID = r.organization(ctx)
		resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
		r.tryReplacement(ctx, req, plan, &resp.Diagnostics)
		return
	}
	planReplacement(ctx, resp.Private, state.ID, &resp.Diagnostics)
	plan.planUpdate(state)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
}

// tryReplacement checks the webhook that replaces another one, without its secret. No attribute
// requires a replacement, but it can be requested.
func (r *webhookResource) tryReplacement(
	ctx context.Context, req resource.ModifyPlanRequest, plan *webhookModel,
	diags *diag.Diagnostics,
) {
	replaces := replacedID(ctx, req.Private, diags)
	if replaces == "" || len(unknownAttributes(req.Config)) > 0 || r.configured == nil {
		return
	}
	in, more := plan.toCreateRequest(ctx, types.StringNull())
	if diags.Append(more...); more.HasError() {
		return
	}
	trial{replaces: replaces,
		problem: problem{doing: "create the webhook", schema: req.Plan.Schema},
		run: func(ctx context.Context, replacing string) error {
			return r.client.TryCreateWebhook(ctx, in, replacing)
		}}.add(ctx, diags)
}

func (r *webhookResource) Create(
	ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse,
) {
	var plan webhookModel
	var secret types.String
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("secret_wo"),
		&secret)...); resp.Diagnostics.HasError() {
		return
	}
	in, diags := plan.toCreateRequest(ctx, secret)
	if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "create the webhook", schema: req.Plan.Schema, rename: webhookRename}
	acting, ok := r.creating(ctx, plan.OrganizationID, p, &resp.Diagnostics)
	if !ok {
		return
	}
	w, err := r.client.CreateWebhook(ctx, in)
	if err != nil {
		p.add(ctx, &resp.Diagnostics, err)
		return
	}
	plan.OrganizationID = acting
	plan.fromAPI(withoutWebhookSecret(w))
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: plan.ID})...)
	resp.Diagnostics.Append(r.record(ctx, resp.Private)...)
}

func (r *webhookResource) Read(
	ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse,
) {
	var state webhookModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	// The framework requires an identity even if the resource is gone. Older Terraform versions
	// stored none.
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: state.ID})...)
	p := problem{doing: "read the webhook " + state.label()}
	owner, ok := r.owner(ctx, req.Private, p, &resp.Diagnostics)
	if !ok {
		return
	}
	w, err := r.client.Webhook(ctx, state.ID.ValueString())
	if owner.isGone(err) {
		resp.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		owner.add(ctx, p, &resp.Diagnostics, err)
		return
	}
	state.OrganizationID = r.organization(ctx)
	state.fromAPI(w)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
	resp.Diagnostics.Append(r.record(ctx, resp.Private)...)
}

func (r *webhookResource) Update(
	ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse,
) {
	var plan, state webhookModel
	var secret types.String
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("secret_wo"),
		&secret)...); resp.Diagnostics.HasError() {
		return
	}
	in, changed, diags := plan.toUpdateRequest(ctx, &state, secret)
	if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "update the webhook " + state.label(), schema: req.Plan.Schema,
		rename: webhookRename}
	owner, ok := r.owner(ctx, req.Private, p, &resp.Diagnostics)
	if !ok {
		return
	}
	w, err := r.client.Webhook(ctx, state.ID.ValueString())
	if err != nil {
		owner.add(ctx, p, &resp.Diagnostics, err)
		return
	}
	if changed { // otherwise, only the version differs, which the API does not have
		current := state
		if current.fromAPI(w); p.overwrites(ctx, req, current, &resp.Diagnostics) {
			return
		}
		if w, err = r.client.UpdateWebhook(ctx, state.ID.ValueString(), in); err != nil {
			owner.add(ctx, p, &resp.Diagnostics, err)
			return
		}
	}
	planned := plan
	plan.fromAPI(w)
	plan.keepKnown(&planned)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: plan.ID})...)
}

func (r *webhookResource) Delete(
	ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse,
) {
	var state webhookModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "delete the webhook " + state.label()}
	r.destroy(ctx, req.Private, p, &resp.Diagnostics, func() error {
		return r.client.DeleteWebhook(ctx, state.ID.ValueString())
	})
}

// ImportState imports a webhook by ID. secret_wo_version stays null, so that the first apply sends
// the configured secret.
func (r *webhookResource) ImportState(
	ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse,
) {
	r.importID(ctx, req, resp, "the webhook", webhookID,
		"the ID of a webhook (whk_ and 26 characters); URLs are not unique")
}
