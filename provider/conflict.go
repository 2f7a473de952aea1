package provider

import (
	"context"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// overwrites adds an error for each attribute that an update changes, and that was changed outside
// Terraform since the state was read: a saved plan can be applied much later. current is the model
// of the object as it is now. Attributes that users can't set are compared only if they are in
// also.
func (p problem) overwrites(
	ctx context.Context, req resource.UpdateRequest, current any, diags *diag.Diagnostics,
	also ...string,
) bool {
	now := tfsdk.State{Schema: req.State.Schema, Raw: req.State.Raw.Copy()}
	if diags.Append(now.Set(ctx, current)...); diags.HasError() {
		return true
	}
	found := false
	state, plan, present := attributesOf(req.State.Raw), attributesOf(req.Plan.Raw),
		attributesOf(now.Raw)
	for name, a := range req.State.Schema.GetAttributes() {
		if !a.IsRequired() && !a.IsOptional() && !slices.Contains(also, name) ||
			plan[name].Equal(state[name]) || // not changed by the plan
			present[name].Equal(state[name]) || present[name].Equal(plan[name]) {
			continue
		}
		found = true
		diags.AddAttributeError(path.Root(name), "Cannot "+p.doing,
			"The attribute "+name+" was changed outside Terraform since the plan was made. "+
				"Nothing was changed. Plan again: the new plan shows the current value.")
	}
	return found
}

// attributesOf returns the attributes of a resource.
func attributesOf(v tftypes.Value) (attributes map[string]tftypes.Value) {
	_ = v.As(&attributes) // an object always has them
	return attributes
}
