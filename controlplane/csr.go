package controlplane

import (
	"fmt"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// ValidateCSR parses a customer's PKCS#10 request (RFC 2986) in PEM and returns its DER and key
// type. CAs must accept its key, signature, and extensions, and its names must be exactly names, in
// any order. It returns a KindInvalid *Error for /csr_pem.
func ValidateCSR(pemText string, names []string) (der []byte, kt KeyType, err error) {
	req, err := rules.ParseCSR(pemText)
	if isRule(err, "csr-has-private-key") {
		return nil, "", Invalid("/csr_pem", "csr-has-private-key",
			"The text contains a private key. It was not stored.",
			"Send only the CERTIFICATE REQUEST block. The private key was sent over the network: create a new one.")
	}
	if err == nil {
		err = rules.CheckCSRNames(req, names)
	}
	if err != nil {
		return nil, "", InvalidBy("/csr_pem", err)
	}
	return req.Raw, KeyType(rules.KeyTypeOf(req.PublicKey)), nil
}

// StoredCSR returns the DER and the key type of a CSR that ValidateCSR has accepted. Only the CA
// judges it: the rules may have changed since.
func StoredCSR(pemText string) (der []byte, kt KeyType, err error) {
	req, err := rules.DecodeCSR(pemText)
	if err != nil {
		return nil, "", fmt.Errorf("read the stored CSR: %w", err)
	}
	return req.Raw, KeyType(rules.KeyTypeOf(req.PublicKey)), nil
}
