package controlplane

import (
	"maps"
	"slices"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// ParseName returns a domain name in stored form, see rules.ParseName. It returns a KindInvalid
// *Error for the field at pointer.
func ParseName(pointer, s string) (string, error) {
	name, err := rules.ParseName(s)
	if err != nil {
		return "", InvalidBy(pointer, err)
	}
	return name, nil
}

// DisplayName returns the name of a token or an organization in stored form, see rules.DisplayName.
// It returns a KindInvalid *Error for /name.
func DisplayName(s string) (string, error) {
	name, err := rules.DisplayName(s)
	return name, InvalidBy("/name", err)
}

// CertificateNames returns the names in the certificate of a domain with the given name and
// options: the name, its wildcard, and the additional names in their order, each once.
func CertificateNames(name string, o Options) []string {
	names := []string{name}
	if o.Wildcard {
		names = append(names, "*."+name)
	}
	for _, additional := range o.AdditionalNames {
		if !slices.Contains(names, additional) {
			names = append(names, additional)
		}
	}
	return names
}

// RegisteredDomain returns the name by which CAs count their limits, see rules.RegisteredDomain.
func RegisteredDomain(name string) string { return rules.RegisteredDomain(name) }

// Identifiers returns the names that need an authorization for a certificate with the given names,
// sorted: in lowercase, with "*." removed from wildcards.
func Identifiers(names []string) []string {
	seen := map[string]bool{}
	for _, name := range names {
		seen[strings.ToLower(strings.TrimPrefix(name, "*."))] = true
	}
	return slices.Sorted(maps.Keys(seen))
}
