package provider

import (
	"cmp"
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

type memberModel struct {
	ID             types.String      `tfsdk:"id"`
	OrganizationID types.String      `tfsdk:"organization_id"`
	Login          types.String      `tfsdk:"login"`
	Role           types.String      `tfsdk:"role"`
	Name           types.String      `tfsdk:"name"`
	State          types.String      `tfsdk:"state"`
	Joined         types.Bool        `tfsdk:"joined"`
	CreatedAt      timetypes.RFC3339 `tfsdk:"created_at"`
}

func (r *memberResource) Schema(
	_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse,
) {
	kept := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	resp.Schema = schema.Schema{
		MarkdownDescription: "A member of the organization, by their login at GitHub. Creating it invites the person; they become a member when they sign in and accept " +
			"(`state`). The service sends them nothing: tell them about the invitation. A person who declined is not invited again automatically. The membership belongs to the account, " +
			"even if its login changes. Destroying it removes the member, revokes the API tokens that they created, or deletes the invitation.\n\n" +
			"The token needs the scope `members:write`. It manages the role `admin` only with a token that has every scope of an admin, no `domain_ids`, and no expiry. " +
			"No token can add, change, or remove an owner: an owner does that in the dashboard.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{Computed: true,
				MarkdownDescription: "ID of the user, `usr_…`.", PlanModifiers: kept},
			"organization_id": organizationAttribute(),
			"login": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "GitHub login, in any case. A change replaces the member; the plan checks that the new one can be invited.",
				Validators:          []validator.String{loginValidator},
			},
			"role": schema.StringAttribute{
				Required: true,
				MarkdownDescription: "`member` can view; `admin` can also change domains, tokens, and webhooks; `owner` can also manage members and the organization, " +
					"and can only be imported. A change updates the member in place, and revokes the API tokens that they created and that exceed the new role.",
				Validators: []validator.String{stringvalidator.OneOf(string(client.RoleOwner),
					string(client.RoleAdmin), string(client.RoleMember))},
			},
			"name": schema.StringAttribute{Computed: true,
				MarkdownDescription: "Name at GitHub; may be empty."},
			"state": schema.StringAttribute{Computed: true,
				MarkdownDescription: "`pending` until the person accepts, then `active`; `declined` or `expired` if they did not accept. " +
					"To invite again after that, ask the person, and replace the resource."},
			"joined": schema.BoolAttribute{Computed: true,
				MarkdownDescription: "Whether they have ever signed in."},
			"created_at": schema.StringAttribute{CustomType: timetypes.RFC3339Type{},
				Computed:            true,
				MarkdownDescription: "When they became a member; until then, when they were invited."},
		},
	}
}

func (r *memberResource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse,
) {
	resp.IdentitySchema = identityschema.Schema{
		Attributes: map[string]identityschema.Attribute{
			"id": identityschema.StringAttribute{RequiredForImport: true,
				Description: "ID of the user, usr_…; for an import also their GitHub login."},
		},
	}
}

func (m *memberModel) toCreateRequest() client.MemberAdd {
	return client.MemberAdd{Login: m.Login.ValueString(), Role: client.Role(m.Role.ValueString())}
}

// fromAPI sets the attributes from the API's response. It keeps the spelling of an equal login.
func (m *memberModel) fromAPI(a *client.Member) {
	m.ID = types.StringValue(a.Id)
	if !strings.EqualFold(m.Login.ValueString(), a.Login) || m.Login.IsNull() {
		m.Login = types.StringValue(a.Login)
	}
	m.Role = types.StringValue(string(a.Role))
	m.Name = types.StringValue(a.Name)
	m.State = types.StringValue(string(a.State))
	m.Joined = types.BoolValue(a.Joined)
	m.CreatedAt = fromTime(a.CreatedAt)
}

// keep copies the attributes that no change of the configuration affects.
func (m *memberModel) keep(from *memberModel) {
	m.OrganizationID = from.OrganizationID
	m.Name, m.State, m.Joined, m.CreatedAt = from.Name, from.State, from.Joined, from.CreatedAt
}

func (m *memberModel) label() string { return cmp.Or(m.Login.ValueString(), m.ID.ValueString()) }
