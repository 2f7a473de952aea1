package controlplane_test

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
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestValidateCSR(t *testing.T) {
	t.Parallel()
	p256, p384 := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384())
	rsa2048 := rsaKey(t, 2048)
	names := []string{"example.com", "*.example.com"}
	good := x509.CertificateRequest{DNSNames: names}
	request := func(key crypto.Signer, change func(*x509.CertificateRequest)) string {
		template := good
		if change != nil {
			change(&template)
		}
		return csrPEM(t, &template, key)
	}
	plain := request(p256, nil)
	damaged := func() string {
		block, _ := pem.Decode([]byte(plain))
		block.Bytes[len(block.Bytes)-3] ^= 0x55
		return string(pem.EncodeToMemory(block))
	}

	accepted := []struct {
		name, text string
		kt         controlplane.KeyType
	}{
		{"P-256", plain, controlplane.KeyEC256},
		{"P-384", request(p384, nil), controlplane.KeyEC384},
		{"RSA 2048", request(rsa2048, nil), controlplane.KeyRSA2048},
		{"RSA 4096", request(rsaKey(t, 4096), nil), controlplane.KeyRSA4096},
		{"RSA-PSS", request(rsa2048, func(r *x509.CertificateRequest) { r.SignatureAlgorithm = x509.SHA256WithRSAPSS }), controlplane.KeyRSA2048},
		{"other order", request(p256, func(r *x509.CertificateRequest) { r.DNSNames = []string{names[1], names[0]} }), controlplane.KeyEC256},
		{"upper case", request(p256, func(r *x509.CertificateRequest) { r.DNSNames = []string{"Example.COM", names[1]} }), controlplane.KeyEC256},
		{"common name too", request(p256, func(r *x509.CertificateRequest) { r.Subject.CommonName = "Example.com" }), controlplane.KeyEC256},
		{"with an organization", request(p256, func(r *x509.CertificateRequest) { r.Subject = pkix.Name{Organization: []string{"ACME"}} }), controlplane.KeyEC256},
		{"old label", strings.ReplaceAll(plain, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"), controlplane.KeyEC256},
		{"text around it", "Certificate Request:\n  Data:\n\n" + plain + "\n  \n", controlplane.KeyEC256},
		{"Windows line ends", strings.ReplaceAll(plain, "\n", "\r\n"), controlplane.KeyEC256},
	}
	for _, tt := range accepted {
		der, kt, err := controlplane.ValidateCSR(tt.text, names)
		if err != nil || kt != tt.kt {
			t.Errorf("%s: %s, %v, want %s", tt.name, kt, err, tt.kt)
			continue
		}
		if block, _ := pem.Decode([]byte(tt.text)); !bytes.Equal(der, block.Bytes) {
			t.Errorf("%s: other DER than was sent", tt.name)
		}
	}

	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(p256)
	if err != nil {
		t.Fatal(err)
	}
	keyPEM := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	refused := []struct{ name, text, code string }{
		{"empty", "", "csr-malformed"},
		{"no PEM", "hello", "csr-malformed"},
		{"a certificate", strings.ReplaceAll(plain, "CERTIFICATE REQUEST", "CERTIFICATE"), "csr-malformed"},
		{"two of them", plain + plain, "csr-malformed"},
		{"rubbish behind", plain + "x", "csr-malformed"},
		{"no PKCS#10", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: []byte("x")})), "csr-malformed"},
		{"megabytes", strings.Repeat("x", 1<<20), "csr-malformed"},
		{"a key before it", keyPEM + plain, "csr-has-private-key"},
		{"a key behind it", plain + keyPEM, "csr-has-private-key"},
		{"an old key", strings.ReplaceAll(keyPEM, "PRIVATE", "EC PRIVATE") + plain, "csr-has-private-key"},
		{"Ed25519", request(edKey, nil), "csr-key"},
		{"P-521", request(ecKey(t, elliptic.P521()), nil), "csr-key"},
		{"P-224", request(ecKey(t, elliptic.P224()), nil), "csr-key"},
		{"RSA 3072", request(rsaKey(t, 3072), nil), "csr-key"},
		{"damaged signature", damaged(), "csr-signature"},
		{"signed with SHA-1", sha1Request, "csr-signature"},
		{"a name missing", request(p256, func(r *x509.CertificateRequest) { r.DNSNames = names[:1] }), "csr-names"},
		{"a name more", request(p256, func(r *x509.CertificateRequest) { r.DNSNames = append([]string{"evil.test"}, names...) }), "csr-names"},
		{"another name", request(p256, func(r *x509.CertificateRequest) { r.DNSNames = []string{"evil.test", "*.evil.test"} }), "csr-names"},
		{"another common name", request(p256, func(r *x509.CertificateRequest) { r.Subject.CommonName = "evil.test" }), "csr-names"},
		{"no names", request(p256, func(r *x509.CertificateRequest) { r.DNSNames = nil }), "csr-names"},
		{"only a common name", request(p256, func(r *x509.CertificateRequest) { r.DNSNames, r.Subject.CommonName = nil, names[0] }), "csr-names"},
		{"IP address", request(p256, func(r *x509.CertificateRequest) { r.IPAddresses = []net.IP{{192, 0, 2, 1}} }), "csr-names"},
		{"e-mail address", request(p256, func(r *x509.CertificateRequest) { r.EmailAddresses = []string{"a@example.com"} }), "csr-names"},
		{"URI", request(p256, func(r *x509.CertificateRequest) { r.URIs = []*url.URL{{Scheme: "https", Host: "example.com"}} }), "csr-names"},
	}
	for _, tt := range refused {
		der, kt, err := controlplane.ValidateCSR(tt.text, names)
		e, ok := errors.AsType[*controlplane.Error](err)
		if !ok || der != nil || kt != "" {
			t.Errorf("%s: accepted, or not with an *Error: %v", tt.name, err)
			continue
		}
		if e.Kind != controlplane.KindInvalid || e.Code != tt.code || e.Fix == "" || len(e.Fields) != 1 || e.Fields[0].Pointer != "/csr_pem" {
			t.Errorf("%s: %+v, want code %s at /csr_pem", tt.name, e, tt.code)
		}
	}

	one := request(p256, func(r *x509.CertificateRequest) { r.DNSNames, r.Subject.CommonName = nil, "example.com" })
	if _, _, err := controlplane.ValidateCSR(one, names[:1]); !controlplane.HasCode(err, "csr-names") {
		t.Errorf("only a common name, for one name: %v", err)
	}
}

func FuzzValidateCSR(f *testing.F) {
	f.Add("-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		if _, _, err := controlplane.ValidateCSR(text, []string{"example.com"}); err != nil && !controlplane.IsKind(err, controlplane.KindInvalid) {
			t.Errorf("error of another kind: %v", err)
		}
	})
}

// sha1Request is what crypto/x509 does not make any more. Its key is thrown away.
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
