package provider

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// delegationType is the type of delegation, and of the elements of delegations.
var delegationType = types.ObjectType{AttrTypes: delegationTypes}

// planDelegations sets the planned records of a domain that does not exist yet, or whose names
// change. It keeps the records of known, and reads all others with one call. What it can't know
// stays unknown.
func (r *domainResource) planDelegations(
	ctx context.Context, plan *domainModel, known types.Map, schema schemaTypes,
	diags *diag.Diagnostics,
) {
	name, err := rules.CanonicalName(plan.Name.ValueString())
	if plan.Name.IsUnknown() || r.configured == nil || err != nil {
		return // the validator reports an invalid name
	}
	bases, all := plan.baseNames(name)
	records, missing := map[string]attr.Value{}, []string(nil)
	for _, base := range bases {
		if record, ok := known.Elements()[base]; ok {
			records[base] = record
		} else {
			missing = append(missing, base)
		}
	}
	if len(missing) > 0 {
		found, err := r.client.DelegationRecords(ctx, missing)
		if err != nil {
			problem{doing: "plan the domain " + name, schema: schema, sets: plan.sets(),
				at: path.Root("name")}.add(ctx, diags, plan.aboutNames(err, missing))
			return
		}
		for i, base := range missing {
			records[base] = delegationObject(&found[i])
		}
	}
	if own, ok := records[name].(types.Object); ok {
		plan.Delegation = own
	}
	if all {
		plan.Delegations = types.MapValueMust(delegationType, records)
	}
}

// aboutNames returns the error of a request for the records of bases, with the pointers of the
// attributes that these come from.
func (m *domainModel) aboutNames(err error, bases []string) error {
	var e *client.Error
	if !errors.As(err, &e) {
		return err
	}
	about := *e
	about.Fields = slices.Clone(e.Fields)
	for i, f := range about.Fields {
		index, err := strconv.Atoi(strings.TrimPrefix(f.Pointer, "/name/"))
		if f.Pointer == "/name" && len(bases) == 1 {
			index, err = 0, nil // the response to a single name has no index
		}
		if err != nil || index < 0 || index >= len(bases) {
			continue
		}
		about.Fields[i].Pointer = "/name"
		for j, s := range m.additionalNames() {
			if rules.BaseName(canonicalAdditional(s)) == bases[index] {
				about.Fields[i].Pointer = "/additional_names/" + strconv.Itoa(j)
				break
			}
		}
	}
	return &about
}

// baseNames returns the known names that need a delegation, each once, that of the domain first,
// and whether these are all. A wildcard uses the delegation of its base name.
func (m *domainModel) baseNames(name string) (bases []string, all bool) {
	bases, all = []string{name}, isFullyKnown(m.AdditionalNames)
	seen := map[string]bool{name: true}
	for _, s := range m.additionalNames() {
		if base := rules.BaseName(canonicalAdditional(s)); base != "" && !seen[base] {
			seen[base] = true
			bases = append(bases, base)
		}
	}
	return bases, all
}

// delegationsFromAPI returns the records of a domain's names. An older version of the service has
// only that of the domain's name.
func delegationsFromAPI(d *client.Domain) types.Map {
	records := map[string]attr.Value{d.Name: delegationObject(&d.Delegation)}
	for base, g := range d.Delegations {
		records[base] = delegationObject(&client.DelegationRecord{Name: g.Name,
			Type: client.DelegationRecordType(g.Type), Target: g.Target})
	}
	return types.MapValueMust(delegationType, records)
}
