package provider

import (
	"cmp"
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

var (
	_ resource.ResourceWithConfigure      = (*domainResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*domainResource)(nil)
	_ resource.ResourceWithValidateConfig = (*domainResource)(nil)
	_ resource.ResourceWithImportState    = (*domainResource)(nil)
	_ resource.ResourceWithIdentity       = (*domainResource)(nil)
)

type domainResource struct {
	*configured
}

func (r *domainResource) Metadata(
	_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_domain"
}

func (r *domainResource) Configure(
	_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse,
) {
	r.configured, _ = req.ProviderData.(*configured)
}

func (r *domainResource) Create(
	ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse,
) {
	var plan domainModel
	if resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "create the domain " + plan.Name.ValueString(), kind: "dcvaas_domain",
		schema: req.Plan.Schema, sets: plan.sets()}
	acting, ok := r.creating(ctx, plan.OrganizationID, p, &resp.Diagnostics)
	if !ok {
		return
	}
	d, err := r.client.CreateDomain(ctx, plan.toCreateRequest())
	r.domains.forget()
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

func (r *domainResource) Read(
	ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse,
) {
	var state domainModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	// The framework requires an identity even if the resource is gone. Older Terraform versions
	// stored none.
	resp.Diagnostics.Append(resp.Identity.Set(ctx,
		idIdentity{ID: types.StringValue(cmp.Or(state.ID.ValueString(),
			state.Name.ValueString()))})...)
	p := problem{doing: "read the domain " + state.label()}
	owner, ok := r.owner(ctx, req.Private, p, &resp.Diagnostics)
	if !ok {
		return
	}
	d, err := r.find(ctx, &state)
	// A domain that was moved from another provider and never read may not exist yet.
	if owner.isGone(err) || client.IsNotFound(err) && state.ID.IsNull() {
		resp.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		owner.add(ctx, p, &resp.Diagnostics, err)
		return
	}
	state.OrganizationID = r.organization(ctx)
	state.fromAPI(d)
	warnOfChain(d, path.Root("preferred_chain"), &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: state.ID})...)
	resp.Diagnostics.Append(r.record(ctx, resp.Private)...)
}

// find returns the domain of a state, by name if it was moved from another provider's certificate.
func (r *domainResource) find(ctx context.Context, state *domainModel) (*client.Domain, error) {
	if state.ID.IsNull() {
		return findDomain(ctx, r.client, state.Name.ValueString())
	}
	return r.domains.get(ctx, state.ID.ValueString())
}

func (r *domainResource) Update(
	ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse,
) {
	var plan, state domainModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	// If only values outside the API differ, such as deletion_protection, the plan is already
	// complete.
	if in, changed := plan.toUpdateRequest(&state); changed {
		p := problem{doing: "update the domain " + state.label(), schema: req.Plan.Schema,
			sets: plan.sets()}
		owner, ok := r.owner(ctx, req.Private, p, &resp.Diagnostics)
		if !ok {
			return
		}
		d, err := r.unplanned.get(ctx, state.ID.ValueString())
		if err != nil {
			owner.add(ctx, p, &resp.Diagnostics, err)
			return
		}
		current := state
		if current.fromAPI(d); current.ConnectionID.IsNull() {
			current.ConnectionID = state.ConnectionID // its replacement has cleared it
		}
		if p.overwrites(ctx, req, current, &resp.Diagnostics) {
			return
		}
		d, err = r.client.UpdateDomain(ctx, state.ID.ValueString(), in)
		r.domains.forget()
		if err != nil {
			owner.add(ctx, p, &resp.Diagnostics, err)
			return
		}
		planned := plan
		plan.fromAPI(d)
		if !planned.OptionsRevision.IsUnknown() {
			plan.OptionsRevision = planned.OptionsRevision
		}
		if !planned.Status.IsUnknown() {
			// The service may have changed it since the plan; the next refresh shows that.
			plan.setProgress(&planned)
		}
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: plan.ID})...)
}

func (r *domainResource) Delete(
	ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse,
) {
	var state domainModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	if state.DeletionProtection.ValueBool() {
		state.addProtectionError(&resp.Diagnostics)
		return
	}
	if state.ID.IsNull() { // moved from another provider's certificate, and not read since
		return
	}
	p := problem{doing: "delete the domain " + state.label()}
	r.destroy(ctx, req.Private, p, &resp.Diagnostics, func() error {
		defer r.domains.forget()
		return r.client.DeleteDomain(ctx, state.ID.ValueString())
	})
}

// ImportState imports a domain by ID or name, from an import ID or an identity.
func (r *domainResource) ImportState(
	ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse,
) {
	ref := importRef(ctx, req, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	d, err := findDomain(ctx, r.client, ref)
	if err != nil {
		problem{doing: "import the domain " + ref}.add(ctx, &resp.Diagnostics, err)
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("id"), d.Id)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: types.StringValue(d.Id)})...)
	resp.Diagnostics.Append(r.record(ctx, resp.Private)...)
}

// importRef returns the reference to import, from the import ID or the identity.
func importRef(
	ctx context.Context, req resource.ImportStateRequest, diags *diag.Diagnostics,
) string {
	if req.ID != "" || req.Identity == nil {
		return req.ID
	}
	var id types.String
	diags.Append(req.Identity.GetAttribute(ctx, path.Root("id"), &id)...)
	return id.ValueString()
}

// findDomain returns a domain by ID or any spelling of its name.
func findDomain(ctx context.Context, c *client.Client, ref string) (*client.Domain, error) {
	if !domainID.MatchString(ref) {
		name, err := rules.CanonicalName(ref)
		if err != nil {
			return nil, fmt.Errorf(
				"%q is neither the ID of a domain (dom_ and 26 characters) nor its name: %w", ref,
				err)
		}
		ref = name
	}
	return c.Domain(ctx, ref)
}

// label returns the name, or the ID if the name is not known yet, as after an import.
func (m *domainModel) label() string { return cmp.Or(m.Name.ValueString(), m.ID.ValueString()) }
