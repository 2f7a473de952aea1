package provider

import (
	"cmp"
	"context"
	"time"

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

func (r *apiTokenResource) Metadata(
	_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_api_token"
}

func (r *apiTokenResource) Configure(
	_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse,
) {
	r.configured, _ = req.ProviderData.(*configured)
}

func (r *apiTokenResource) Create(
	ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse,
) {
	var plan apiTokenModel
	if resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...); resp.Diagnostics.HasError() {
		return
	}
	in, diags := plan.toCreateRequest(ctx, r.now())
	if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "create the API token " + in.Name, schema: req.Plan.Schema,
		rename: plan.rename()}
	acting, ok := r.creating(ctx, plan.OrganizationID, p, &resp.Diagnostics)
	if !ok {
		return
	}
	t, err := r.client.CreateToken(ctx, in)
	if err != nil {
		p.add(ctx, &resp.Diagnostics, err)
		return
	}
	plan.OrganizationID = acting
	plan.fromAPI(withoutSecret(t), r.now())
	plan.Token = types.StringValue(t.Token)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: plan.ID})...)
	resp.Diagnostics.Append(r.record(ctx, resp.Private)...)
}

func (r *apiTokenResource) Read(
	ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse,
) {
	var state apiTokenModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	// The framework requires an identity even if the resource is gone. Older Terraform versions
	// stored none.
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: state.ID})...)
	p := problem{doing: "read the API token " + state.label()}
	owner, ok := r.owner(ctx, req.Private, p, &resp.Diagnostics)
	if !ok {
		return
	}
	t, err := r.client.Token(ctx, state.ID.ValueString())
	if owner.isGone(err) {
		resp.Diagnostics.AddWarning("The API token "+state.label()+" is gone",
			"It was revoked outside Terraform. The next apply recreates it with a new secret.")
		resp.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		owner.add(ctx, p, &resp.Diagnostics, err)
		return
	}
	now := r.now()
	state.OrganizationID = r.organization(ctx)
	state.fromAPI(t, now)
	switch {
	case state.expired(now):
		detail := "The next apply recreates it with a new secret."
		if state.ExpiresIn.IsNull() {
			detail = "Set a later expires_at, or set expires_in for a lifetime that starts with the creation."
		}
		resp.Diagnostics.AddWarning("The API token "+state.label()+" has expired", "It expired at "+
			state.ExpiresAt.ValueString()+". "+detail)
	case state.stale():
		detail := "The secret in the state is no longer valid."
		if until, ok := state.validUntil(t.Secrets); ok {
			detail = "The secret in the state remains valid until " +
				until.UTC().Format(time.RFC3339) + "."
		}
		resp.Diagnostics.AddWarning("The API token "+state.label()+" was rotated outside Terraform",
			detail+" The next apply rotates it again, so that the state contains the current secret.")
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
	resp.Diagnostics.Append(r.record(ctx, resp.Private)...)
}

// Update renames the token, and rotates it if the plan says so. All other changes in the API
// replace the token. The rename comes first: if it failed after a rotation, the new secret would be
// lost.
func (r *apiTokenResource) Update(
	ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse,
) {
	var plan, state apiTokenModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "update the API token " + state.label()}
	owner, ok := r.owner(ctx, req.Private, p, &resp.Diagnostics)
	if !ok {
		return
	}
	if !plan.Name.Equal(state.Name) || plan.Token.IsUnknown() {
		t, err := r.client.Token(ctx, state.ID.ValueString())
		if err != nil {
			owner.add(ctx, p, &resp.Diagnostics, err)
			return
		}
		current := state
		current.fromAPI(t, r.now())
		if p.overwrites(ctx, req, current, &resp.Diagnostics, "secret_version") {
			return
		}
	}
	if !plan.Name.Equal(state.Name) {
		if _, err := r.client.UpdateToken(ctx, state.ID.ValueString(),
			client.TokenUpdate{Name: plan.Name.ValueString()}); err != nil {
			owner.add(ctx, problem{doing: "rename the API token " + state.label(),
				schema: req.Plan.Schema}, &resp.Diagnostics, err)
			return
		}
	}
	if plan.Token.IsUnknown() {
		in := plan.toRotateRequest(r.now())
		t, err := r.client.RotateToken(ctx, state.ID.ValueString(), in)
		if err != nil {
			owner.add(ctx, problem{doing: "rotate the API token " + state.label(),
				schema: req.Plan.Schema, rename: plan.rename()}, &resp.Diagnostics, err)
			return
		}
		if *in.OverlapSeconds == 0 && !t.PreviousValidUntil.IsNull() {
			// The state is saved even if this fails, because it has the new secret.
			if err := r.client.RevokePreviousTokenSecrets(ctx, t.Id); err != nil {
				owner.add(ctx, problem{doing: "revoke the previous secrets of the API token " +
					state.label() + ", whose secret was rotated"}, &resp.Diagnostics, err)
			} else {
				t.PreviousValidUntil.SetNull()
			}
		}
		plan.fromAPI(withoutSecret(t), r.now())
		plan.Token = types.StringValue(t.Token)
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, idIdentity{ID: plan.ID})...)
}

func (r *apiTokenResource) Delete(
	ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse,
) {
	var state apiTokenModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	p := problem{doing: "revoke the API token " + state.label()}
	r.destroy(ctx, req.Private, p, &resp.Diagnostics, func() error {
		return r.client.DeleteToken(ctx, state.ID.ValueString())
	})
}

// ImportState imports a token by ID. The secret of an imported token stays null.
func (r *apiTokenResource) ImportState(
	ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse,
) {
	r.importID(ctx, req, resp, "the API token", tokenID,
		"the ID of a token (tok_ and 26 characters); names are not unique")
}

// maskSecret hides a secret that was passed as an ID.
func maskSecret(s string) string { return tokenPattern.ReplaceAllString(s, "dcv_…") }

func withoutSecret(t *client.TokenWithSecret) *client.Token {
	return &client.Token{Id: t.Id, Name: t.Name, TokenPrefix: t.TokenPrefix, Scopes: t.Scopes,
		DomainIds: t.DomainIds,
		ExpiresAt: t.ExpiresAt, LastUsedAt: t.LastUsedAt, RotatedAt: t.RotatedAt,
		PreviousValidUntil: t.PreviousValidUntil, Secrets: t.Secrets, CreatedAt: t.CreatedAt}
}

// rename maps fields of API requests to the attributes that they come from.
func (m *apiTokenModel) rename() map[string]string {
	ours := map[string]string{"overlap_seconds": "rotation_overlap"}
	if !m.ExpiresIn.IsNull() {
		ours["expires_at"] = "expires_in"
	}
	return ours
}

func (m *apiTokenModel) label() string { return cmp.Or(m.Name.ValueString(), m.ID.ValueString()) }
