package provider

import (
	"errors"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// parseName is rules.ParseName without the list of top-level domains: that of the service may be
// newer.
func parseName(s string) (string, error) {
	name, err := rules.ParseName(s)
	if rule, ok := errors.AsType[*rules.Error](err); ok && rule.Code == rules.CodeUnknownTLD {
		return rules.CanonicalName(s)
	}
	return name, err
}

// sameName reports whether two spellings name the same domain.
func sameName(a, b string) bool {
	if a == b {
		return true
	}
	ca, errA := rules.CanonicalName(a)
	cb, errB := rules.CanonicalName(b)
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
