package rules

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"unicode/utf8"
)

// ParseCSR parses one PKCS#10 request (RFC 2986) in PEM, and checks it against what CAs accept,
// except for the names, which CheckCSRNames checks. It returns an *Error, which contains nothing
// from a private key.
func ParseCSR(text string) (*x509.CertificateRequest, error) {
	der, e := csrDER(text)
	if e != nil {
		return nil, e
	}
	raw, err := readCSR(der)
	if err != nil {
		return nil, malformedCSR("The PEM block contains no readable PKCS#10 request.",
			"Create a CSR with: "+CSRCommand([]string{"example.com"}))
	}
	req, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, raw.explain()
	}
	for _, e := range []*Error{checkCSRKey(req, raw), checkSignature(req, raw),
		checkExtensions(req)} {
		if e != nil {
			return nil, e
		}
	}
	return req, nil
}

// SameCSR reports whether two texts contain the same CSR, however it is wrapped.
func SameCSR(a, b string) bool {
	if a == b {
		return true
	}
	pa, errA := csrDER(a)
	pb, errB := csrDER(b)
	return errA == nil && errB == nil && bytes.Equal(pa, pb)
}

// DecodeCSR returns the PKCS#10 request in a text that ParseCSR has accepted before, perhaps by
// older rules.
func DecodeCSR(text string) (*x509.CertificateRequest, error) {
	der, e := csrDER(text)
	if e != nil {
		return nil, e
	}
	return x509.ParseCertificateRequest(der)
}

// csrDER returns the content of the only PEM block in a text. It accepts a byte order mark and
// indented lines, as editors and configuration languages add them.
func csrDER(text string) ([]byte, *Error) {
	const whole = "Use everything from -----BEGIN CERTIFICATE REQUEST----- through the END line, with its line breaks."
	if len(text) > 4*MaxCSR || utf8.RuneCountInString(text) > MaxCSR {
		return nil, TooLong(MaxCSR)
	}
	if strings.Contains(text, "PRIVATE KEY-----") {
		return nil, &Error{Code: "csr-has-private-key",
			Message: "The text contains a private key.",
			Fix:     "Use only the CERTIFICATE REQUEST block, and keep the private key."}
	}
	block, rest := pem.Decode([]byte(unindented(text)))
	switch {
	case block == nil && strings.Contains(text, `-----\n`):
		return nil, malformedCSR(`The text contains the characters \n in place of line breaks.`,
			"Use a text with line breaks. In JSON, escape them once.")
	case block == nil && strings.Contains(text, "-----BEGIN "):
		return nil, malformedCSR("The PEM block is incomplete or damaged.", whole)
	case block == nil:
		return nil, malformedCSR("The text contains no PEM block.", whole)
	case block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST":
		return nil, malformedCSR("The PEM block has the type "+Quote(block.Type)+
			", not CERTIFICATE REQUEST.",
			"Create a CSR with: "+CSRCommand([]string{"example.com"}))
	case strings.TrimSpace(string(rest)) != "":
		return nil, malformedCSR("The text contains more than the CSR.",
			"Use one CERTIFICATE REQUEST block and nothing else.")
	}
	return block.Bytes, nil
}

// unindented returns a text without a byte order mark and without white space around its lines.
func unindented(text string) string {
	lines := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "\n")
}

// checkSignature returns an *Error if the CSR is not signed with its key, by an accepted algorithm.
func checkSignature(req *x509.CertificateRequest, raw *rawCSR) *Error {
	switch {
	case !isAccepted(req.SignatureAlgorithm):
		return &Error{Code: "csr-signature", Message: "The CSR is signed with " +
			nameOf(signatureNames, raw.Signature.Algorithm) + ", which CAs reject.",
			Fix: "Sign it with SHA-256, and with PKCS#1 v1.5 padding if the key is an RSA key. Create a CSR with: " +
				CSRCommand([]string{"example.com"})}
	case req.CheckSignature() != nil:
		return &Error{Code: "csr-signature", Message: "The CSR's signature does not match its key.",
			Fix: "Use the CSR unchanged, as the tool created it."}
	}
	return nil
}

// checkExtensions returns an *Error if the CSR requests an extension that CAs do not issue.
func checkExtensions(req *x509.CertificateRequest) *Error {
	for _, ext := range req.Extensions {
		for _, r := range refusedExtensions {
			if ext.Id.Equal(r.id) && (r.refused == nil || r.refused(ext.Value)) {
				return &Error{Code: "csr-extension",
					Message: "The CSR requests " + r.reason + ".",
					Fix:     "Create a CSR without this extension."}
			}
		}
	}
	return nil
}

// CSRCommand returns an openssl command that creates a CSR for names.
func CSRCommand(names []string) string {
	return `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -subj / -addext "subjectAltName=DNS:` +
		strings.Join(names, ",DNS:") + `" -out request.pem`
}

func malformedCSR(message, fix string) *Error {
	return &Error{Code: "csr-malformed", Message: message, Fix: fix}
}
