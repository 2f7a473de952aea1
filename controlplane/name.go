package controlplane

import "github.com/dcvaas/terraform-provider-dcvaas/client/rules"

// ParseName returns a domain name in stored form, see rules.ParseName. It returns a KindInvalid
// *Error for the field at pointer.
func ParseName(pointer, s string) (string, error) {
	name, err := rules.ParseName(s)
	if err != nil {
		return "", invalidBy(pointer, err)
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

// RegisteredDomain returns the name by which CAs count their limits, see rules.RegisteredDomain.
func RegisteredDomain(name string) string { return rules.RegisteredDomain(name) }
