package rules

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strconv"
	"strings"
)

// Key types of certificates.
const (
	KeyEC256   = "ec256"
	KeyEC384   = "ec384"
	KeyRSA2048 = "rsa2048"
	KeyRSA4096 = "rsa4096"
)

// DefaultKeyType is the key type of a domain that has neither a key type nor a CSR.
const DefaultKeyType = KeyEC256

// maxCSRLength is far above the length of a CSR for two names; with RSA 4096 it has 1.8 kB.
const maxCSRLength = 64 << 10

// KeyTypes returns the supported key types.
func KeyTypes() []string { return []string{KeyEC256, KeyEC384, KeyRSA2048, KeyRSA4096} }

// KeyTypeOf returns the key type of an *ecdsa.PublicKey or *rsa.PublicKey, or "" if the type is
// not supported. CAs accept only 65537 as the exponent of an RSA key.
func KeyTypeOf(key any) string {
	t := ""
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		t = "ec" + strconv.Itoa(k.Curve.Params().BitSize)
	case *rsa.PublicKey:
		if k.E == 65537 {
			t = "rsa" + strconv.Itoa(k.N.BitLen())
		}
	}
	if !slices.Contains(KeyTypes(), t) {
		return ""
	}
	return t
}

// ParseCSR parses one PKCS#10 request (RFC 2986) in PEM, and checks that its key type is supported
// and its signature is valid. It does not check the names. It returns an *Error, which contains
// nothing from a private key.
func ParseCSR(text string) (*x509.CertificateRequest, error) {
	bad := func(code, message, fix string) (*x509.CertificateRequest, error) {
		return nil, &Error{Code: code, Message: message, Fix: fix}
	}
	create := "Create a CSR with: " + CSRCommand([]string{"example.com"})
	if len(text) > maxCSRLength {
		return bad("csr-malformed", "The CSR has more than 64 KiB.",
			"Use one PKCS#10 request in PEM.")
	}
	if strings.Contains(text, "PRIVATE KEY-----") {
		return bad("csr-has-private-key", "The text contains a private key.",
			"Use only the CERTIFICATE REQUEST block, and keep the private key.")
	}
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil:
		return bad("csr-malformed", "The text contains no PEM block.",
			"Use everything from -----BEGIN CERTIFICATE REQUEST----- through the END line, with its line breaks.")
	case block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST":
		return bad("csr-malformed", "The PEM block has the type "+Quote(block.Type)+
			", not CERTIFICATE REQUEST.", create)
	case strings.TrimSpace(string(rest)) != "":
		return bad("csr-malformed", "The text contains more than the CSR.",
			"Use one CERTIFICATE REQUEST block and nothing else.")
	}
	req, err := x509.ParseCertificateRequest(block.Bytes)
	switch {
	case err != nil:
		return bad("csr-malformed", "The PEM block contains no readable PKCS#10 request.", create)
	case KeyTypeOf(req.PublicKey) == "":
		return bad("csr-key", "The CSR has a key of an unsupported type or size.",
			"Use an EC key on P-256 or P-384, or an RSA key of 2048 or 4096 bits with the exponent 65537.")
	case !isStrong(req.SignatureAlgorithm):
		return bad("csr-signature", "The CSR is signed with "+req.SignatureAlgorithm.String()+
			", which CAs reject.", "Sign it with SHA-256. "+create)
	case req.CheckSignature() != nil:
		return bad("csr-signature", "The CSR's signature does not match its key.",
			"Use the CSR unchanged, as the tool created it.")
	}
	return req, nil
}

// CSRCommand returns an openssl command that creates a CSR for names.
func CSRCommand(names []string) string {
	return `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -subj / -addext "subjectAltName=DNS:` +
		strings.Join(names, ",DNS:") + `" -out request.pem`
}

func isStrong(alg x509.SignatureAlgorithm) bool {
	switch alg {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
		return true
	}
	return false
}
