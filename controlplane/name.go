package controlplane

import (
	"golang.org/x/net/publicsuffix"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// ParseName returns a domain name in stored form, see rules.ParseName. It also rejects public
// suffixes. It returns a KindInvalid *Error for the field at pointer.
func ParseName(pointer, s string) (string, error) {
	name, err := rules.ParseName(s)
	if err != nil {
		return "", invalidBy(pointer, err)
	}
	if suffix, _ := publicsuffix.PublicSuffix(name); suffix == name {
		return "", Invalid(pointer, "name-public-suffix", rules.Quote(s)+
			" is a public suffix: only its registry registers names under it.",
			"Use a name below it, such as example."+name+".")
	}
	return name, nil
}

// CertificateNames returns the names in a domain's certificate.
func CertificateNames(name string, wildcard bool) []string {
	if wildcard {
		return []string{name, "*." + name}
	}
	return []string{name}
}

// RegisteredDomain returns the name by which CAs count their limits: the public suffix and one more
// label.
func RegisteredDomain(name string) string {
	d, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil {
		return name
	}
	return d
}
