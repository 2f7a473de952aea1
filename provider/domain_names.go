package provider

import (
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// canonicalAdditional returns an additional name in canonical form, "" for an invalid one.
func canonicalAdditional(s string) string {
	base := rules.BaseName(s)
	name, err := rules.CanonicalName(base)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(s, base) + name
}

// textsOf returns the elements of a set of texts, "" for each that is unknown.
func textsOf(set types.Set) []string {
	texts := make([]string, len(set.Elements()))
	for i, e := range set.Elements() {
		texts[i] = e.(types.String).ValueString()
	}
	return texts
}

// isFullyKnown reports whether a set and all of its elements are known.
func isFullyKnown(set types.Set) bool {
	return !set.IsUnknown() && !slices.ContainsFunc(set.Elements(), attr.Value.IsUnknown)
}

// canonicalNames returns the additional names in canonical form, sorted.
func canonicalNames(set types.Set) []string {
	names := textsOf(set)
	for i, s := range names {
		names[i] = canonicalAdditional(s)
	}
	slices.Sort(names)
	return names
}

// sameNames reports whether two sets contain the same additional names, in any spelling.
func sameNames(a, b types.Set) bool {
	return isFullyKnown(a) && isFullyKnown(b) && (a.Equal(b) ||
		slices.Equal(canonicalNames(a), canonicalNames(b)))
}

// additionalNames returns the names for the API, an empty list for null.
func (m *domainModel) additionalNames() []string { return textsOf(m.AdditionalNames) }

// sets returns the sets that are sent to the API.
func (m *domainModel) sets() map[string]types.Set {
	return map[string]types.Set{"additional_names": m.AdditionalNames}
}

// namesFromAPI returns the additional names. It preserves their spelling, and the difference
// between null and empty, which the API does not have.
func namesFromAPI(names []string, prior types.Set) types.Set {
	if len(names) == 0 && (prior.IsNull() || prior.IsUnknown()) {
		return types.SetNull(types.StringType)
	}
	spellings := map[string]attr.Value{}
	for _, e := range prior.Elements() {
		spellings[canonicalAdditional(e.(types.String).ValueString())] = e
	}
	elements := make([]attr.Value, len(names))
	for i, name := range names {
		elements[i] = types.StringValue(name)
		if spelled, ok := spellings[name]; ok {
			elements[i] = spelled
		}
	}
	return types.SetValueMust(types.StringType, elements)
}

// certificateNames returns the known names of the certificate in canonical form, and whether these
// are all. name is the domain's name in canonical form.
func (m *domainModel) certificateNames(name string) (names []string, all bool) {
	names = []string{name}
	if m.Wildcard.ValueBool() {
		names = append(names, "*."+name)
	}
	for _, s := range m.additionalNames() {
		if one := canonicalAdditional(s); one != "" {
			names = append(names, one)
		}
	}
	return names, !m.Wildcard.IsUnknown() && isFullyKnown(m.AdditionalNames)
}

// checkAdditionalNames adds an error for each additional name that can't be in the certificate
// together with the others. name is the domain's name in canonical form, "" if it is unknown or
// invalid. The validator of the attribute checks each name alone.
func (m *domainModel) checkAdditionalNames(name string, diags *diag.Diagnostics) {
	given := m.additionalNames()
	canonical := make([]string, len(given))
	for i, s := range given {
		canonical[i] = canonicalAdditional(s)
	}
	wrong := rules.CheckAdditionalNames(name, m.Wildcard.ValueBool(), canonical)
	for i, s := range given {
		if err := wrong[i]; err != nil {
			addRule(diags, path.Root("additional_names").AtSetValue(types.StringValue(s)),
				"Invalid additional name", err)
		}
	}
}
