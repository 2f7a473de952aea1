package provider

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// scopeForm matches the scopes of any version of the service.
var scopeForm = regexp.MustCompile(`^[a-z_]+:[a-z_]+$`)

const scopesDescription = "What the token may do: `domains:read`, `domains:write`, `certificates:read`, `certificates:key`, `certificates:revoke`, `jobs:read`, `jobs:write`, `tokens:read`, `tokens:write`, `audit:read`, `organization:read`, `organization:write`, " +
	"`members:read`, `members:write`, `webhooks:read`, `webhooks:write`, `dns-connections:read`, `dns-connections:write`, `acmedns:read`, `acmedns:write`. " +
	"It can have only scopes that the provider's own token has."

// Schema has no plan modifiers: rotation and replacement depend on several attributes and the
// clock, see ModifyPlan.
func (r *apiTokenResource) Schema(
	_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse,
) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "An API token. Only Terraform's state contains its secret: protect the state, or use a short-lived token. " +
			"If a token expires soon, the next apply rotates its secret in place: the ID and the name stay, and the previous secret remains valid for `rotation_overlap`, so that you can deploy the new one.",
		Attributes: map[string]schema.Attribute{
			"id":              schema.StringAttribute{Computed: true, MarkdownDescription: "ID, `tok_…`."},
			"organization_id": organizationAttribute(),
			"name": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Name that identifies the token.",
				Validators:          tokenNameValidators(),
			},
			"scopes": schema.SetAttribute{
				ElementType:         types.StringType,
				Required:            true,
				MarkdownDescription: scopesDescription + " A change replaces the token. The plan checks that the new one can be created.",
				Validators:          scopesValidators(),
			},
			"domain_ids": schema.SetAttribute{
				ElementType:         types.StringType,
				Optional:            true,
				MarkdownDescription: "IDs of the domains that the token is restricted to. Default: all domains. A change replaces the token.",
				Validators:          domainIDsValidators(),
			},
			"expires_at": schema.StringAttribute{
				CustomType:          timetypes.RFC3339Type{},
				Optional:            true,
				Computed:            true,
				MarkdownDescription: "When the token expires (RFC 3339). Without this and `expires_in`, it never expires. A change rotates the secret.",
				Validators: []validator.String{timeValidator,
					stringvalidator.ConflictsWith(path.MatchRoot("expires_in"))},
			},
			"expires_in": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Lifetime of a secret, such as `90d` or `12h`. A change rotates the secret.",
				Validators:          []validator.String{durationValidator{rules.CheckLifetime}},
			},
			"rotate_before_expiry": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "How long before its expiry the secret is rotated, such as `30d`. It must be shorter than `expires_in`.",
				Validators: []validator.String{durationValidator{positive},
					stringvalidator.AlsoRequires(path.MatchRoot("expires_in"))},
			},
			"rotate_when_changed": schema.MapAttribute{
				ElementType:         types.StringType,
				Optional:            true,
				MarkdownDescription: "Arbitrary values. A change rotates the secret.",
			},
			"rotation_overlap": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Grace period of the replaced secret after a rotation, such as `2h`; at most `7d`. Default: `24h`. Another rotation within that time does not end it, but a token has at most 5 valid secrets. `0s` revokes all previous secrets immediately.",
				Validators:          []validator.String{durationValidator{rules.CheckOverlap}},
			},
			"token": schema.StringAttribute{Computed: true, Sensitive: true,
				MarkdownDescription: "The secret. Null after an import, because the API returns it only once."},
			"token_prefix": schema.StringAttribute{Computed: true,
				MarkdownDescription: "First characters of the secret, which identify it in the API."},
			"secret_version": schema.Int64Attribute{Computed: true,
				MarkdownDescription: "Number that rises with each new secret: use it as the version of a write-only argument that stores `token`."},
			"ready_for_rotation": schema.BoolAttribute{Computed: true,
				MarkdownDescription: "Whether the token has expired or expires within `rotate_before_expiry`. If `expires_in` is set, the next apply rotates its secret, or replaces an expired token."},
			"rotated_at": schema.StringAttribute{CustomType: timetypes.RFC3339Type{},
				Computed:            true,
				MarkdownDescription: "When the secret was last rotated; null if never."},
			"previous_valid_until": schema.StringAttribute{CustomType: timetypes.RFC3339Type{},
				Computed:            true,
				MarkdownDescription: "When the last of the previous secrets expires; null without a valid one."},
			"created_at": schema.StringAttribute{CustomType: timetypes.RFC3339Type{},
				Computed: true, MarkdownDescription: "When the token was created."},
		},
	}
}

func tokenNameValidators() []validator.String {
	return []validator.String{
		tokenNameValidator,
	}
}

func scopesValidators() []validator.Set {
	return []validator.Set{
		setvalidator.SizeBetween(1, rules.MaxTokenScopes),
		setvalidator.NoNullValues(),
		setvalidator.ValueStringsAre(scopeValidator),
	}
}

func domainIDsValidators() []validator.Set {
	return []validator.Set{
		setvalidator.SizeAtMost(rules.MaxTokenDomains),
		setvalidator.NoNullValues(),
		setvalidator.ValueStringsAre(stringvalidator.RegexMatches(domainID,
			"must be the ID of a domain, dom_ and 26 characters")),
	}
}

func (r *apiTokenResource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse,
) {
	resp.IdentitySchema = identityschema.Schema{
		Attributes: map[string]identityschema.Attribute{
			"id": identityschema.StringAttribute{RequiredForImport: true,
				Description: "ID, tok_…."},
		},
	}
}

// ValidateConfig rejects a rotation that would start with the token's creation.
func (r *apiTokenResource) ValidateConfig(
	ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse,
) {
	var m apiTokenModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	in, before := durationOf(m.ExpiresIn), durationOf(m.RotateBeforeExpiry)
	if in > 0 && before >= in {
		resp.Diagnostics.AddAttributeError(path.Root("rotate_before_expiry"),
			"The token would be rotated by every apply",
			"rotate_before_expiry must be shorter than expires_in.")
	}
}
