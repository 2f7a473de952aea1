package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// ModifyPlan plans the record before the domain exists, plans no change if only the spelling
// differs, and rejects the deletion of a protected domain. Terraform plans a replacement in two
// calls: first against the state, then as a creation.
func (r *domainResource) ModifyPlan(
	ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
) {
	var state, config, plan *domainModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	switch {
	case plan == nil:
		if state != nil && state.DeletionProtection.ValueBool() {
			state.addProtectionError(&resp.Diagnostics)
		}
		return
	case state == nil:
		plan.planKeyType(config)
		r.planDelegation(ctx, plan, &resp.Diagnostics)
	case state.ID.IsNull(): // moved from another provider's certificate, and not read since
		plan.ID = types.StringUnknown()
		resp.RequiresReplace = append(resp.RequiresReplace, path.Root("id"))
	case plan.Name.IsUnknown() || !sameName(plan.Name.ValueString(), state.Name.ValueString()):
		if state.DeletionProtection.ValueBool() {
			state.addProtectionError(&resp.Diagnostics)
		}
		return
	default:
		plan.planKeyType(config)
		plan.planUpdate(state)
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
}

// planDelegation reads the record of a domain that does not exist yet.
func (r *domainResource) planDelegation(
	ctx context.Context, plan *domainModel, diags *diag.Diagnostics,
) {
	plan.Delegation = types.ObjectUnknown(delegationTypes)
	if plan.Name.IsUnknown() || r.configured == nil {
		return
	}
	name, err := rules.CanonicalName(plan.Name.ValueString())
	if err != nil {
		return // the validator reports it
	}
	d, err := r.client.Delegation(ctx, name)
	if err != nil {
		problem{doing: "plan the domain " + name, at: path.Root("name")}.add(ctx, diags, err)
		return
	}
	plan.Delegation = delegationObject(d)
}

// planKeyType sets the key type that follows from the configuration.
func (m *domainModel) planKeyType(config *domainModel) {
	switch {
	case !config.KeyType.IsNull():
	case config.CSRPEM.IsNull():
		m.KeyType = types.StringValue(rules.DefaultKeyType)
	default:
		m.KeyType = types.StringUnknown()
		if !config.CSRPEM.IsUnknown() {
			if csr, err := rules.ParseCSR(config.CSRPEM.ValueString()); err == nil {
				m.KeyType = types.StringValue(rules.KeyTypeOf(csr.PublicKey))
			}
		}
	}
}

// planUpdate keeps the values that an update does not change. The values that the planned change
// can affect are unknown.
func (m *domainModel) planUpdate(state *domainModel) {
	m.ID, m.CreatedAt, m.Delegation = state.ID, state.CreatedAt, state.Delegation
	m.Name = state.Name
	if !m.CSRPEM.IsUnknown() && !m.CSRPEM.IsNull() && !state.CSRPEM.IsNull() &&
		rules.SameCSR(m.CSRPEM.ValueString(), state.CSRPEM.ValueString()) {
		m.CSRPEM = state.CSRPEM
	}
	m.setProgress(state)
	if m.changesCertificate(state) || m.startsIssuance(state) {
		m.setProgress(&domainModel{
			Status: types.StringUnknown(), StatusReason: types.StringUnknown(),
			CertificateID: types.StringUnknown(), ExpiresAt: timetypes.NewRFC3339Unknown(),
			RenewAt: timetypes.NewRFC3339Unknown(), LastIssuedAt: timetypes.NewRFC3339Unknown()})
	}
}

// changesCertificate reports whether the plan changes an option of the certificate.
func (m *domainModel) changesCertificate(state *domainModel) bool {
	return !m.Wildcard.Equal(state.Wildcard) || !m.KeyType.Equal(state.KeyType) ||
		!m.CSRPEM.Equal(state.CSRPEM) || !m.Profile.Equal(state.Profile) ||
		!m.PreferredChain.Equal(state.PreferredChain) || !m.CA.Equal(state.CA)
}

// startsIssuance reports whether the plan turns on auto_issue, which orders a certificate if the
// delegation was found before.
func (m *domainModel) startsIssuance(state *domainModel) bool {
	return !m.AutoIssue.Equal(state.AutoIssue) &&
		(m.AutoIssue.IsUnknown() || m.AutoIssue.ValueBool())
}

// setProgress copies the attributes that also change without an apply, as the service checks,
// issues, and renews.
func (m *domainModel) setProgress(from *domainModel) {
	m.Status, m.StatusReason, m.CertificateID = from.Status, from.StatusReason, from.CertificateID
	m.ExpiresAt, m.RenewAt, m.LastIssuedAt = from.ExpiresAt, from.RenewAt, from.LastIssuedAt
}

func (m *domainModel) addProtectionError(diags *diag.Diagnostics) {
	diags.AddAttributeError(path.Root("deletion_protection"), "The domain "+m.label()+
		" is protected from deletion",
		"Its deletion would stop its renewals. Set deletion_protection = false, apply, and then delete it.")
}
