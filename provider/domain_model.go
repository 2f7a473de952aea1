package provider

import (
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

type domainModel struct {
	ID                 types.String      `tfsdk:"id"`
	OrganizationID     types.String      `tfsdk:"organization_id"`
	Name               types.String      `tfsdk:"name"`
	Wildcard           types.Bool        `tfsdk:"wildcard"`
	AdditionalNames    types.Set         `tfsdk:"additional_names"`
	IssuePartial       types.Bool        `tfsdk:"issue_partial"`
	KeyType            types.String      `tfsdk:"key_type"`
	CSRPEM             types.String      `tfsdk:"csr_pem"`
	Profile            types.String      `tfsdk:"profile"`
	PreferredChain     types.String      `tfsdk:"preferred_chain"`
	CA                 types.String      `tfsdk:"ca"`
	AutoIssue          types.Bool        `tfsdk:"auto_issue"`
	AutoRenew          types.Bool        `tfsdk:"auto_renew"`
	Labels             types.Map         `tfsdk:"labels"`
	ConnectionID       types.String      `tfsdk:"connection_id"`
	DeletionProtection types.Bool        `tfsdk:"deletion_protection"`
	Delegation         types.Object      `tfsdk:"delegation"`
	Delegations        types.Map         `tfsdk:"delegations"`
	OptionsRevision    types.Int64       `tfsdk:"options_revision"`
	Status             types.String      `tfsdk:"status"`
	StatusReason       types.String      `tfsdk:"status_reason"`
	CertificateID      types.String      `tfsdk:"certificate_id"`
	ExpiresAt          timetypes.RFC3339 `tfsdk:"expires_at"`
	RenewAt            timetypes.RFC3339 `tfsdk:"renew_at"`
	LastIssuedAt       timetypes.RFC3339 `tfsdk:"last_issued_at"`
	CreatedAt          timetypes.RFC3339 `tfsdk:"created_at"`
}

type idIdentity struct {
	ID types.String `tfsdk:"id"`
}

// toCreateRequest returns the configured values. The API sets the defaults.
func (m *domainModel) toCreateRequest() client.DomainCreate {
	in := client.DomainCreate{
		Name:           m.Name.ValueString(),
		Wildcard:       m.Wildcard.ValueBoolPointer(),
		IssuePartial:   m.IssuePartial.ValueBoolPointer(),
		AutoIssue:      m.AutoIssue.ValueBoolPointer(),
		AutoRenew:      m.AutoRenew.ValueBoolPointer(),
		CsrPem:         orAbsent(m.CSRPEM),
		Profile:        orAbsent(m.Profile),
		PreferredChain: orAbsent(m.PreferredChain),
		Ca:             orAbsent(m.CA),
		ConnectionId:   orAbsent(m.ConnectionID),
	}
	if !m.KeyType.IsNull() && !m.KeyType.IsUnknown() {
		in.KeyType = new(client.KeyType(m.KeyType.ValueString()))
	}
	if names := m.additionalNames(); len(names) > 0 {
		in.AdditionalNames = &names
	}
	if labels := m.labels(); len(labels) > 0 {
		in.Labels = &labels
	}
	return in
}

// toUpdateRequest returns the values that differ from the state, and whether any do.
func (m *domainModel) toUpdateRequest(state *domainModel) (in client.DomainUpdate, changed bool) {
	if !m.Wildcard.Equal(state.Wildcard) {
		in.Wildcard, changed = m.Wildcard.ValueBoolPointer(), true
	}
	if !sameNames(m.AdditionalNames, state.AdditionalNames) {
		in.AdditionalNames, changed = new(m.additionalNames()), true
	}
	if !m.IssuePartial.Equal(state.IssuePartial) {
		in.IssuePartial, changed = m.IssuePartial.ValueBoolPointer(), true
	}
	if !m.AutoIssue.Equal(state.AutoIssue) {
		in.AutoIssue, changed = m.AutoIssue.ValueBoolPointer(), true
	}
	if !m.AutoRenew.Equal(state.AutoRenew) {
		in.AutoRenew, changed = m.AutoRenew.ValueBoolPointer(), true
	}
	for _, f := range []struct {
		planned, known types.String
		field          *nullable.Nullable[string]
	}{
		{m.CSRPEM, state.CSRPEM, &in.CsrPem},
		{m.Profile, state.Profile, &in.Profile},
		{m.PreferredChain, state.PreferredChain, &in.PreferredChain},
		{m.CA, state.CA, &in.Ca},
		{m.ConnectionID, state.ConnectionID, &in.ConnectionId},
	} {
		if !f.planned.Equal(f.known) {
			*f.field, changed = orNull(f.planned), true
		}
	}
	// With a CSR that is known only now, the API has to compare its key type with the planned one.
	// When a CSR is removed, the API still has its key type.
	if !m.CSRPEM.Equal(state.CSRPEM) || !m.KeyType.Equal(state.KeyType) {
		changed = true
		if !m.KeyType.IsUnknown() {
			in.KeyType = new(client.KeyType(m.KeyType.ValueString()))
		}
	}
	if !sameLabels(m.Labels, state.Labels) {
		labels := m.labels()
		in.Labels, changed = &labels, true
	}
	return in, changed
}

// fromAPI sets the attributes from the API's response. It keeps values that the API does not have,
// and the spelling of values that the API returns in canonical form.
func (m *domainModel) fromAPI(d *client.Domain) {
	m.ID = types.StringValue(d.Id)
	if !sameName(m.Name.ValueString(), d.Name) {
		m.Name = types.StringValue(d.Name)
	}
	m.Wildcard = types.BoolValue(d.Wildcard)
	m.AdditionalNames = namesFromAPI(d.AdditionalNames, m.AdditionalNames)
	m.IssuePartial = types.BoolValue(d.IssuePartial)
	m.KeyType = types.StringValue(string(d.KeyType))
	if csr := fromNullable(d.CsrPem); m.CSRPEM.IsNull() || csr.IsNull() ||
		!rules.SameCSR(m.CSRPEM.ValueString(), csr.ValueString()) {
		m.CSRPEM = csr
	}
	m.Profile = fromNullable(d.Profile)
	m.PreferredChain = fromNullable(d.PreferredChain)
	m.CA = fromNullable(d.Ca)
	m.AutoIssue = types.BoolValue(d.AutoIssue)
	m.AutoRenew = types.BoolValue(d.AutoRenew)
	m.Labels = labelsFromAPI(d.Labels, m.Labels)
	m.ConnectionID = fromNullable(d.ConnectionId)
	if m.DeletionProtection.IsNull() || m.DeletionProtection.IsUnknown() {
		m.DeletionProtection = types.BoolValue(false)
	}
	m.Delegation = delegationObject(&d.Delegation)
	m.Delegations = delegationsFromAPI(d)
	m.OptionsRevision = types.Int64Value(d.OptionsRevision)
	m.Status = types.StringValue(string(d.Status))
	m.StatusReason = types.StringValue(d.StatusReason)
	m.CertificateID = fromNullable(d.CertificateId)
	m.ExpiresAt = fromNullableTime(d.ExpiresAt)
	m.RenewAt = fromNullableTime(d.RenewAt)
	m.LastIssuedAt = fromNullableTime(d.LastIssuedAt)
	m.CreatedAt = fromTime(d.CreatedAt)
}

// labels returns the labels for the API, an empty map for null.
func (m *domainModel) labels() client.Labels {
	labels := client.Labels{}
	for k, v := range m.Labels.Elements() {
		labels[k] = v.(types.String).ValueString()
	}
	return labels
}

// labelsFromAPI returns the labels. It preserves the difference between null and empty, which the
// API does not have.
func labelsFromAPI(labels client.Labels, prior types.Map) types.Map {
	if len(labels) == 0 {
		if prior.IsNull() || prior.IsUnknown() {
			return types.MapNull(types.StringType)
		}
	}
	elements := make(map[string]attr.Value, len(labels))
	for k, v := range labels {
		elements[k] = types.StringValue(v)
	}
	return types.MapValueMust(types.StringType, elements)
}

func sameLabels(a, b types.Map) bool {
	if a.IsUnknown() || b.IsUnknown() {
		return false
	}
	return a.Equal(b) || (len(a.Elements()) == 0 && len(b.Elements()) == 0)
}

func delegationObject(d *client.DelegationRecord) types.Object {
	return types.ObjectValueMust(delegationTypes, map[string]attr.Value{
		"name":   types.StringValue(d.Name),
		"fqdn":   types.StringValue(d.Name + "."),
		"type":   types.StringValue(string(d.Type)),
		"target": types.StringValue(d.Target),
	})
}

// orAbsent omits the field if s has no value.
func orAbsent(s types.String) nullable.Nullable[string] {
	if s.IsNull() || s.IsUnknown() {
		return nil
	}
	return nullable.NewNullableWithValue(s.ValueString())
}

// orNull returns null if s has no value.
func orNull(s types.String) nullable.Nullable[string] {
	if s.IsNull() {
		return nullable.NewNullNullable[string]()
	}
	return nullable.NewNullableWithValue(s.ValueString())
}

func fromNullable[T ~string](n nullable.Nullable[T]) types.String {
	if v, err := n.Get(); err == nil {
		return types.StringValue(string(v))
	}
	return types.StringNull()
}

func fromNullableInt(n nullable.Nullable[int64]) types.Int64 {
	if v, err := n.Get(); err == nil {
		return types.Int64Value(v)
	}
	return types.Int64Null()
}

func fromTime(t time.Time) timetypes.RFC3339 {
	return timetypes.NewRFC3339TimeValue(t.UTC().Truncate(time.Second))
}

func fromNullableTime(n nullable.Nullable[time.Time]) timetypes.RFC3339 {
	if v, err := n.Get(); err == nil {
		return fromTime(v)
	}
	return timetypes.NewRFC3339Null()
}
