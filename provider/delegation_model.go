package provider

import (
	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

type delegationModel struct {
	ID             types.String      `tfsdk:"id"`
	OrganizationID types.String      `tfsdk:"organization_id"`
	Name           types.String      `tfsdk:"name"`
	RecordName     types.String      `tfsdk:"record_name"`
	FQDN           types.String      `tfsdk:"fqdn"`
	Type           types.String      `tfsdk:"type"`
	Target         types.String      `tfsdk:"target"`
	Pinned         types.Bool        `tfsdk:"pinned"`
	ConnectionID   types.String      `tfsdk:"connection_id"`
	State          types.String      `tfsdk:"state"`
	Cause          types.Object      `tfsdk:"cause"`
	LastCheckedAt  timetypes.RFC3339 `tfsdk:"last_checked_at"`
	CreatedAt      timetypes.RFC3339 `tfsdk:"created_at"`
}

// causeTypes are the attributes of the cause of a broken delegation.
var causeTypes = map[string]attr.Type{
	"code":     types.StringType,
	"message":  types.StringType,
	"observed": types.StringType,
	"expected": types.StringType,
	"fix":      types.StringType,
}

func (m *delegationModel) toCreateRequest() client.DelegationCreate {
	return client.DelegationCreate{Name: m.Name.ValueString(),
		ConnectionId: orAbsent(m.ConnectionID)}
}

// fromAPI sets the attributes from the API's response. It keeps the spelling of the name.
func (m *delegationModel) fromAPI(d *client.Delegation) {
	m.ID = types.StringValue(d.Id)
	if !sameName(m.Name.ValueString(), d.Name) {
		m.Name = types.StringValue(d.Name)
	}
	m.setRecord(&d.Record)
	m.Pinned = types.BoolValue(d.Pinned)
	m.ConnectionID = fromNullable(d.ConnectionId)
	m.State = types.StringValue(string(d.State))
	m.Cause = causeObject(d.Cause)
	m.LastCheckedAt = fromNullableTime(d.LastCheckedAt)
	m.CreatedAt = fromTime(d.CreatedAt)
}

// setRecord sets the attributes of the record, which depend only on the organization and the name.
func (m *delegationModel) setRecord(r *client.DelegationRecord) {
	m.RecordName, m.FQDN = types.StringValue(r.Name), types.StringValue(r.Name+".")
	m.Type, m.Target = types.StringValue(string(r.Type)), types.StringValue(r.Target)
}

// planUpdate returns the plan for an existing delegation, which is pinned and has the connection.
// If it was not pinned, it is checked soon.
func (m *delegationModel) planUpdate(connection types.String) delegationModel {
	plan := *m
	plan.ConnectionID = connection
	if !m.Pinned.ValueBool() {
		plan.Pinned, plan.State = types.BoolValue(true), types.StringUnknown()
		plan.Cause = types.ObjectUnknown(causeTypes)
		plan.LastCheckedAt = timetypes.NewRFC3339Unknown()
	}
	return plan
}

func causeObject(n nullable.Nullable[client.DelegationCause]) types.Object {
	c, err := n.Get()
	if err != nil {
		return types.ObjectNull(causeTypes)
	}
	return types.ObjectValueMust(causeTypes, map[string]attr.Value{
		"code":     types.StringValue(c.Code),
		"message":  types.StringValue(c.Message),
		"observed": types.StringValue(c.Observed),
		"expected": types.StringValue(c.Expected),
		"fix":      types.StringValue(c.Fix),
	})
}
