package provider

import (
	"cmp"
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

type acmednsAccountModel struct {
	ID                types.String      `tfsdk:"id"`
	OrganizationID    types.String      `tfsdk:"organization_id"`
	Description       types.String      `tfsdk:"description"`
	AllowFrom         types.Set         `tfsdk:"allow_from"`
	DelegationID      types.String      `tfsdk:"delegation_id"`
	RotateWhenChanged types.Map         `tfsdk:"rotate_when_changed"`
	Username          types.String      `tfsdk:"username"`
	Password          types.String      `tfsdk:"password"`
	PasswordVersion   types.Int64       `tfsdk:"password_version"`
	Subdomain         types.String      `tfsdk:"subdomain"`
	Fulldomain        types.String      `tfsdk:"fulldomain"`
	ServerURL         types.String      `tfsdk:"server_url"`
	CreatedAt         timetypes.RFC3339 `tfsdk:"created_at"`
}

func (m *acmednsAccountModel) toCreateRequest(
	ctx context.Context,
) (client.ACMEDNSAccountCreate, diag.Diagnostics) {
	in := client.ACMEDNSAccountCreate{Description: m.Description.ValueStringPointer(),
		DelegationId: m.DelegationID.ValueStringPointer()}
	return in, m.AllowFrom.ElementsAs(ctx, &in.AllowFrom, false)
}

// toUpdateRequest returns the values that change, and whether any do.
func (m *acmednsAccountModel) toUpdateRequest(
	ctx context.Context, state *acmednsAccountModel,
) (in client.ACMEDNSAccountUpdate, changed bool, diags diag.Diagnostics) {
	if !m.Description.Equal(state.Description) {
		in.Description, changed = m.Description.ValueStringPointer(), true
	}
	if !m.DelegationID.Equal(state.DelegationID) {
		in.DelegationId, changed = nullable.NewNullNullable[string](), true
		if !m.DelegationID.IsNull() {
			in.DelegationId.Set(m.DelegationID.ValueString())
		}
	}
	if !m.AllowFrom.Equal(state.AllowFrom) {
		changed, diags = true, m.AllowFrom.ElementsAs(ctx, &in.AllowFrom, false)
	}
	return in, changed, diags
}

// fromAPI sets the attributes from the API's response, which does not contain the password.
func (m *acmednsAccountModel) fromAPI(a *client.ACMEDNSAccount) {
	m.ID = types.StringValue(a.Id)
	m.Description = types.StringValue(a.Description)
	m.AllowFrom = keepNetworks(m.AllowFrom, a.AllowFrom)
	m.DelegationID = fromNullable(a.DelegationId)
	m.Username = types.StringValue(a.Username)
	m.PasswordVersion = types.Int64Value(passwordVersion(a))
	m.Subdomain = types.StringValue(a.Subdomain)
	m.Fulldomain = types.StringValue(a.Fulldomain)
	m.ServerURL = types.StringValue(a.ServerUrl)
	m.CreatedAt = fromTime(a.CreatedAt)
}

// passwordVersion returns when the current password was created, in microseconds, so that no two
// passwords of an account share a number.
func passwordVersion(a *client.ACMEDNSAccount) int64 {
	created := a.CreatedAt
	if at, err := a.RotatedAt.Get(); err == nil {
		created = at
	}
	return created.UnixMicro()
}

// keepNetworks returns the networks of the API. If the prior ones differ only in the brackets
// around IPv6 addresses, which the API removes, it returns those.
func keepNetworks(prior types.Set, networks []string) types.Set {
	present := make([]attr.Value, len(networks))
	for i, n := range networks {
		present[i] = types.StringValue(n)
	}
	set := types.SetValueMust(types.StringType, present)
	var stored []attr.Value
	for _, e := range prior.Elements() {
		text, ok := e.(types.String)
		if !ok {
			return set
		}
		n, err := rules.ParseNetwork(text.ValueString())
		if err != nil {
			return set
		}
		stored = append(stored, types.StringValue(n))
	}
	if s, diags := types.SetValue(types.StringType, stored); !diags.HasError() && s.Equal(set) {
		return prior
	}
	return set
}

// planUpdate keeps the values that an update does not change.
func (m *acmednsAccountModel) planUpdate(state *acmednsAccountModel) {
	m.OrganizationID = state.OrganizationID
	if m.DelegationID.Equal(state.DelegationID) {
		m.Fulldomain = state.Fulldomain
	}
	if m.RotateWhenChanged.Equal(state.RotateWhenChanged) {
		m.Password, m.PasswordVersion = state.Password, state.PasswordVersion
	}
}

func withoutPassword(a *client.ACMEDNSAccountWithPassword) *client.ACMEDNSAccount {
	return &client.ACMEDNSAccount{Id: a.Id, Username: a.Username, Subdomain: a.Subdomain,
		Fulldomain: a.Fulldomain, ServerUrl: a.ServerUrl, Description: a.Description,
		AllowFrom: a.AllowFrom, DelegationId: a.DelegationId, RotatedAt: a.RotatedAt,
		CreatedAt: a.CreatedAt}
}

func (m *acmednsAccountModel) label() string {
	return cmp.Or(m.Description.ValueString(), m.ID.ValueString())
}
