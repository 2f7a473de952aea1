package provider

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
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
	if state != nil && plan != nil {
		planReplacement(ctx, resp.Private, state.ID, &resp.Diagnostics)
	}
	switch {
	case plan == nil:
		if state != nil && state.DeletionProtection.ValueBool() {
			state.addProtectionError(&resp.Diagnostics)
		}
		return
	case state == nil:
		plan.planKeyType(config)
		plan.OrganizationID = r.organization(ctx)
		r.planDelegations(ctx, plan, types.MapNull(delegationType), req.Plan.Schema,
			&resp.Diagnostics)
		r.tryReplacement(ctx, req, plan, &resp.Diagnostics)
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
		if plan.Delegations.IsUnknown() {
			r.planDelegations(ctx, plan, state.Delegations, req.Plan.Schema, &resp.Diagnostics)
		}
		plan.warnOfOrder(state, &resp.Diagnostics)
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
}

// tryReplacement checks the domain that replaces another one. If options are unknown, it checks
// only the name, because the validity of options depends on the others.
func (r *domainResource) tryReplacement(
	ctx context.Context, req resource.ModifyPlanRequest, plan *domainModel,
	diags *diag.Diagnostics,
) {
	replaces := replacedID(ctx, req.Private, diags)
	if replaces == "" || plan.Name.IsUnknown() || r.configured == nil {
		return
	}
	in := plan.toCreateRequest()
	if len(unknownAttributes(req.Config)) > 0 {
		in = client.DomainCreate{Name: in.Name}
	}
	trial{replaces: replaces,
		problem: problem{doing: "create the domain " + in.Name, kind: "dcvaas_domain",
			schema: req.Plan.Schema, sets: plan.sets(), at: path.Root("name")},
		run: func(ctx context.Context, replacing string) error {
			return r.client.TryCreateDomain(ctx, in, replacing)
		}}.add(ctx, diags)
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
	m.ID, m.OrganizationID, m.Name = state.ID, state.OrganizationID, state.Name
	m.CreatedAt, m.Delegation = state.CreatedAt, state.Delegation
	m.Delegations = types.MapUnknown(delegationType)
	if sameNames(m.AdditionalNames, state.AdditionalNames) {
		if !m.AdditionalNames.IsNull() && !state.AdditionalNames.IsNull() {
			m.AdditionalNames = state.AdditionalNames
		}
		if !state.Delegations.IsNull() { // an earlier version of the provider had none
			m.Delegations = state.Delegations
		}
	}
	if !m.CSRPEM.IsUnknown() && !m.CSRPEM.IsNull() && !state.CSRPEM.IsNull() &&
		rules.SameCSR(m.CSRPEM.ValueString(), state.CSRPEM.ValueString()) {
		m.CSRPEM = state.CSRPEM
	}
	m.OptionsRevision = state.OptionsRevision
	if m.changesCertificate(state) {
		m.OptionsRevision = types.Int64Unknown()
	}
	m.setProgress(state)
	if m.changesCertificate(state) || m.startsIssuance(state) || m.changesWait(state) {
		m.setProgress(&domainModel{
			Status: types.StringUnknown(), StatusReason: types.StringUnknown(),
			CertificateID: types.StringUnknown(), ExpiresAt: timetypes.NewRFC3339Unknown(),
			RenewAt: timetypes.NewRFC3339Unknown(), LastIssuedAt: timetypes.NewRFC3339Unknown()})
	}
}

// changesCertificate reports whether the plan changes an option of the certificate.
func (m *domainModel) changesCertificate(state *domainModel) bool {
	return len(m.changedOptions(state)) > 0
}

// changedOptions returns the options of the certificate that the plan changes. The key type that
// follows from a CSR is not one of them.
func (m *domainModel) changedOptions(state *domainModel) (changed []string) {
	for _, o := range []struct {
		name string
		same bool
	}{
		{"wildcard", m.Wildcard.Equal(state.Wildcard)},
		{"additional_names", sameNames(m.AdditionalNames, state.AdditionalNames)},
		{"csr_pem", m.CSRPEM.Equal(state.CSRPEM)},
		{"key_type", m.KeyType.Equal(state.KeyType) || !m.CSRPEM.IsNull()},
		{"profile", m.Profile.Equal(state.Profile)},
		{"preferred_chain", m.PreferredChain.Equal(state.PreferredChain)},
		{"ca", m.CA.Equal(state.CA)},
	} {
		if !o.same {
			changed = append(changed, o.name)
		}
	}
	return changed
}

// warnOfOrder warns that the planned changes replace the domain's certificate, or do not.
func (m *domainModel) warnOfOrder(state *domainModel, diags *diag.Diagnostics) {
	changed := m.changedOptions(state)
	if len(changed) == 0 || state.CertificateID.IsNull() {
		return
	}
	title := "A new certificate will be ordered"
	text := "The change of " + strings.Join(changed, ", ") + " applies to a new certificate of " +
		m.label() + ", which the service orders within seconds. The current certificate stays in " +
		"use until then. To wait for it, set options_revision of dcvaas_domain_validation."
	if !m.AutoIssue.IsUnknown() && !m.AutoIssue.ValueBool() {
		title = "No new certificate will be ordered"
		text = "The change of " + strings.Join(changed, ", ") + " does not apply to the current " +
			"certificate of " + m.label() + ", and auto_issue = false. Request a new one, for " +
			"example with the action dcvaas_renew; otherwise the next renewal has the new options."
	}
	diags.AddAttributeWarning(path.Root(changed[0]), title, text)
}

// startsIssuance reports whether the plan turns on auto_issue, which orders a certificate if the
// delegations were found before, or issue_partial, which orders one if some of them were.
func (m *domainModel) startsIssuance(state *domainModel) bool {
	turnsOn := func(planned, known types.Bool) bool {
		return !planned.Equal(known) && (planned.IsUnknown() || planned.ValueBool())
	}
	return turnsOn(m.AutoIssue, state.AutoIssue) || turnsOn(m.IssuePartial, state.IssuePartial)
}

// changesWait reports whether the plan changes the connection of a domain that is not active, and
// so why it waits.
func (m *domainModel) changesWait(state *domainModel) bool {
	return !m.ConnectionID.Equal(state.ConnectionID) &&
		state.Status.ValueString() != string(client.DomainStatusActive)
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
