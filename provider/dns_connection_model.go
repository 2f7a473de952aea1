package provider

import (
	"cmp"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

type dnsConnectionModel struct {
	ID                   types.String      `tfsdk:"id"`
	OrganizationID       types.String      `tfsdk:"organization_id"`
	Type                 types.String      `tfsdk:"type"`
	Name                 types.String      `tfsdk:"name"`
	CredentialsWO        types.Object      `tfsdk:"credentials_wo"` // null except in the configuration
	CredentialsWOVersion types.Int64       `tfsdk:"credentials_wo_version"`
	Zones                types.Set         `tfsdk:"zones"`
	Status               types.String      `tfsdk:"status"`
	StatusDetail         types.String      `tfsdk:"status_detail"`
	CreatedAt            timetypes.RFC3339 `tfsdk:"created_at"`
	Timeouts             timeouts.Value    `tfsdk:"timeouts"`
}

// dnsCredentials are the credentials in the configuration.
type dnsCredentials struct {
	Server       types.String `tfsdk:"server"`
	KeyName      types.String `tfsdk:"key_name"`
	KeyAlgorithm types.String `tfsdk:"key_algorithm"`
	KeySecret    types.String `tfsdk:"key_secret"`
	Zones        types.List   `tfsdk:"zones"`
}

// toAPI returns the credentials, nil for nil.
func (c *dnsCredentials) toAPI() *client.DNSCredentials {
	if c == nil {
		return nil
	}
	in := client.DNSCredentials{Server: c.Server.ValueString(), KeyName: c.KeyName.ValueString(),
		KeySecret: c.KeySecret.ValueString(), Zones: []string{}}
	if !c.KeyAlgorithm.IsNull() {
		in.KeyAlgorithm = new(client.DNSCredentialsKeyAlgorithm(c.KeyAlgorithm.ValueString()))
	}
	for _, zone := range c.Zones.Elements() {
		in.Zones = append(in.Zones, zone.(types.String).ValueString())
	}
	return &in
}

func (m *dnsConnectionModel) toCreateRequest(c *dnsCredentials) client.DNSConnectionCreate {
	return client.DNSConnectionCreate{Type: client.DNSConnectionType(m.Type.ValueString()),
		Name: m.Name.ValueString(), Credentials: *c.toAPI()}
}

// toUpdateRequest returns the values that change, and whether any do. It includes the credentials
// if their version changes.
func (m *dnsConnectionModel) toUpdateRequest(
	state *dnsConnectionModel, c *dnsCredentials,
) (in client.DNSConnectionUpdate, changed bool) {
	if !m.Name.Equal(state.Name) {
		in.Name, changed = m.Name.ValueStringPointer(), true
	}
	if !m.CredentialsWOVersion.Equal(state.CredentialsWOVersion) && c != nil {
		in.Credentials, changed = c.toAPI(), true
	}
	return in, changed
}

// fromAPI sets the attributes from the API's response, which contains neither the credentials nor
// their version.
func (m *dnsConnectionModel) fromAPI(c *client.DNSConnection) {
	m.ID = types.StringValue(c.Id)
	m.Type = types.StringValue(string(c.Type))
	if strings.TrimSpace(m.Name.ValueString()) != c.Name {
		m.Name = types.StringValue(c.Name)
	}
	m.Status = types.StringValue(string(c.Status))
	m.StatusDetail = fromNullable(c.StatusDetail)
	m.CreatedAt = fromTime(c.CreatedAt)
}

// setZones sets the zones, nil for unknown ones: then the previous ones stay.
func (m *dnsConnectionModel) setZones(zones *client.DNSZoneList) {
	if zones == nil {
		if m.Zones.IsUnknown() {
			m.Zones = types.SetNull(types.StringType)
		}
		return
	}
	names := make([]attr.Value, len(zones.Data))
	for i, zone := range zones.Data {
		names[i] = types.StringValue(zone.Name)
	}
	m.Zones = types.SetValueMust(types.StringType, names)
}

// planUpdate keeps the values that an update does not change.
func (m *dnsConnectionModel) planUpdate(state *dnsConnectionModel) {
	m.OrganizationID = state.OrganizationID
	if m.CredentialsWOVersion.Equal(state.CredentialsWOVersion) {
		m.Zones, m.Status, m.StatusDetail = state.Zones, state.Status, state.StatusDetail
	}
}

// keepKnown restores the planned values that the service has changed since the plan. The next
// refresh shows them.
func (m *dnsConnectionModel) keepKnown(planned *dnsConnectionModel) {
	if !planned.Status.IsUnknown() {
		m.Status = planned.Status
	}
	if !planned.StatusDetail.IsUnknown() {
		m.StatusDetail = planned.StatusDetail
	}
	if !planned.Zones.IsUnknown() {
		m.Zones = planned.Zones
	}
}

// label returns the name, or the ID if the name is not known yet, as after an import.
func (m *dnsConnectionModel) label() string {
	return cmp.Or(m.Name.ValueString(), m.ID.ValueString())
}
