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
	pss := csrPEM(t, &x509.CertificateRequest{SignatureAlgorithm: x509.SHA256WithRSAPSS}, rsa2048)
	for name, tt := range map[string]struct{ text, keyType string }{
		"P-256":    {plain, rules.KeyEC256},
		"P-384":    {request(ecKey(t, elliptic.P384())), rules.KeyEC384},
		"RSA 2048": {request(rsa2048), rules.KeyRSA2048},
		"RSA 4096": {request(rsaKey(t, 4096)), rules.KeyRSA4096},
		"RSA-PSS":  {pss, rules.KeyRSA2048},
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
		if block, _ := pem.Decode([]byte(tt.text)); !bytes.Equal(req.Raw, block.Bytes) {
			t.Errorf("%s: ParseCSR returns other DER than the PEM block contains", name)
		}
	}

	damaged, _ := pem.Decode([]byte(plain))
	damaged.Bytes[len(damaged.Bytes)-3] ^= 0x55
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
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
		"megabyte":       {strings.Repeat("x", 1<<20), "csr-malformed"},
		"key before CSR": {key + plain, "csr-has-private-key"},
		"key after CSR":  {plain + key, "csr-has-private-key"},
		"SEC 1 key": {strings.ReplaceAll(key, "PRIVATE", "EC PRIVATE") + plain,
			"csr-has-private-key"},
		"Ed25519":           {request(edKey), "csr-key"},
		"P-521":             {request(ecKey(t, elliptic.P521())), "csr-key"},
		"P-224":             {request(ecKey(t, elliptic.P224())), "csr-key"},
		"RSA 3072":          {request(rsaKey(t, 3072)), "csr-key"},
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

func csrPEM(t *testing.T, template *x509.CertificateRequest, key crypto.Signer) string {
	t.Helper()
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
