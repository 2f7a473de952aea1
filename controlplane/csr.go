package controlplane

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
)

// maxCSRLength is far above any request for two names; a request of RSA 4096 has 1.8 kB.
const maxCSRLength = 64 << 10

// ValidateCSR reads a PKCS#10 request (RFC 2986) in PEM that a customer sent and returns its
// DER and key type. Its signature must be good, its key one of the key types on offer, and
// the names it asks for exactly names, in any order. Its error is a KindInvalid *Error about
// /csr_pem, with the remedy.
func ValidateCSR(pemText string, names []string) (der []byte, kt KeyType, err error) {
	der, err = csrDER(pemText)
	if err != nil {
		return nil, "", err
	}
	req, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, "", invalidCSR("csr-malformed", "The PEM block holds no readable PKCS#10 request.", fixMakeCSR(names))
	}
	if kt = KeyTypeOfPublicKey(req.PublicKey); kt == "" {
		return nil, "", invalidCSR("csr-key", "The request's key is of a kind or size that no certificate is made for.",
			"Make it for an EC key on P-256 or P-384, or an RSA key of 2048 or 4096 bits with the exponent 65537.")
	}
	if !strongSignature(req.SignatureAlgorithm) {
		return nil, "", invalidCSR("csr-signature", "The request is signed with "+req.SignatureAlgorithm.String()+", which CAs refuse.",
			"Sign it with SHA-256: "+fixMakeCSR(names))
	}
	if req.CheckSignature() != nil {
		return nil, "", invalidCSR("csr-signature", "The request's signature does not fit its key.", "Send the request unchanged, as the tool that made it wrote it.")
	}
	if err := checkCSRNames(req, names); err != nil {
		return nil, "", err
	}
	return der, kt, nil
}

// KeyTypeOfPublicKey returns the key type of an *ecdsa.PublicKey or *rsa.PublicKey, or ""
// where it is none of those on offer.
func KeyTypeOfPublicKey(key any) KeyType {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		return KeyTypeOf(x509.ECDSA, k.Curve.Params().BitSize)
	case *rsa.PublicKey:
		if k.E != 65537 {
			return ""
		}
		return KeyTypeOf(x509.RSA, k.N.BitLen())
	}
	return ""
}

func csrDER(pemText string) ([]byte, error) {
	if len(pemText) > maxCSRLength {
		return nil, invalidCSR("csr-malformed", "The request is far longer than a request for these names is.", "Send one PKCS#10 request in PEM.")
	}
	if strings.Contains(pemText, "PRIVATE KEY-----") {
		return nil, invalidCSR("csr-has-private-key", "The text holds a private key. It was not kept.",
			"Send only the CERTIFICATE REQUEST block. The key has been over the network: make a new one.")
	}
	block, rest := pem.Decode([]byte(pemText))
	if block == nil {
		return nil, invalidCSR("csr-malformed", "The text holds no PEM block.", "Send everything from -----BEGIN CERTIFICATE REQUEST----- to the END line, with its line breaks.")
	}
	if block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST" {
		return nil, invalidCSR("csr-malformed", "The PEM block is a "+quote(block.Type)+", not a certificate request.", "Send the CERTIFICATE REQUEST block.")
	}
	if strings.TrimSpace(string(rest)) != "" {
		return nil, invalidCSR("csr-malformed", "Something follows the certificate request.", "Send one CERTIFICATE REQUEST block and nothing else.")
	}
	return block.Bytes, nil
}

func strongSignature(alg x509.SignatureAlgorithm) bool {
	switch alg {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
		return true
	}
	return false
}

func checkCSRNames(req *x509.CertificateRequest, names []string) error {
	if len(req.IPAddresses)+len(req.EmailAddresses)+len(req.URIs) > 0 {
		return invalidCSR("csr-names", "The request asks for an IP address, e-mail address or URI.", "Ask for exactly these DNS names: "+strings.Join(names, ", ")+".")
	}
	asked := make([]string, 0, len(req.DNSNames)+1)
	for _, name := range req.DNSNames {
		asked = append(asked, strings.ToLower(name))
	}
	if cn := strings.ToLower(req.Subject.CommonName); cn != "" {
		asked = append(asked, cn)
	}
	if missing := without(names, asked); len(missing) > 0 {
		return invalidCSR("csr-names", "The request does not ask for "+strings.Join(missing, ", ")+".", fixMakeCSR(names))
	}
	if len(req.DNSNames) == 0 {
		return invalidCSR("csr-names", "The request names its host only as common name, which CAs no longer read.", fixMakeCSR(names))
	}
	if missing := without(names, asked[:len(req.DNSNames)]); len(missing) > 0 {
		return invalidCSR("csr-names", "The request has "+strings.Join(missing, ", ")+" only as common name, not as subject alternative name.", fixMakeCSR(names))
	}
	if more := without(asked, names); len(more) > 0 {
		return invalidCSR("csr-names", "The request also asks for "+quote(strings.Join(more, ", "))+", which this domain's certificate is not for.", fixMakeCSR(names))
	}
	return nil
}

// without returns what of all is not in some.
func without(all, some []string) []string {
	known := make(map[string]bool, len(some))
	for _, s := range some {
		known[s] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return known[s] })
}

func invalidCSR(code, detail, fix string) *Error { return Invalid("/csr_pem", code, detail, fix) }

func fixMakeCSR(names []string) string {
	sans := make([]string, len(names))
	for i, name := range names {
		sans[i] = "DNS:" + name
	}
	return `Make one with: openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -subj / -addext "subjectAltName=` +
		strings.Join(sans, ",") + `" -out request.pem`
}
