package rules_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

func TestParseCSR(t *testing.T) {
	t.Parallel()
	p256, rsa2048 := ecKey(t, elliptic.P256()), rsaKey(t, 2048)
	request := func(key crypto.Signer) string {
		return csrPEM(t, &x509.CertificateRequest{DNSNames: []string{"example.com"}}, key)
	}
	plain := request(p256)
	for name, tt := range map[string]struct{ text, keyType string }{
		"P-256":    {plain, rules.KeyEC256},
		"P-384":    {request(ecKey(t, elliptic.P384())), rules.KeyEC384},
		"RSA 2048": {request(rsa2048), rules.KeyRSA2048},
		"RSA 4096": {request(rsaKey(t, 4096)), rules.KeyRSA4096},
		"RSA 3072": {request(rsaKey(t, 3072)), rules.KeyRSA3072},
		"SHA-512": {csrPEM(t, &x509.CertificateRequest{SignatureAlgorithm: x509.SHA512WithRSA},
			rsa2048), rules.KeyRSA2048},
		"byte order mark":  {"\ufeff" + plain, rules.KeyEC256},
		"indented":         {"  " + strings.ReplaceAll(plain, "\n", "\n\t "), rules.KeyEC256},
		"other extensions": {withExtensions(t, caFalse, keyUsage), rules.KeyEC256},
		"old PEM label": {strings.ReplaceAll(plain, "CERTIFICATE REQUEST",
			"NEW CERTIFICATE REQUEST"), rules.KeyEC256},
		"surrounding text": {"Certificate Request:\n  Data:\n\n" + plain + "\n  \n",
			rules.KeyEC256},
		"Windows line endings": {strings.ReplaceAll(plain, "\n", "\r\n"), rules.KeyEC256},
	} {
		req, err := rules.ParseCSR(tt.text)
		if err != nil {
			t.Errorf("%s: ParseCSR returns the error %v", name, err)
			continue
		}
		if got := rules.KeyTypeOf(req.PublicKey); got != tt.keyType {
			t.Errorf("%s: KeyTypeOf(ParseCSR) = %q, want %q", name, got, tt.keyType)
		}
		if block, _ := pem.Decode([]byte(tt.text)); block != nil &&
			!bytes.Equal(req.Raw, block.Bytes) {
			t.Errorf("%s: ParseCSR returns other DER than the PEM block contains", name)
		}
	}

	damaged, _ := pem.Decode([]byte(plain))
	damaged.Bytes[len(damaged.Bytes)-3] ^= 0x55
	keyDER, err := x509.MarshalPKCS8PrivateKey(p256)
	if err != nil {
		t.Fatal(err)
	}
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	for name, tt := range map[string]struct{ text, code string }{
		"empty":   {"", "csr-malformed"},
		"not PEM": {"hello", "csr-malformed"},
		"certificate": {strings.ReplaceAll(plain, "CERTIFICATE REQUEST", "CERTIFICATE"),
			"csr-malformed"},
		"two CSRs":      {plain + plain, "csr-malformed"},
		"trailing text": {plain + "x", "csr-malformed"},
		"not PKCS#10": {string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST",
			Bytes: []byte("x")})), "csr-malformed"},
		"megabyte":       {strings.Repeat("x", 1<<20), "too-long"},
		"key before CSR": {key + plain, "csr-has-private-key"},
		"key after CSR":  {plain + key, "csr-has-private-key"},
		"SEC 1 key": {strings.ReplaceAll(key, "PRIVATE", "EC PRIVATE") + plain,
			"csr-has-private-key"},
		"Ed25519":    {request(edKey(t)), "csr-key"},
		"P-521":      {request(ecKey(t, elliptic.P521())), "csr-key"},
		"P-224":      {request(ecKey(t, elliptic.P224())), "csr-key"},
		"RSA 1024":   {request(weakKey(t, 1024)), "csr-key"},
		"RSA 2056":   {request(rsaKey(t, 2056)), "csr-key"},
		"incomplete": {strings.TrimSuffix(plain, "-----\n"), "csr-malformed"},
		"one line":   {strings.ReplaceAll(plain, "\n", " "), "csr-malformed"},
		"escaped":    {strings.ReplaceAll(plain, "\n", `\n`), "csr-malformed"},
		"trailing data": {string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST",
			Bytes: append(pemBytes(plain), 0)})), "csr-malformed"},
		"damaged signature": {string(pem.EncodeToMemory(damaged)), "csr-signature"},
		"SHA-1":             {sha1Request, "csr-signature"},
	} {
		req, err := rules.ParseCSR(tt.text)
		e, ok := errors.AsType[*rules.Error](err)
		if !ok || req != nil || e.Code != tt.code || e.Fix == "" {
			t.Errorf("%s: ParseCSR = %v, %#v, want the code %s and a fix", name, req, err, tt.code)
		}
	}
}

// The message names what CAs reject.
func TestParseCSR_message(t *testing.T) {
	t.Parallel()
	p256, rsa2048 := ecKey(t, elliptic.P256()), rsaKey(t, 2048)
	signed := func(alg x509.SignatureAlgorithm) string {
		return csrPEM(t, &x509.CertificateRequest{SignatureAlgorithm: alg}, rsa2048)
	}
	plain := csrPEM(t, &x509.CertificateRequest{DNSNames: []string{"muller.example"}}, p256)
	replaced := func(old, replacement string) string {
		return replaceDER(t, plain, old, replacement)
	}
	pss := signed(x509.SHA256WithRSAPSS)
	for name, tt := range map[string]struct{ text, code, message string }{
		"RSA-PSS":         {pss, "csr-signature", "signed with RSASSA-PSS"},
		"RSA-PSS SHA-512": {signed(x509.SHA512WithRSAPSS), "csr-signature", "RSASSA-PSS"},
		// crypto/x509 knows only one salt length per hash, and names others 0
		"RSA-PSS, long salt": {replaceDER(t, pss, "\xa2\x03\x02\x01\x20", "\xa2\x03\x02\x01\x40"),
			"csr-signature", "signed with RSASSA-PSS"},
		"SHA-1": {sha1Request, "csr-signature", "signed with SHA-1 and RSA"},
		"unknown algorithm": {replaced("\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02",
			"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x7f"), "csr-signature",
			"the algorithm 1.2.840.10045.4.3.127"},
		"P-521": {csrPEM(t, nil, ecKey(t, elliptic.P521())), "csr-key", "EC on P-521"},
		"curve of unknown name": {replaced("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
			"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x01"), "csr-key", "EC on P-192"},
		"Ed25519": {csrPEM(t, nil, edKey(t)), "csr-key", "CAs reject: Ed25519."},
		"RSA 1024": {csrPEM(t, nil, weakKey(t, 1024)), "csr-key",
			"RSA of 1024 bits with the exponent 65537"},
		"RSA exponent": {csrPEM(t, nil, exponent3Key(t)), "csr-key",
			"RSA of 2048 bits with the exponent 3"},
		"must-staple": {withExtensions(t, mustStaple), "csr-extension", "OCSP must-staple"},
		"must-staple v2": {withExtensions(t, mustStapleV2), "csr-extension",
			"OCSP must-staple"},
		"critical must-staple, after others": {withExtensions(t, caFalse, keyUsage,
			pkix.Extension{Id: mustStaple.Id, Value: mustStaple.Value, Critical: true}),
			"csr-extension", "OCSP must-staple"},
		"CA certificate":        {withExtensions(t, caTrue), "csr-extension", "CA:TRUE"},
		"malformed constraints": {withExtensions(t, caMalformed), "csr-extension", "CA:TRUE"},
		"name constraints": {withExtensions(t, nameConstraints), "csr-extension",
			"name constraints"},
		"U-label": {replaced("muller.example", "m\xc3\xbcler.example"), "csr-names",
			`contains "müler.example" in Unicode`},
		"U-label in Latin-1": {replaced("muller.example", "m\xfcller.example"), "csr-names",
			`contains "müller.example" in Unicode`},
		"incomplete": {strings.TrimSuffix(plain, "-----\n"), "csr-malformed", "incomplete"},
		"escaped": {strings.ReplaceAll(plain, "\n", `\n`), "csr-malformed",
			`the characters \n`},
	} {
		_, err := rules.ParseCSR(tt.text)
		if !hasCode(err, tt.code) || !strings.Contains(err.Error(), tt.message) {
			t.Errorf("%s: ParseCSR = %v, want the code %s and a message with %q", name, err,
				tt.code, tt.message)
		}
	}
	_, err := rules.ParseCSR(replaced("muller.example", "m\xfcller.example"))
	if e, _ := errors.AsType[*rules.Error](err); e == nil ||
		!strings.Contains(e.Fix, "DNS:xn--mller-kva.example") {
		t.Errorf("U-label: ParseCSR = %v, want a fix with the A-label", err)
	}
}

func TestSameCSR(t *testing.T) {
	t.Parallel()
	a := csrPEM(t, &x509.CertificateRequest{}, ecKey(t, elliptic.P256()))
	b := csrPEM(t, &x509.CertificateRequest{}, ecKey(t, elliptic.P256()))
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{a, a, true}, {a, b, false}, {a, "\ufeff" + a, true}, {a, "x", false}, {"x", "x", true},
		{a, "\n" + strings.ReplaceAll(a, "\n", "\r\n"), true}, {a, "  " + a, true}, {"", a, false},
	} {
		if got := rules.SameCSR(tt.a, tt.b); got != tt.want {
			t.Errorf("SameCSR(%.40q, %.40q) = %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestDecodeCSR(t *testing.T) {
	t.Parallel()
	// accepted by older rules
	pss := csrPEM(t, &x509.CertificateRequest{SignatureAlgorithm: x509.SHA256WithRSAPSS},
		rsaKey(t, 2048))
	if req, err := rules.DecodeCSR("\ufeff" + pss); err != nil || !bytes.Equal(req.Raw, pemBytes(pss)) {
		t.Errorf("DecodeCSR = %v, %v, want the request", req, err)
	}
	if req, err := rules.DecodeCSR("x"); err == nil {
		t.Errorf("DecodeCSR(x) = %v, want an error", req)
	}
}

func TestKeyTypeOf(t *testing.T) {
	t.Parallel()
	for _, key := range []any{nil, "ec256", &rsa.PublicKey{N: rsaKey(t, 2048).N, E: 3}} {
		if got := rules.KeyTypeOf(key); got != "" {
			t.Errorf("KeyTypeOf(%T) = %q, want none", key, got)
		}
	}
	if !slices.Contains(rules.KeyTypes(), rules.DefaultKeyType) {
		t.Errorf("KeyTypes() = %q, want the default %q in it", rules.KeyTypes(),
			rules.DefaultKeyType)
	}
}

func FuzzParseCSR(f *testing.F) {
	f.Add("-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		req, err := rules.ParseCSR(text)
		if _, ok := errors.AsType[*rules.Error](err); (req == nil) != ok {
			t.Errorf("ParseCSR(%q) = %v, %v, want a CSR or a *rules.Error", text, req, err)
		}
	})
}

// sha1Request is a CSR that crypto/x509 no longer creates. Its key was discarded.
const sha1Request = `-----BEGIN CERTIFICATE REQUEST-----
MIICfTCCAWUCAQAwADCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAJ+y
pY7hnr57rvyS9eA1kwOKdM6+ZTZd4QLFAg/+CQueZya3ymgbjXi0zEpWuZzuvVcT
2o2wIQVQIwLJSBygjOWoDLUUldlxA6giqJZgfqjM0ohET3B29rqbo6wcZNK/+Ny2
mS6Y0GYoIGSsohBDdGIfkQybzOS0uId9LxkK55HBUJ9bt6hqQJesk9rRDphI1bMa
5UdDflvll0SrkUCnvBo/pLw1DbjKXC1Xpx1h/FfONq72wRO8xLQSjrW6nKftYuja
39J7wNAVnO5pamFe6lvoYGSg6NI+EaoG9XQ1WKrDCcgsnbQmLXlW6NEJW588zT8O
KbFMuTSuFnajDrwj6ZcCAwEAAaA4MDYGCSqGSIb3DQEJDjEpMCcwJQYDVR0RBB4w
HIILZXhhbXBsZS5jb22CDSouZXhhbXBsZS5jb20wDQYJKoZIhvcNAQEFBQADggEB
ABI8kMOQySreD4NndUOMe5CuY+5xaYccqmdAmUYXZ9+LZri1i3cXIa7h8sCJF2cr
TDzl0MbBpl9CmREzfBXG5w1sPTf6tNZApJiRc4BXG9KqFQn+5JU9gABloOQfnx9E
b6ZibItjM7to+3SH0+/91lhJYDgBpCQBHwf7EwHprevvEBmkIqmg1RmNR0EMNfa1
emChVfJv+Qx7JMgb90GtHVvRC29ijy+Vohy+GLVv2+7xz/0wXJ/afRsrSk5ZSeHn
YWaUAP6hxUNobYPdDQ5j7MnEsbO25YJRG0tHTV0R3kdeko2A6D0x3OpH5rlwPVzr
qwOLCVYIXREHdA4L/WPE/lU=
-----END CERTIFICATE REQUEST-----
`

// csrPEM returns a CSR. The zero template stands for one with the name example.com.
func csrPEM(t *testing.T, template *x509.CertificateRequest, key crypto.Signer) string {
	t.Helper()
	if template == nil {
		template = &x509.CertificateRequest{DNSNames: []string{"example.com"}}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func edKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pemBytes(text string) []byte {
	block, _ := pem.Decode([]byte(text))
	return block.Bytes
}

// replaceDER replaces bytes of a CSR's DER by as many others. Its signature no longer matches.
func replaceDER(t *testing.T, text, old, replacement string) string {
	t.Helper()
	der := pemBytes(text)
	if len(old) != len(replacement) || !bytes.Contains(der, []byte(old)) {
		t.Fatalf("the CSR does not contain %q, or %q has another length", old, replacement)
	}
	der = bytes.ReplaceAll(der, []byte(old), []byte(replacement))
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}
