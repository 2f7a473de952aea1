package provider

import (
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

type domainModel struct {
	ID                 types.String      `tfsdk:"id"`
	Name               types.String      `tfsdk:"name"`
	Wildcard           types.Bool        `tfsdk:"wildcard"`
	KeyType            types.String      `tfsdk:"key_type"`
	CSRPEM             types.String      `tfsdk:"csr_pem"`
	Profile            types.String      `tfsdk:"profile"`
	PreferredChain     types.String      `tfsdk:"preferred_chain"`
	CA                 types.String      `tfsdk:"ca"`
	AutoIssue          types.Bool        `tfsdk:"auto_issue"`
	AutoRenew          types.Bool        `tfsdk:"auto_renew"`
	Labels             types.Map         `tfsdk:"labels"`
	DeletionProtection types.Bool        `tfsdk:"deletion_protection"`
	Delegation         types.Object      `tfsdk:"delegation"`
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

// toCreateRequest says what was configured; the API decides the rest.
func (m *domainModel) toCreateRequest() client.DomainCreate {
	in := client.DomainCreate{
		Name:           m.Name.ValueString(),
		Wildcard:       m.Wildcard.ValueBoolPointer(),
		AutoIssue:      m.AutoIssue.ValueBoolPointer(),
		AutoRenew:      m.AutoRenew.ValueBoolPointer(),
		CsrPem:         orAbsent(m.CSRPEM),
		Profile:        orAbsent(m.Profile),
		PreferredChain: orAbsent(m.PreferredChain),
		Ca:             orAbsent(m.CA),
	}
	if m.CSRPEM.IsNull() && !m.KeyType.IsNull() && !m.KeyType.IsUnknown() {
		in.KeyType = new(client.KeyType(m.KeyType.ValueString()))
	}
	if labels := m.labels(); len(labels) > 0 {
		in.Labels = &labels
	}
	return in
}

// toUpdateRequest says what differs from the state, and whether anything does.
func (m *domainModel) toUpdateRequest(state *domainModel) (in client.DomainUpdate, changed bool) {
	if !m.Wildcard.Equal(state.Wildcard) {
		in.Wildcard, changed = m.Wildcard.ValueBoolPointer(), true
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
	} {
		if !f.planned.Equal(f.known) {
			*f.field, changed = orNull(f.planned), true
		}
	}
	// Without a CSR the type of the key must be said again: it was the last CSR's.
	if m.CSRPEM.IsNull() && (!m.KeyType.Equal(state.KeyType) || !state.CSRPEM.IsNull()) {
		in.KeyType, changed = new(client.KeyType(m.KeyType.ValueString())), true
	}
	if !sameLabels(m.Labels, state.Labels) {
		labels := m.labels()
		in.Labels, changed = &labels, true
	}
	return in, changed
}

// fromAPI takes over what the API says. What it does not know, and the spelling of what it says in another form, stays
// as m has it.
func (m *domainModel) fromAPI(d *client.Domain) {
	m.ID = types.StringValue(d.Id)
	if !sameName(m.Name.ValueString(), d.Name) {
		m.Name = types.StringValue(d.Name)
	}
	m.Wildcard = types.BoolValue(d.Wildcard)
	m.KeyType = types.StringValue(string(d.KeyType))
	if csr := fromNullable(d.CsrPem); m.CSRPEM.IsNull() || csr.IsNull() || !sameCSR(m.CSRPEM.ValueString(), csr.ValueString()) {
		m.CSRPEM = csr
	}
	m.Profile = fromNullable(d.Profile)
	m.PreferredChain = fromNullable(d.PreferredChain)
	m.CA = fromNullable(d.Ca)
	m.AutoIssue = types.BoolValue(d.AutoIssue)
	m.AutoRenew = types.BoolValue(d.AutoRenew)
	m.Labels = labelsFromAPI(d.Labels, m.Labels)
	if m.DeletionProtection.IsNull() || m.DeletionProtection.IsUnknown() {
		m.DeletionProtection = types.BoolValue(false)
	}
	m.Delegation = delegationObject(&d.Delegation)
	m.Status = types.StringValue(string(d.Status))
	m.StatusReason = types.StringValue(d.StatusReason)
	m.CertificateID = fromNullable(d.CertificateId)
	m.ExpiresAt = fromNullableTime(d.ExpiresAt)
	m.RenewAt = fromNullableTime(d.RenewAt)
	m.LastIssuedAt = fromNullableTime(d.LastIssuedAt)
	m.CreatedAt = fromTime(d.CreatedAt)
}

// labels returns the labels as the API takes them: none is an empty map.
func (m *domainModel) labels() client.Labels {
	labels := client.Labels{}
	for k, v := range m.Labels.Elements() {
		labels[k] = v.(types.String).ValueString()
	}
	return labels
}

// labelsFromAPI keeps the difference of null and empty, which only Terraform knows.
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

func delegationObject(d *client.Delegation) types.Object {
	return types.ObjectValueMust(delegationTypes, map[string]attr.Value{
		"name":   types.StringValue(d.Name),
		"fqdn":   types.StringValue(d.Name + "."),
		"type":   types.StringValue(string(d.Type)),
		"target": types.StringValue(d.Target),
	})
}

// orAbsent leaves a field out where there is no value.
func orAbsent(s types.String) nullable.Nullable[string] {
	if s.IsNull() || s.IsUnknown() {
		return nil
	}
	return nullable.NewNullableWithValue(s.ValueString())
}

// orNull says null where there is no value.
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

func fromTime(t time.Time) timetypes.RFC3339 {
	return timetypes.NewRFC3339TimeValue(t.UTC().Truncate(time.Second))
}

func fromNullableTime(n nullable.Nullable[time.Time]) timetypes.RFC3339 {
	if v, err := n.Get(); err == nil {
		return fromTime(v)
	}
	return timetypes.NewRFC3339Null()
}
