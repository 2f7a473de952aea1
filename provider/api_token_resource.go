package provider

import (
	"context"
	"fmt"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

var (
	_ resource.ResourceWithConfigure      = (*apiTokenResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*apiTokenResource)(nil)
	_ resource.ResourceWithValidateConfig = (*apiTokenResource)(nil)
	_ resource.ResourceWithImportState    = (*apiTokenResource)(nil)
	_ resource.ResourceWithIdentity       = (*apiTokenResource)(nil)
)

type apiTokenResource struct {
	*configured
}

var tokenID = regexp.MustCompile(`^tok_[0-7][0-9a-hjkmnp-tv-z]{25}$`)

func (r *apiTokenResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_api_token"
}

func (r *apiTokenResource) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	r.configured, _ = req.ProviderData.(*configured)
}

func (r *apiTokenResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan apiTokenModel
	if resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...); resp.Diagnostics.HasError() {
		return
	}
	in, diags := plan.toCreateRequest(ctx, r.now())
	if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
		return
	}
	t, err := r.client.CreateToken(ctx, in)
	if err != nil {
		problem{doing: "create the API token " + in.Name, schema: req.Plan.Schema, rename: plan.rename()}.add(ctx, &resp.Diagnostics, err)
		return
	}
	plan.fromAPI(withoutSecret(t), r.now())
	plan.Token = types.StringValue(t.Token)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: plan.ID})...)
}

func (r *apiTokenResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state apiTokenModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	// Also for a resource that is gone: the framework asks for it, and older Terraform has kept none.
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: state.ID})...)
	t, err := r.client.Token(ctx, state.ID.ValueString())
	if client.IsNotFound(err) {
		resp.Diagnostics.AddWarning("The API token "+state.label()+" is gone",
			"It was revoked outside Terraform. The next apply creates it anew, with another secret.")
		resp.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		problem{doing: "read the API token " + state.label()}.add(ctx, &resp.Diagnostics, err)
		return
	}
	now := r.now()
	state.fromAPI(t, now)
	switch {
	case state.expired(now):
		detail := "The next apply creates it anew, with another secret."
		if state.ExpiresIn.IsNull() {
			detail = "Set another expires_at, or expires_in to have the time counted from its creation."
		}
		resp.Diagnostics.AddWarning("The API token "+state.label()+" has expired", "It stopped working at "+state.ExpiresAt.ValueString()+". "+detail)
	case state.stale():
		detail := "The secret that Terraform knows does not work any more."
		if until := state.PreviousValidUntil; !until.IsNull() {
			detail = "The secret that Terraform knows works until " + until.ValueString() + " at most."
		}
		resp.Diagnostics.AddWarning("The API token "+state.label()+" was rotated outside Terraform", detail+" The next apply rotates it once more, so that its secret is known here.")
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
}

// Update renames the token, and gives it a new secret where the plan says so; nothing else that is not Terraform's own
// changes without a new token. The rename comes first, so that a secret is never lost to its failure.
func (r *apiTokenResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state apiTokenModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	if !plan.Name.Equal(state.Name) {
		if _, err := r.client.UpdateToken(ctx, state.ID.ValueString(), client.TokenUpdate{Name: plan.Name.ValueString()}); err != nil {
			problem{doing: "rename the API token " + state.label(), schema: req.Plan.Schema}.add(ctx, &resp.Diagnostics, err)
			return
		}
	}
	if plan.Token.IsUnknown() {
		t, err := r.client.RotateToken(ctx, state.ID.ValueString(), plan.toRotateRequest(r.now()))
		if err != nil {
			problem{doing: "rotate the API token " + state.label(), schema: req.Plan.Schema, rename: plan.rename()}.add(ctx, &resp.Diagnostics, err)
			return
		}
		plan.fromAPI(withoutSecret(t), r.now())
		plan.Token = types.StringValue(t.Token)
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: plan.ID})...)
}

func (r *apiTokenResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state apiTokenModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	if err := r.client.DeleteToken(ctx, state.ID.ValueString()); err != nil && !client.IsNotFound(err) {
		problem{doing: "revoke the API token " + state.label()}.add(ctx, &resp.Diagnostics, err)
	}
}

// ImportState takes an id. The secret of an imported token stays null.
func (r *apiTokenResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	if req.ID != "" && !tokenID.MatchString(req.ID) {
		problem{doing: "import the API token"}.add(ctx, &resp.Diagnostics,
			fmt.Errorf("%q is not the id of a token (tok_ and 26 characters); a name may belong to several", maskSecret(req.ID)))
		return
	}
	resource.ImportStatePassthroughWithIdentity(ctx, path.Root("id"), path.Root("id"), req, resp)
}

// maskSecret hides a secret that was given for an id.
func maskSecret(s string) string { return tokenPattern.ReplaceAllString(s, "dcv_…") }

func withoutSecret(t *client.TokenWithSecret) *client.Token {
	return &client.Token{Id: t.Id, Name: t.Name, TokenPrefix: t.TokenPrefix, Scopes: t.Scopes, DomainIds: t.DomainIds,
		ExpiresAt: t.ExpiresAt, LastUsedAt: t.LastUsedAt, RotatedAt: t.RotatedAt, PreviousValidUntil: t.PreviousValidUntil, CreatedAt: t.CreatedAt}
}

// rename leads from what the API is sent to the attributes that it comes from.
func (m *apiTokenModel) rename() map[string]string {
	ours := map[string]string{"overlap_seconds": "rotation_overlap"}
	if !m.ExpiresIn.IsNull() {
		ours["expires_at"] = "expires_in"
	}
	return ours
}

func (m *apiTokenModel) label() string { return firstOf(m.Name.ValueString(), m.ID.ValueString()) }
