package dnscheck

import (
	"slices"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// clear returns for which of the name and its wildcard nothing at all was found. It sends no
// queries: the sets of CAA records apply to both.
func (l *lookup) clear(
	e controlplane.Examination, sets []relevantSet, names certified, cas []CAIdentity,
) controlplane.Certified {
	if len(e.Causes)+len(e.Warnings) > 0 || slices.ContainsFunc(e.CAA,
		func(f controlplane.CAAFinding) bool {
			return !f.Allowed || len(f.ForbiddenAccounts) > 0
		}) {
		return controlplane.Certified{}
	}
	counting, _ := countingSets(sets)
	if authorized(counting, cas, certified{true, true}) {
		return controlplane.Certified{Plain: true, Wildcard: true}
	}
	return controlplane.Certified{Plain: names.plain, Wildcard: names.wildcard}
}

// authorized reports whether the sets authorize each CA with all of our accounts.
func authorized(sets []relevantSet, cas []CAIdentity, names certified) bool {
	for _, ca := range cas {
		if len(ca.Identities) == 0 {
			continue // its CAA authorization is not checked
		}
		one, forbidden := forAccount(sets, ca, names)
		if len(forbidden) > 0 || slices.ContainsFunc(sets,
			func(s relevantSet) bool { return judge(s.rrs, one, names).why != "" }) {
			return false
		}
	}
	return true
}
