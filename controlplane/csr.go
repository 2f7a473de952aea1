package controlplane

import (
	"crypto/x509"
	"slices"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// ValidateCSR parses a customer's PKCS#10 request (RFC 2986) in PEM and returns its DER and key
// type. The signature must be valid, the key type supported, and the names exactly names, in any
// order. It returns a KindInvalid *Error for /csr_pem.
func ValidateCSR(pemText string, names []string) (der []byte, kt KeyType, err error) {
	req, err := rules.ParseCSR(pemText)
	if isRule(err, "csr-has-private-key") {
		return nil, "", invalidCSR("csr-has-private-key",
			"The text contains a private key. It was not stored.",
			"Send only the CERTIFICATE REQUEST block. The private key was sent over the network: create a new one.")
	}
	if err != nil {
		return nil, "", invalidBy("/csr_pem", err)
	}
	if err := checkCSRNames(req, names); err != nil {
		return nil, "", err
	}
	return req.Raw, KeyType(rules.KeyTypeOf(req.PublicKey)), nil
}

func checkCSRNames(req *x509.CertificateRequest, names []string) error {
	if len(req.IPAddresses)+len(req.EmailAddresses)+len(req.URIs) > 0 {
		return invalidCSR("csr-names", "The CSR contains an IP address, email address, or URI.",
			"Create a CSR with exactly these DNS names: "+strings.Join(names, ", ")+".")
	}
	found := make([]string, 0, len(req.DNSNames)+1)
	for _, name := range req.DNSNames {
		found = append(found, strings.ToLower(name))
	}
	if cn := strings.ToLower(req.Subject.CommonName); cn != "" {
		found = append(found, cn)
	}
	if missing := without(names, found); len(missing) > 0 {
		return invalidCSR("csr-names", "The CSR is missing "+strings.Join(missing, ", ")+
			".", fixMakeCSR(names))
	}
	if len(req.DNSNames) == 0 {
		return invalidCSR("csr-names",
			"The CSR contains its name only as the common name, which CAs ignore.",
			fixMakeCSR(names))
	}
	if missing := without(names, found[:len(req.DNSNames)]); len(missing) > 0 {
		return invalidCSR("csr-names", "The CSR contains "+strings.Join(missing, ", ")+
			" only as the common name, not as a subject alternative name.", fixMakeCSR(names))
	}
	if more := without(found, names); len(more) > 0 {
		return invalidCSR("csr-names", "The CSR also contains "+
			rules.Quote(strings.Join(more, ", "))+
			", which does not belong in this domain's certificate.", fixMakeCSR(names))
	}
	return nil
}

// without returns the elements of all that are not in some.
func without(all, some []string) []string {
	known := make(map[string]bool, len(some))
	for _, s := range some {
		known[s] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return known[s] })
}

func invalidCSR(code, detail, fix string) *Error { return Invalid("/csr_pem", code, detail, fix) }

func fixMakeCSR(names []string) string { return "Create a CSR with: " + rules.CSRCommand(names) }
