package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// ValidateConfig rejects what the API and CAs reject because of several attributes: a CSR with
// another key type, without the certificate's names, or with issue_partial; names that are
// duplicate or covered by a wildcard; and more names than the profile allows.
func (r *domainResource) ValidateConfig(
	ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse,
) {
	var m domainModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	csr, noCSR := rules.ParseCSR(m.CSRPEM.ValueString())
	if keyType := m.KeyType.ValueString(); noCSR == nil && keyType != "" {
		if of := rules.KeyTypeOf(csr.PublicKey); of != keyType {
			addRule(&resp.Diagnostics, path.Root("key_type"), "The CSR has another key type",
				rules.KeyTypeMismatch(keyType, of))
		}
	}
	if m.IssuePartial.ValueBool() && !m.CSRPEM.IsNull() {
		addRule(&resp.Diagnostics, path.Root("issue_partial"),
			"issue_partial conflicts with csr_pem", rules.PartialWithCSR())
	}
	name, err := rules.CanonicalName(m.Name.ValueString())
	if m.checkAdditionalNames(name, &resp.Diagnostics); err != nil {
		return // the name is not known yet, or the validator reports it
	}
	names, all := m.certificateNames(name)
	if !m.Profile.IsUnknown() {
		addRule(&resp.Diagnostics, path.Root("additional_names"), "Too many names",
			rules.CheckNames(names, m.Profile.ValueString()))
	}
	if noCSR == nil && all {
		addRule(&resp.Diagnostics, path.Root("csr_pem"), csrValidator.summary,
			rules.CheckCSRNames(csr, names))
	}
}

// addRule adds the error of a rule, if any, to the diagnostics of an attribute.
func addRule(diags *diag.Diagnostics, at path.Path, summary string, err error) {
	if err != nil {
		diags.AddAttributeError(at, summary, sentence(err.Error()))
	}
}

// warnOfChain adds a warning if the current certificate does not have the preferred chain, because
// its CA does not offer it.
func warnOfChain(d *client.Domain, at path.Path, diags *diag.Diagnostics) {
	for _, c := range d.Conditions {
		if c.Reason == rules.CodeChainNotOffered {
			diags.AddAttributeWarning(at, "The certificate of "+d.Name+
				" has another chain than the preferred one", explainCondition(c))
		}
	}
}
