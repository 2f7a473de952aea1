package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

var (
	_ resource.ResourceWithConfigure   = (*acmednsAccountResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*acmednsAccountResource)(nil)
	_ resource.ResourceWithImportState = (*acmednsAccountResource)(nil)
	_ resource.ResourceWithIdentity    = (*acmednsAccountResource)(nil)
)

type acmednsAccountResource struct {
	*configured
}

func (r *acmednsAccountResource) Metadata(
	_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_acmedns_account"
}

func (r *acmednsAccountResource) Configure(
	_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse,
) {
	r.configured, _ = req.ProviderData.(*configured)
}

// ModifyPlan keeps the password and the name unless the planned change affects them.
func (r *acmednsAccountResource) ModifyPlan(
	ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
) {
	var state, plan *acmednsAccountModel
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

// tryReplacement checks the account that replaces another one. No attribute requires a
// replacement, but it can be requested.
func (r *acmednsAccountResource) tryReplacement(
	ctx context.Context, req resource.ModifyPlanRequest, plan *acmednsAccountModel,
	diags *diag.Diagnostics,
) {
	replaces := replacedID(ctx, req.Private, diags)
	if replaces == "" || len(unknownAttributes(req.Config)) > 0 || r.configured == nil {
		return
	}
	in, more := plan.toCreateRequest(ctx)
	if diags.Append(more...); more.HasError() {
		return
	}
	trial{replaces: replaces,
		problem: problem{doing: "create the acme-dns account", schema: req.Plan.Schema},
		run: func(ctx context.Context, replacing string) error {
			return r.client.TryCreateACMEDNSAccount(ctx, in, replacing)
		}}.add(ctx, diags)
}

func (r *acmednsAccountResource) Create(
	ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse,
) {
	var plan acmednsAccountModel
	if resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...); resp.Diagnostics.HasError() {
		return
	}
	in, diags := plan.toCreateRequest(ctx)
	if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "create the acme-dns account", schema: req.Plan.Schema}
	acting, ok := r.creating(ctx, plan.OrganizationID, p, &resp.Diagnostics)
	if !ok {
		return
	}
	a, err := r.client.CreateACMEDNSAccount(ctx, in)
	if err != nil {
		p.add(ctx, &resp.Diagnostics, err)
		return
	}
	plan.OrganizationID = acting
	plan.fromAPI(withoutPassword(a))
	plan.Password = types.StringValue(a.Password)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: plan.ID})...)
	resp.Diagnostics.Append(r.record(ctx, resp.Private)...)
}

// Read removes a password from the state that is no longer valid.
func (r *acmednsAccountResource) Read(
	ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse,
) {
	var state acmednsAccountModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	// The framework requires an identity even if the resource is gone. Older Terraform versions
	// stored none.
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: state.ID})...)
	p := problem{doing: "read the acme-dns account " + state.label()}
	owner, ok := r.owner(ctx, req.Private, p, &resp.Diagnostics)
	if !ok {
		return
	}
	a, err := r.client.ACMEDNSAccount(ctx, state.ID.ValueString())
	if owner.isGone(err) {
		resp.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		owner.add(ctx, p, &resp.Diagnostics, err)
		return
	}
	known := state.PasswordVersion
	state.OrganizationID = r.organization(ctx)
	state.fromAPI(a)
	if !state.Password.IsNull() && !known.Equal(state.PasswordVersion) {
		state.Password = types.StringNull()
		resp.Diagnostics.AddWarning("The password of the acme-dns account "+state.label()+
			" was rotated outside Terraform",
			"The password in the state is no longer valid, and is removed from it. Change "+
				"rotate_when_changed for a new one.")
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
	resp.Diagnostics.Append(r.record(ctx, resp.Private)...)
}

// Update changes the account, and rotates its password if the plan says so. The rotation comes
// last: if the change failed after it, the new password would be lost.
func (r *acmednsAccountResource) Update(
	ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse,
) {
	var plan, state acmednsAccountModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	in, changed, diags := plan.toUpdateRequest(ctx, &state)
	if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "update the acme-dns account " + state.label(), schema: req.Plan.Schema}
	owner, ok := r.owner(ctx, req.Private, p, &resp.Diagnostics)
	if !ok {
		return
	}
	id, rotates := state.ID.ValueString(), plan.Password.IsUnknown()
	a, err := r.client.ACMEDNSAccount(ctx, id)
	if err != nil {
		owner.add(ctx, p, &resp.Diagnostics, err)
		return
	}
	current := state
	if current.fromAPI(a); p.overwrites(ctx, req, current, &resp.Diagnostics,
		"password_version") {
		return
	}
	if changed {
		if a, err = r.client.UpdateACMEDNSAccount(ctx, id, in); err != nil {
			owner.add(ctx, p, &resp.Diagnostics, err)
			return
		}
	}
	if rotates {
		rotated, err := r.client.RotateACMEDNSAccount(ctx, id)
		if err != nil {
			owner.add(ctx, problem{doing: "rotate the password of the acme-dns account " +
				state.label()}, &resp.Diagnostics, err)
			return
		}
		a, plan.Password = withoutPassword(rotated), types.StringValue(rotated.Password)
	}
	version := plan.PasswordVersion
	if plan.fromAPI(a); !rotates {
		plan.PasswordVersion = version // as planned; the next refresh shows another one
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: plan.ID})...)
}

func (r *acmednsAccountResource) Delete(
	ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse,
) {
	var state acmednsAccountModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "delete the acme-dns account " + state.label()}
	r.destroy(ctx, req.Private, p, &resp.Diagnostics, func() error {
		return r.client.DeleteACMEDNSAccount(ctx, state.ID.ValueString())
	})
}

// ImportState imports an account by ID. The password of an imported account stays null until it is
// rotated.
func (r *acmednsAccountResource) ImportState(
	ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse,
) {
	r.importID(ctx, req, resp, "the acme-dns account", acmednsID,
		"the ID of an acme-dns account (ada_ and 26 characters)")
}
