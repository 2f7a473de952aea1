package provider

import (
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// sameName reports whether two spellings name the same domain.
func sameName(a, b string) bool {
	if a == b {
		return true
	}
	ca, errA := rules.ParseName(a)
	cb, errB := rules.ParseName(b)
	return errA == nil && errB == nil && ca == cb
}

// sameRecord reports whether two spellings name the same challenge record.
func sameRecord(a, b string) bool {
	plain := func(s string) string { return strings.ToLower(strings.TrimSuffix(s, ".")) }
	pa, pb := plain(a), plain(b)
	if pa == pb {
		return true
	}
	na, okA := strings.CutPrefix(pa, rules.ChallengeName(""))
	nb, okB := strings.CutPrefix(pb, rules.ChallengeName(""))
	return okA && okB && sameName(na, nb)
}
