package provider

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

var (
	_ resource.ResourceWithConfigure   = (*delegationResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*delegationResource)(nil)
	_ resource.ResourceWithImportState = (*delegationResource)(nil)
	_ resource.ResourceWithIdentity    = (*delegationResource)(nil)
)

// delegationResource is a pinned delegation. Its creation pins one that domains use already, and
// its deletion leaves it to them.
type delegationResource struct {
	*configured
}

func (r *delegationResource) Metadata(
	_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_delegation"
}

func (r *delegationResource) Configure(
	_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse,
) {
	r.configured, _ = req.ProviderData.(*configured)
}

// ModifyPlan plans the record before the delegation exists, pins one that was unpinned outside
// Terraform, and plans no change if only the spelling differs.
func (r *delegationResource) ModifyPlan(
	ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
) {
	var state, plan *delegationModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() || plan == nil {
		return
	}
	if state == nil {
		plan.OrganizationID, plan.Pinned = r.organization(ctx), types.BoolValue(true)
		r.planRecord(ctx, plan, &resp.Diagnostics)
		resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
		r.tryReplacement(ctx, req, plan, &resp.Diagnostics)
		return
	}
	planReplacement(ctx, resp.Private, state.ID, &resp.Diagnostics)
	if plan.Name.IsUnknown() || !sameName(plan.Name.ValueString(), state.Name.ValueString()) {
		return
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, state.planUpdate(plan.ConnectionID))...)
}

// planRecord reads the record of a delegation that does not exist yet.
func (r *delegationResource) planRecord(
	ctx context.Context, plan *delegationModel, diags *diag.Diagnostics,
) {
	if plan.Name.IsUnknown() || r.configured == nil {
		return
	}
	name, err := rules.CanonicalName(plan.Name.ValueString())
	if err != nil {
		return // the validator reports it
	}
	record, err := r.client.Delegation(ctx, name)
	if err != nil {
		problem{doing: "plan the delegation of " + name, at: path.Root("name")}.add(ctx, diags, err)
		return
	}
	plan.setRecord(record)
}

// tryReplacement checks the delegation that replaces another one.
func (r *delegationResource) tryReplacement(
	ctx context.Context, req resource.ModifyPlanRequest, plan *delegationModel,
	diags *diag.Diagnostics,
) {
	replaces := replacedID(ctx, req.Private, diags)
	if replaces == "" || plan.Name.IsUnknown() || r.configured == nil {
		return
	}
	trial{replaces: replaces, problem: r.creation(plan, req.Plan.Schema),
		run: func(ctx context.Context, replacing string) error {
			return r.client.TryCreateDelegation(ctx,
				plan.toCreateRequest(), replacing)
		}}.add(ctx, diags)
}

func (r *delegationResource) creation(plan *delegationModel, schema schemaTypes) problem {
	return problem{doing: "pin the delegation of " + plan.Name.ValueString(), schema: schema,
		at: path.Root("name")}
}

func (r *delegationResource) Create(
	ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse,
) {
	var plan delegationModel
	if resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...); resp.Diagnostics.HasError() {
		return
	}
	p := r.creation(&plan, req.Plan.Schema)
	acting, ok := r.creating(ctx, plan.OrganizationID, p, &resp.Diagnostics)
	if !ok {
		return
	}
	d, err := r.client.CreateDelegation(ctx, plan.toCreateRequest())
	if err != nil {
		p.add(ctx, &resp.Diagnostics, err)
		return
	}
	plan.OrganizationID = acting
	plan.fromAPI(d)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: plan.ID})...)
	resp.Diagnostics.Append(r.record(ctx, resp.Private)...)
}

func (r *delegationResource) Read(
	ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse,
) {
	var state delegationModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	// The framework requires an identity even if the resource is gone.
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: state.ID})...)
	p := problem{doing: "read the delegation " + state.label()}
	owner, ok := r.owner(ctx, req.Private, p, &resp.Diagnostics)
	if !ok {
		return
	}
	d, err := r.client.DelegationObject(ctx, state.ID.ValueString())
	if owner.isGone(err) {
		resp.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		owner.add(ctx, p, &resp.Diagnostics, err)
		return
	}
	state.OrganizationID = r.organization(ctx)
	state.fromAPI(d)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
	resp.Diagnostics.Append(r.record(ctx, resp.Private)...)
}

// Update pins a delegation that was unpinned outside Terraform, and sets its connection.
func (r *delegationResource) Update(
	ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse,
) {
	var plan delegationModel
	if resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "pin the delegation of " + plan.label(), schema: req.Plan.Schema}
	owner, ok := r.owner(ctx, req.Private, p, &resp.Diagnostics)
	if !ok {
		return
	}
	d, err := r.client.UpdateDelegation(ctx, plan.ID.ValueString(),
		client.DelegationUpdate{Pinned: new(true), ConnectionId: orNull(plan.ConnectionID)})
	if err != nil {
		owner.add(ctx, p, &resp.Diagnostics, err)
		return
	}
	plan.fromAPI(d)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: plan.ID})...)
}

func (r *delegationResource) Delete(
	ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse,
) {
	var state delegationModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "delete the delegation " + state.label()}
	r.destroy(ctx, req.Private, p, &resp.Diagnostics, func() error {
		return r.release(ctx, state.ID.ValueString())
	})
}

// releaseAttempts limits how often release tries the other call, because a domain started or ended
// to use the delegation between two calls.
const releaseAttempts = 5

// release deletes a delegation, or unpins it if domains use it: then it ends with the last of them.
func (r *delegationResource) release(ctx context.Context, id string) (err error) {
	for range releaseAttempts {
		if err = r.client.DeleteDelegation(ctx, id); !isDelegationConflict(err) {
			return err
		}
		_, err = r.client.UpdateDelegation(ctx, id, client.DelegationUpdate{Pinned: new(false)})
		if !isDelegationConflict(err) {
			return err
		}
	}
	return err
}

// isDelegationConflict reports whether a delegation can't be deleted because domains use it, or
// can't be unpinned because none does.
func isDelegationConflict(err error) bool {
	var e *client.Error
	return client.IsConflict(err) && errors.As(err, &e) &&
		(e.Code == "delegation-in-use" || e.Code == "delegation-unused")
}

// ImportState imports a delegation by ID or name, from an import ID or an identity.
func (r *delegationResource) ImportState(
	ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse,
) {
	ref := importRef(ctx, req, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	d, err := findDelegation(ctx, r.client, ref)
	if err != nil {
		problem{doing: "import the delegation " + ref}.add(ctx, &resp.Diagnostics, err)
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("id"), d.Id)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: types.StringValue(d.Id)})...)
	resp.Diagnostics.Append(r.record(ctx, resp.Private)...)
}

// findDelegation returns a delegation by ID or any spelling of its name.
func findDelegation(
	ctx context.Context, c *client.Client, ref string,
) (*client.Delegation, error) {
	if !delegationID.MatchString(ref) {
		name, err := rules.CanonicalName(ref)
		if err != nil {
			return nil, fmt.Errorf("%q is neither the ID of a delegation (dlg_ and 26 characters) "+
				"nor its name: %w", ref, err)
		}
		ref = name
	}
	return c.DelegationObject(ctx, ref)
}

// label returns the name, or the ID if the name is not known yet, as after an import.
func (m *delegationModel) label() string {
	return cmp.Or(m.Name.ValueString(), m.ID.ValueString())
}
