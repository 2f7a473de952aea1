package provider

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"testing"
)

// same compares the values of several steps: all must be equal.
type same struct{}

func (same) CompareValues(values ...any) error {
	for _, v := range values {
		if v != values[0] {
			return fmt.Errorf("%v changed to %v", values[0], v)
		}
	}
	return nil
}

// differs compares the values of several steps: each must differ from the previous one.
type differs struct{}

func (differs) CompareValues(values ...any) error {
	for i := range values {
		if i > 0 && values[i] == values[i-1] {
			return fmt.Errorf("%v stayed", values[i])
		}
	}
	return nil
}

// makeCSR returns a CSR for names, in PEM.
func makeCSR(t *testing.T, kind string, names ...string) string {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "ec256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ec384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "rsa2048":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		t.Fatalf("no key type %s", kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader,
		&x509.CertificateRequest{DNSNames: names}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func readFile(a *acc, path string) string {
	a.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		a.Fatal(err)
	}
	return string(b)
}

// webhookSecret returns a different webhook secret for each number.
func webhookSecret(n int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%032d", n))
}
