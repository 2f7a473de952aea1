package rules

import (
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// checkSuffix returns an *Error if a canonical name is a suffix of the Public Suffix List's ICANN
// section, or ends in none (Boulder policy/pa.go and iana/iana.go; BR §3.2.2.6 recommends that
// section, and §4.2.2 forbids names outside of it). Suffixes of the private section belong to their
// owners, who get certificates and wildcards for them.
func checkSuffix(name string) *Error {
	last := lastLabel(name)
	switch suffix, ok := icannSuffix(name); {
	case ok && suffix == name:
		return &Error{Code: "name-public-suffix", Message: Quote(name) +
			" is a public suffix: only its registry registers names under it.",
			Fix: "Use a name below it, such as example." + name + "."}
	case !ok && !slices.Contains(forTests, last):
		return &Error{Code: CodeUnknownTLD, Message: Quote(name) + " ends in ." + last +
			", which is not a top-level domain of the public DNS: CAs don't issue certificates for such names.",
			Fix: "Use a name that is registered in public DNS, such as example.com."}
	}
	return nil
}

// icannSuffix returns the suffix of a name in the ICANN section of the Public Suffix List. ok is
// false if no rule of that section applies.
func icannSuffix(name string) (suffix string, ok bool) {
	for {
		suffix, icann := publicsuffix.PublicSuffix(name)
		if icann {
			return suffix, true
		}
		_, parent, found := strings.Cut(suffix, ".")
		if !found {
			return "", false // no rule: the list's default is the last label
		}
		name = parent
	}
}

// RegisteredDomain returns the name by which CAs count their limits: the public suffix, of either
// section, and one more label. A public suffix counts alone (Boulder ratelimits/utilities.go,
// coveringIdentifier).
func RegisteredDomain(name string) string {
	d, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil {
		return name
	}
	return d
}
