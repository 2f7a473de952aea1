package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

var (
	_ resource.ResourceWithConfigure   = (*memberResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*memberResource)(nil)
	_ resource.ResourceWithImportState = (*memberResource)(nil)
	_ resource.ResourceWithIdentity    = (*memberResource)(nil)
)

// memberResource is a membership. It belongs to a GitHub account, even if the login changes.
type memberResource struct {
	*configured
}

func (r *memberResource) Metadata(
	_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_organization_member"
}

func (r *memberResource) Configure(
	_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse,
) {
	r.configured, _ = req.ProviderData.(*configured)
}

// ModifyPlan replaces the member if the login changes, and plans nothing if only its spelling does.
func (r *memberResource) ModifyPlan(
	ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
) {
	var state, plan *memberModel
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
	if plan.Login.IsUnknown() || !strings.EqualFold(plan.Login.ValueString(),
		state.Login.ValueString()) {
		resp.RequiresReplace = append(resp.RequiresReplace, path.Root("login"))
		return
	}
	plan.Login = state.Login
	plan.keep(state)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
}

// tryReplacement checks the member that replaces another one.
func (r *memberResource) tryReplacement(
	ctx context.Context, req resource.ModifyPlanRequest, plan *memberModel, diags *diag.Diagnostics,
) {
	replaces := replacedID(ctx, req.Private, diags)
	if replaces == "" || len(unknownAttributes(req.Config)) > 0 || r.configured == nil {
		return
	}
	in := plan.toCreateRequest()
	trial{replaces: replaces,
		problem: problem{doing: "add the member " + in.Login, kind: "dcvaas_organization_member",
			schema: req.Plan.Schema, at: path.Root("login")},
		run: func(ctx context.Context, replacing string) error {
			return r.client.TryAddMember(ctx, in, replacing)
		}}.add(ctx, diags)
}

func (r *memberResource) Create(
	ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse,
) {
	var plan memberModel
	if resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "add the member " + plan.label(), kind: "dcvaas_organization_member",
		schema: req.Plan.Schema}
	acting, ok := r.creating(ctx, plan.OrganizationID, p, &resp.Diagnostics)
	if !ok {
		return
	}
	m, err := r.client.AddMember(ctx, plan.toCreateRequest())
	if err != nil {
		p.add(ctx, &resp.Diagnostics, err)
		return
	}
	plan.OrganizationID = acting
	plan.fromAPI(m)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: plan.ID})...)
	resp.Diagnostics.Append(r.record(ctx, resp.Private)...)
}

func (r *memberResource) Read(
	ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse,
) {
	var state memberModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	// The framework requires an identity even if the resource is gone. Older Terraform versions
	// stored none.
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: state.ID})...)
	p := problem{doing: "read the member " + state.label()}
	owner, ok := r.owner(ctx, req.Private, p, &resp.Diagnostics)
	if !ok {
		return
	}
	m, err := r.client.Member(ctx, state.ID.ValueString())
	if owner.isGone(err) {
		resp.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		owner.add(ctx, p, &resp.Diagnostics, err)
		return
	}
	if known := state.Login.ValueString(); known != "" && !strings.EqualFold(known, m.Login) {
		resp.Diagnostics.AddAttributeWarning(path.Root("login"), "The GitHub login of the member "+
			known+" has changed",
			fmt.Sprintf(
				"The account now has the login %q and is still a member. Set login to it. Otherwise, the next apply removes the account and adds the one that now has the login %s.", m.Login, known))
	}
	state.OrganizationID = r.organization(ctx)
	state.fromAPI(m)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
	warnOfConsent(&state, &resp.Diagnostics)
	resp.Diagnostics.Append(r.record(ctx, resp.Private)...)
}

// warnOfConsent warns about a person who did not accept. They are not invited again automatically.
func warnOfConsent(m *memberModel, diags *diag.Diagnostics) {
	const again = "To invite them again, ask them, and replace this resource (terraform apply -replace). To stop inviting them, remove it from the configuration."
	switch client.MemberState(m.State.ValueString()) {
	case client.MemberStateDeclined:
		diags.AddAttributeWarning(path.Root("login"), m.label()+" declined the invitation",
			"The person is not a member of the organization. "+again)
	case client.MemberStateExpired:
		diags.AddAttributeWarning(path.Root("login"), "The invitation of "+m.label()+" expired",
			"The person did not accept it in time, and is not a member of the organization. "+again)
	}
}

// Update changes the role. A change of the login replaces the member.
func (r *memberResource) Update(
	ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse,
) {
	var plan, current memberModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.Append(req.State.Get(ctx, &current)...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "change the role of the member " + plan.label(), schema: req.Plan.Schema,
		at: path.Root("role")}
	owner, ok := r.owner(ctx, req.Private, p, &resp.Diagnostics)
	if !ok {
		return
	}
	m, err := r.client.Member(ctx, plan.ID.ValueString())
	if err == nil {
		if current.fromAPI(m); p.overwrites(ctx, req, current, &resp.Diagnostics) {
			return
		}
		m, err = r.client.UpdateMember(ctx, plan.ID.ValueString(),
			client.MemberUpdate{Role: client.Role(plan.Role.ValueString())})
	}
	if err != nil {
		owner.add(ctx, p, &resp.Diagnostics, err)
		return
	}
	planned := plan
	plan.fromAPI(m)
	plan.keep(&planned) // the person may have accepted since the plan
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: plan.ID})...)
}

func (r *memberResource) Delete(
	ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse,
) {
	var state memberModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "remove the member " + state.label()}
	r.destroy(ctx, req.Private, p, &resp.Diagnostics, func() error {
		return r.client.RemoveMember(ctx, state.ID.ValueString())
	})
}

// ImportState imports a member by user ID or login, from an import ID or an identity.
func (r *memberResource) ImportState(
	ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse,
) {
	ref := importRef(ctx, req, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "import the member " + ref}
	if rules.CheckLogin(ref) != nil {
		p.add(ctx, &resp.Diagnostics,
			fmt.Errorf("%q is neither a user ID (usr_ and 26 characters) nor a GitHub login", ref))
		return
	}
	m, err := r.client.Member(ctx, ref)
	if err != nil {
		p.add(ctx, &resp.Diagnostics, err)
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("id"), m.Id)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: types.StringValue(m.Id)})...)
	resp.Diagnostics.Append(r.record(ctx, resp.Private)...)
}
