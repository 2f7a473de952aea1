package provider

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// domainFilters are the filters of the data source and the list resource.
type domainFilters struct {
	Status types.String `tfsdk:"status"`
	Label  types.String `tfsdk:"label"`
	Q      types.String `tfsdk:"q"`
}

// domainFilterAttributes returns the attributes of the filters. Each kind of schema has its own
// type of attribute, which optional creates.
func domainFilterAttributes[A any](
	optional func(text string, check validator.String) A,
) map[string]A {
	return map[string]A{
		"status": optional(
			"Only domains in this status: `pending_cname`, `issuing`, `active`, or `error`.",
			stringvalidator.OneOf(string(client.DomainStatusPendingCname),
				string(client.DomainStatusIssuing),
				string(client.DomainStatusActive), string(client.DomainStatusError))),
		"label": optional("Only domains with this label: `key=value`, or `key` for any value.",
			stringvalidator.UTF8LengthBetween(1, rules.MaxLabelFilter)),
		"q": optional("Only domains with this text in any of their names, in A-labels or Unicode.",
			stringvalidator.UTF8LengthBetween(1, rules.MaxSearch)),
	}
}

// toListParams returns the parameters of a list of domains, sorted by name.
func (f *domainFilters) toListParams() client.ListDomainsParams {
	in := client.ListDomainsParams{Label: f.Label.ValueStringPointer(), Q: f.Q.ValueStringPointer(),
		Sort: new(client.ListDomainsParamsSortName)}
	if !f.Status.IsNull() {
		in.Status = new(client.DomainStatus(f.Status.ValueString()))
	}
	return in
}
