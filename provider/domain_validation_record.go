package provider

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// recordsShown is how many records an error names.
const recordsShown = 10

// checkRecords adds an error for each configured record that none of the domain's names has.
func (m *domainValidationModel) checkRecords(d *client.Domain, diags *diag.Diagnostics) {
	own := d.Delegation
	if fqdn := m.RecordFQDN.ValueString(); !m.RecordFQDN.IsNull() && !sameRecord(fqdn, own.Name) {
		diags.AddAttributeError(path.Root("record_fqdn"),
			"The record name differs from the domain's delegation",
			fmt.Sprintf("The record is %s, but for %s it must be %s, a %s to %s. %s",
				fqdn, d.Name, own.Name, own.Type, own.Target, appendedZone))
	}
	needed := recordsOf(d, func(client.DomainDelegation) bool { return true })
	for _, fqdn := range textsOf(m.RecordFQDNs) {
		if !slices.ContainsFunc(needed, func(r client.DelegationRecord) bool {
			return sameRecord(fqdn, r.Name)
		}) {
			diags.AddAttributeError(
				path.Root("record_fqdns").AtSetValue(types.StringValue(fqdn)),
				"The record name differs from the domain's delegations",
				fmt.Sprintf("The record is %s, but the records of %s are:\n%s\n\n%s", fqdn, d.Name,
					linesOf(needed), appendedZone))
		}
	}
}

const appendedZone = "Some providers append the zone to the name of a record: in that case, set the name without the zone."

// requiredRecords describes the records that were not found.
func requiredRecords(d *client.Domain) string {
	missing := recordsOf(d, func(g client.DomainDelegation) bool {
		return g.State != client.DelegationStateDelegated
	})
	if len(missing) == 0 {
		missing = []client.DelegationRecord{d.Delegation}
	}
	if len(missing) == 1 {
		return "Required record: " + linesOf(missing)
	}
	return "Required records:\n" + linesOf(missing)
}

// recordsOf returns the records of the delegations that include selects, sorted by name. An older
// version of the service has only that of the domain's name.
func recordsOf(
	d *client.Domain, include func(client.DomainDelegation) bool,
) (records []client.DelegationRecord) {
	if len(d.Delegations) == 0 {
		return []client.DelegationRecord{d.Delegation}
	}
	for _, base := range slices.Sorted(maps.Keys(d.Delegations)) {
		if g := d.Delegations[base]; include(g) {
			records = append(records, client.DelegationRecord{Name: g.Name,
				Type: client.DelegationRecordType(g.Type), Target: g.Target})
		}
	}
	return records
}

// linesOf returns the first records, a line each, and how many more there are.
func linesOf(records []client.DelegationRecord) string {
	lines := make([]string, 0, recordsShown+1)
	for i, r := range records {
		if i == recordsShown {
			lines = append(lines, fmt.Sprintf("and %d more", len(records)-i))
			break
		}
		lines = append(lines, fmt.Sprintf("%s %s %s", r.Name, r.Type, r.Target))
	}
	return strings.Join(lines, "\n")
}
