package provider

import (
	"context"
	"regexp"
	"time"

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

var (
	tokenName = regexp.MustCompile(`^(\S(.*\S)?)?$`)
	scopeForm = regexp.MustCompile(`^[a-z_]+:[a-z_]+$`)
)

const scopesDescription = "What it may do: `domains:read`, `domains:write`, `certificates:read`, `certificates:key`, `certificates:revoke`, `jobs:read`, `jobs:write`, `tokens:read`, `tokens:write`, `audit:read`, `organization:read`, `organization:write`, " +
	"`members:read`, `members:write`, `webhooks:read`, `webhooks:write`. " +
	"Only scopes that the provider's own token has can be given."

// Schema has no plan modifiers: what rotates or replaces a token depends on several attributes and the clock, see ModifyPlan.
func (r *apiTokenResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "An API token. Its secret is known to Terraform's state only: protect the state, or use a token that lives shortly. " +
			"A token that nears its end gets a new secret by the next apply, in place: id and name stay, and the old secret works on for `rotation_overlap`, until the new one is wherever it is needed.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{Computed: true, MarkdownDescription: "Id, `tok_…`."},
			"name": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "What people know it by.",
				Validators:          tokenNameValidators(),
			},
			"scopes": schema.SetAttribute{
				ElementType:         types.StringType,
				Required:            true,
				MarkdownDescription: scopesDescription + " Others replace the token.",
				Validators:          scopesValidators(),
			},
			"domain_ids": schema.SetAttribute{
				ElementType:         types.StringType,
				Optional:            true,
				MarkdownDescription: "Ids of the only domains that it may touch. Without any it may touch all. Others replace the token.",
				Validators:          domainIDsValidators(),
			},
			"expires_at": schema.StringAttribute{
				CustomType:          timetypes.RFC3339Type{},
				Optional:            true,
				Computed:            true,
				MarkdownDescription: "When it stops working (RFC 3339). Without this and `expires_in` it never does. Another time rotates the secret.",
				Validators:          []validator.String{stringvalidator.ConflictsWith(path.MatchRoot("expires_in"))},
			},
			"expires_in": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "How long a secret works after it was made, such as `90d` or `12h`. Another duration rotates the secret.",
				Validators:          []validator.String{durationValidator{}},
			},
			"rotate_before_expiry": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "How long before its end it is ready for another secret, such as `30d`; shorter than `expires_in`.",
				Validators:          []validator.String{durationValidator{}, stringvalidator.AlsoRequires(path.MatchRoot("expires_in"))},
			},
			"rotate_when_changed": schema.MapAttribute{
				ElementType:         types.StringType,
				Optional:            true,
				MarkdownDescription: "Any values; when they change, the secret is rotated.",
			},
			"rotation_overlap": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "How long the old secret works on after a rotation, such as `2h`; at most `7d`, and `0s` to end it at once. Default: `24h`. A further rotation within that time ends it.",
				Validators:          []validator.String{durationValidator{zero: true, most: 7 * 24 * time.Hour}},
			},
			"token":                schema.StringAttribute{Computed: true, Sensitive: true, MarkdownDescription: "The secret. Null after an import: the API says it once only."},
			"token_prefix":         schema.StringAttribute{Computed: true, MarkdownDescription: "The first characters of the secret, by which the API lists it."},
			"ready_for_rotation":   schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether it has expired, or does within `rotate_before_expiry`. The next apply rotates its secret where `expires_in` is set, and replaces it where it has expired."},
			"rotated_at":           schema.StringAttribute{CustomType: timetypes.RFC3339Type{}, Computed: true, MarkdownDescription: "When its secret was last rotated; null for the first one."},
			"previous_valid_until": schema.StringAttribute{CustomType: timetypes.RFC3339Type{}, Computed: true, MarkdownDescription: "Until when the secret before the last rotation works; null where none does."},
			"created_at":           schema.StringAttribute{CustomType: timetypes.RFC3339Type{}, Computed: true, MarkdownDescription: "When it was created."},
		},
	}
}

func tokenNameValidators() []validator.String {
	return []validator.String{
		stringvalidator.UTF8LengthBetween(1, rules.MaxTokenNameLength),
		stringvalidator.RegexMatches(tokenName, "must not begin or end with white space"),
	}
}

func scopesValidators() []validator.Set {
	return []validator.Set{
		setvalidator.SizeBetween(1, 32),
		setvalidator.NoNullValues(),
		setvalidator.ValueStringsAre(stringvalidator.RegexMatches(scopeForm, "must be a scope such as domains:read")),
	}
}

func domainIDsValidators() []validator.Set {
	return []validator.Set{
		setvalidator.SizeAtMost(rules.MaxTokenDomains),
		setvalidator.NoNullValues(),
		setvalidator.ValueStringsAre(stringvalidator.RegexMatches(domainID, "must be the id of a domain, dom_ and 26 characters")),
	}
}

func (r *apiTokenResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{
		Attributes: map[string]identityschema.Attribute{
			"id": identityschema.StringAttribute{RequiredForImport: true, Description: "Id, tok_…."},
		},
	}
}

// ValidateConfig refuses a rotation that would begin with the token's creation.
func (r *apiTokenResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m apiTokenModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	in, before := durationOf(m.ExpiresIn), durationOf(m.RotateBeforeExpiry)
	if in > 0 && before >= in {
		resp.Diagnostics.AddAttributeError(path.Root("rotate_before_expiry"), "The token would be rotated by every apply",
			"rotate_before_expiry must be shorter than expires_in.")
	}
}
