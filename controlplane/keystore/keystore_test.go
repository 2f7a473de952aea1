package keystore_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/keystore"
)

// TestOpenSSLReadsIt reads the file with OpenSSL and compares the result with the input.
func TestOpenSSLReadsIt(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("openssl not found on PATH: run tools/install.sh test")
	}
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"ec": ec, "rsa": rsaKey} {
		for _, password := range []string{"secret", "pass:w0rd with spaces", "pässwörd €"} {
			chain, keyPEM := issue(t, key)
			file, err := keystore.PKCS12(chain, keyPEM, password)
			if err != nil {
				t.Fatalf("PKCS12 of %s with password %q: %v", name, password, err)
			}
			path := filepath.Join(t.TempDir(), "server.p12")
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			read := func(args ...string) string {
				cmd := exec.CommandContext(t.Context(), openssl,
					append([]string{"pkcs12", "-in", path, "-passin", "stdin"}, args...)...)
				cmd.Stdin = strings.NewReader(password + "\n")
				out, err := cmd.Output()
				if err != nil {
					var failed *exec.ExitError
					errors.As(err, &failed)
					t.Fatalf("%s %q: openssl %v: %v: %s", name, password, args, err, failed.Stderr)
				}
				return string(out)
			}
			if got := blocks(read("-nokeys")); got != blocks(chain) {
				t.Errorf("%s %q: the chain changed:\n%s", name, password, got)
			}
			if got := blocks(read("-nocerts", "-nodes")); got != blocks(keyPEM) {
				t.Errorf("%s %q: the key changed", name, password)
			}
			if err := exec.CommandContext(t.Context(), openssl, "pkcs12", "-in", path, "-passin",
				"pass:wrong", "-noout").Run(); err == nil {
				t.Errorf("%s %q: openssl opened the file with a wrong password", name, password)
			}
		}
	}
}

func TestPKCS12Rejects(t *testing.T) {
	t.Parallel()
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	chain, keyPEM := issue(t, key)
	_, otherPEM := issue(t, other)
	for name, tt := range map[string]struct {
		chain, key string
		want       error
	}{
		"no chain":     {"", keyPEM, keystore.ErrChain},
		"no PEM":       {"chain", keyPEM, keystore.ErrChain},
		"key as chain": {keyPEM, keyPEM, keystore.ErrChain},
		"bad DER": {"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
			keyPEM, keystore.ErrChain},
		"no key":       {chain, "", keystore.ErrKey},
		"chain as key": {chain, chain, keystore.ErrKey},
		"bad key": {chain,
			"-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n", keystore.ErrKey},
		"another key": {chain, otherPEM, keystore.ErrMismatch},
	} {
		if _, err := keystore.PKCS12(tt.chain, tt.key, "secret"); !errors.Is(err, tt.want) {
			t.Errorf("PKCS12 with %s: error = %v, want %v", name, err, tt.want)
		}
	}
	for password, code := range map[string]string{"": "password-empty",
		"🔑": "password-characters"} {
		_, err := keystore.PKCS12(chain, keyPEM, password)
		if !controlplane.HasCode(err, code) || !controlplane.IsKind(err, controlplane.KindInvalid) {
			t.Errorf("PKCS12 with password %q: error = %v, want %s", password, err, code)
		}
		if password != "" && strings.Contains(err.Error(), password) {
			t.Errorf("the error quotes the password: %v", err)
		}
	}
}

// issue returns a two-certificate chain for key, and the key, in PEM.
func issue(t *testing.T, key crypto.Signer) (chain, keyPEM string) {
	t.Helper()
	root, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1),
		Subject: pkix.Name{CommonName: "Test Issuer"}, NotBefore: now, NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2),
		DNSNames: []string{"example.com", "*.example.com"}, NotBefore: now,
		NotAfter: now.Add(time.Hour)}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, root.Public(), root)
	if err != nil {
		t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), root)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return encode("CERTIFICATE", leafDER) + encode("CERTIFICATE", caDER),
		encode("PRIVATE KEY", keyDER)
}

// blocks returns the PEM blocks of a text, without openssl's text between them.
func blocks(text string) string {
	var out strings.Builder
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return out.String()
		}
		out.Write(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))
	}
}
