package provider

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// domainFilters choose domains, for the data source and for the list resource.
type domainFilters struct {
	Status types.String `tfsdk:"status"`
	Label  types.String `tfsdk:"label"`
	Q      types.String `tfsdk:"q"`
}

// domainFilterAttributes describes them in the schema's own kind of attribute, which optional makes: it is another for each
// kind of schema.
func domainFilterAttributes[A any](optional func(text string, check validator.String) A) map[string]A {
	return map[string]A{
		"status": optional("Only domains in this status: `pending_cname`, `issuing`, `active` or `error`.",
			stringvalidator.OneOf(string(client.DomainStatusPendingCname), string(client.DomainStatusIssuing),
				string(client.DomainStatusActive), string(client.DomainStatusError))),
		"label": optional("Only domains with this label: `key=value`, or `key` for any value.", stringvalidator.UTF8LengthBetween(1, 255)),
		"q":     optional("Only domains whose name has this in it.", stringvalidator.UTF8LengthBetween(1, 253)),
	}
}

// toListParams asks for the domains in the order of their names.
func (f *domainFilters) toListParams() client.ListDomainsParams {
	in := client.ListDomainsParams{Label: f.Label.ValueStringPointer(), Q: f.Q.ValueStringPointer(), Sort: new(client.ListDomainsParamsSortName)}
	if !f.Status.IsNull() {
		in.Status = new(client.DomainStatus(f.Status.ValueString()))
	}
	return in
}
