package provider

import (
	"context"
	"encoding/json"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

var (
	_ ephemeral.EphemeralResourceWithConfigure = (*apiTokenEphemeral)(nil)
	_ ephemeral.EphemeralResourceWithClose     = (*apiTokenEphemeral)(nil)
)

// defaultLifetime is the default of expires_in. The token expires by then even if Terraform is
// killed and Close does not run.
const defaultLifetime = "1h"

// closeTimeout limits the revocation of a token, which continues when Terraform is stopped.
const closeTimeout = 30 * time.Second

// privateID is the key in private state under which Open stores the token's ID for Close.
const privateID = "id"

// apiTokenEphemeral is a token for the duration of a Terraform run. Open creates it and Close
// revokes it; Terraform may call them several times in a run.
type apiTokenEphemeral struct {
	*configured
}

type apiTokenEphemeralModel struct {
	Name        types.String      `tfsdk:"name"`
	Scopes      types.Set         `tfsdk:"scopes"`
	DomainIDs   types.Set         `tfsdk:"domain_ids"`
	ExpiresIn   types.String      `tfsdk:"expires_in"`
	ID          types.String      `tfsdk:"id"`
	ExpiresAt   timetypes.RFC3339 `tfsdk:"expires_at"`
	Token       types.String      `tfsdk:"token"`
	TokenPrefix types.String      `tfsdk:"token_prefix"`
}

func (e *apiTokenEphemeral) Metadata(
	_ context.Context, req ephemeral.MetadataRequest, resp *ephemeral.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_api_token"
}

func (e *apiTokenEphemeral) Schema(
	_ context.Context, _ ephemeral.SchemaRequest, resp *ephemeral.SchemaResponse,
) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "An API token for the duration of a Terraform run, for the configuration of another provider or for a provisioner. It is created when it is first needed and revoked when the run no longer needs it; " +
			"a plan and an apply each have their own. It is neither in the plan nor in the state. For a token that outlives the run, use the resource of the same name.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Name that identifies the token, for example in the audit log.",
				Validators:          tokenNameValidators(),
			},
			"scopes": schema.SetAttribute{
				ElementType:         types.StringType,
				Required:            true,
				MarkdownDescription: scopesDescription,
				Validators:          scopesValidators(),
			},
			"domain_ids": schema.SetAttribute{
				ElementType:         types.StringType,
				Optional:            true,
				MarkdownDescription: "IDs of the domains that the token is restricted to. Default: all domains.",
				Validators:          domainIDsValidators(),
			},
			"expires_in": schema.StringAttribute{
				Optional:            true,
				Computed:            true,
				MarkdownDescription: "Maximum lifetime if the token is not revoked earlier, such as `30m` or `2h`. Default: `" + defaultLifetime + "`. It is not extended: set more for a longer run.",
				Validators:          []validator.String{durationValidator{rules.CheckLifetime}},
			},
			"id": schema.StringAttribute{Computed: true,
				MarkdownDescription: "ID, `tok_…`."},
			"expires_at": schema.StringAttribute{CustomType: timetypes.RFC3339Type{},
				Computed: true, MarkdownDescription: "When the token expires."},
			"token": schema.StringAttribute{Computed: true, Sensitive: true,
				MarkdownDescription: "The secret."},
			"token_prefix": schema.StringAttribute{Computed: true,
				MarkdownDescription: "First characters of the secret, which identify it in the API."},
		},
	}
}

func (e *apiTokenEphemeral) Configure(
	_ context.Context, req ephemeral.ConfigureRequest, _ *ephemeral.ConfigureResponse,
) {
	e.configured, _ = req.ProviderData.(*configured)
}

func (e *apiTokenEphemeral) Open(
	ctx context.Context, req ephemeral.OpenRequest, resp *ephemeral.OpenResponse,
) {
	var m apiTokenEphemeralModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	if m.ExpiresIn.IsNull() {
		m.ExpiresIn = types.StringValue(defaultLifetime)
	}
	in, diags := (&apiTokenModel{Name: m.Name, Scopes: m.Scopes, DomainIDs: m.DomainIDs,
		ExpiresIn: m.ExpiresIn}).toCreateRequest(ctx, e.now())
	if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
		return
	}
	t, err := e.client.CreateToken(ctx, in)
	if err != nil {
		problem{doing: "create the API token " + in.Name, schema: req.Config.Schema,
			rename: map[string]string{"expires_at": "expires_in"}}.
			add(ctx, &resp.Diagnostics, err)
		return
	}
	m.fromAPI(t)
	id, err := json.Marshal(t.Id)
	if err != nil {
		resp.Diagnostics.AddError("Cannot store the ID of the API token "+in.Name,
			sentence(err.Error()))
	}
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, privateID, id)...)
	resp.Diagnostics.Append(resp.Result.Set(ctx, m)...)
	if resp.Diagnostics.HasError() { // Terraform does not call Close after a failed Open
		e.revoke(ctx, &resp.Diagnostics, t.Id)
	}
}

func (e *apiTokenEphemeral) Close(
	ctx context.Context, req ephemeral.CloseRequest, resp *ephemeral.CloseResponse,
) {
	raw, diags := req.Private.GetKey(ctx, privateID)
	if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
		return
	}
	var id string
	if err := json.Unmarshal(raw, &id); err != nil {
		resp.Diagnostics.AddError("Cannot revoke the API token",
			"Terraform did not return its ID. "+sentence(err.Error()))
		return
	}
	e.revoke(ctx, &resp.Diagnostics, id)
}

// revoke revokes the token, even when Terraform is being stopped. It ignores a token that no longer
// exists.
func (e *apiTokenEphemeral) revoke(ctx context.Context, diags *diag.Diagnostics, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := e.client.DeleteToken(ctx, id); err != nil && !client.IsNotFound(err) {
		problem{doing: "revoke the API token " + id}.add(ctx, diags, err)
	}
}

func (m *apiTokenEphemeralModel) fromAPI(t *client.TokenWithSecret) {
	m.ID = types.StringValue(t.Id)
	m.ExpiresAt = fromNullableTime(t.ExpiresAt)
	m.Token = types.StringValue(t.Token)
	m.TokenPrefix = types.StringValue(t.TokenPrefix)
}
