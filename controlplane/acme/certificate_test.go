package acme_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// TestWrongCertificate has the CA return a certificate that does not match the order.
func TestWrongCertificate(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	e := w.engine(t, newVirtual().use)
	mine, other := newECKey(t), newECKey(t)
	issuer, stranger := newTestCA(t, "Test CA"), newTestCA(t, "Test CA") // same name, other key
	const name = "wrong.example.com"
	csr, err := x509.CreateCertificateRequest(rand.Reader,
		&x509.CertificateRequest{DNSNames: []string{name}}, mine)
	if err != nil {
		t.Fatal(err)
	}
	leaf := func(key crypto.Signer, change func(*x509.Certificate)) []byte {
		template := &x509.Certificate{SerialNumber: big.NewInt(4711), DNSNames: []string{name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
		if change != nil {
			change(template)
		}
		return issuer.sign(t, template, key.Public())
	}
	tests := []struct {
		name  string
		chain []byte
		ok    bool
	}{
		{"right", join(leaf(mine, nil), issuer.pem), true},
		{"upper-case name",
			join(leaf(mine,
				func(c *x509.Certificate) { c.DNSNames = []string{"WRONG.example.com"} }),
				issuer.pem), true},
		{"other name",
			join(leaf(mine,
				func(c *x509.Certificate) { c.DNSNames = []string{"evil.example.com"} }),
				issuer.pem), false},
		{"extra name",
			join(leaf(mine, func(c *x509.Certificate) {
				c.DNSNames = append(c.DNSNames,
					"*."+name)
			}), issuer.pem), false},
		{"no name", join(leaf(mine, func(c *x509.Certificate) { c.DNSNames = nil }), issuer.pem),
			false},
		{"extra email address",
			join(leaf(mine,
				func(c *x509.Certificate) { c.EmailAddresses = []string{"a@example.com"} }),
				issuer.pem), false},
		{"other common name",
			join(leaf(mine,
				func(c *x509.Certificate) { c.Subject.CommonName = "evil.example.com" }),
				issuer.pem), false},
		{"other key", join(leaf(other, nil), issuer.pem), false},
		{"expired", join(leaf(mine,
			func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), issuer.pem),
			false},
		{"not valid yet",
			join(leaf(mine,
				func(c *x509.Certificate) { c.NotBefore = time.Now().Add(10 * time.Minute) }),
				issuer.pem), false},
		{"CA clock slightly ahead",
			join(leaf(mine,
				func(c *x509.Certificate) { c.NotBefore = time.Now().Add(2 * time.Minute) }),
				issuer.pem), true},
		{"a CA certificate",
			join(leaf(mine, func(c *x509.Certificate) {
				c.IsCA, c.BasicConstraintsValid = true,
					true
			}), issuer.pem), false},
		{"other issuer of the same name", join(leaf(mine, nil), stranger.pem), false},
		{"chain in wrong order", join(issuer.pem, leaf(mine, nil)), false},
		{"extra certificate after the chain", join(leaf(mine, nil), issuer.pem, leaf(mine, nil)),
			false},
		{"no PEM", []byte("hello"), false},
		{"a key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), false},
		{"damaged", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), false},
		{"truncated", join(leaf(mine, nil), issuer.pem[:len(issuer.pem)/2]), false},
	}
	unreadable := []string{"no PEM", "a key", "damaged", "truncated"}
	for _, tt := range tests {
		f.rewriteBytes(pathCert, func(int, []byte, http.Header) []byte { return tt.chain })
		o := &controlplane.Order{OrgID: "org_1", DomainID: "dom_1", CA: "pebble",
			Names: []string{name}}
		if err := e.Prepare(t.Context(), o, csr); err != nil {
			t.Fatal(err)
		}
		cert, err := e.Run(t.Context(), o, w.journal(o))
		if tt.ok {
			if err != nil || !bytes.Equal([]byte(cert.ChainPEM), tt.chain) ||
				cert.Serial != "1267" || cert.Issuer != "Test CA" {
				t.Errorf("%s: Run = %+v, %v; want the certificate with the chain", tt.name, cert,
					err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s: Run = nil error, want certificate-mismatch", tt.name)
			continue
		}
		if slices.Contains(unreadable, tt.name) {
			// The certificate may have been issued: the order stays open.
			if e := wantError(t, err, acme.Unreachable, "ca-protocol"); e.Over {
				t.Errorf("%s: Over = true, want false", tt.name)
			}
			continue
		}
		if e := wantError(t, err, acme.Policy, "certificate-mismatch"); !e.Over {
			t.Errorf("%s: Over = false, want true", tt.name)
		}
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	cert := w.issue(t, e, "revoke.example.com")
	block, _ := pem.Decode([]byte(cert.ChainPEM))
	for _, reason := range []int{-1, 7, 11} {
		wantError(t, e.Revoke(t.Context(), block.Bytes, "pebble", reason), acme.Internal,
			"internal")
	}
	if err := e.Revoke(t.Context(), block.Bytes, "pebble", 4); err != nil {
		t.Fatal(err)
	}
	if err := e.Revoke(t.Context(), block.Bytes, "pebble", 4); err != nil {
		t.Errorf("second Revoke error = %v, want nil", err)
	}
	wantError(t, e.Revoke(t.Context(), block.Bytes, "nobody", 4), acme.OrderGone, "ca-unknown")
	wantError(t, e.Revoke(t.Context(), newTestCA(t, "x").der, "pebble", 4), acme.Policy,
		"ca-malformed")
	w.ca.SetDown(true)
	wantError(t, e.Revoke(t.Context(), block.Bytes, "pebble", 4), acme.Unreachable,
		"ca-unreachable")
}

type testCA struct {
	cert     *x509.Certificate
	key      *ecdsa.PrivateKey
	der, pem []byte
}

func newTestCA(t *testing.T, name string) *testCA {
	t.Helper()
	ca := &testCA{key: newECKey(t)}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour),
		NotAfter:  time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: []byte{1, 2, 3}}
	var err error
	if ca.der, err = x509.CreateCertificate(rand.Reader, template, template, &ca.key.PublicKey,
		ca.key); err != nil {
		t.Fatal(err)
	}
	if ca.cert, err = x509.ParseCertificate(ca.der); err != nil {
		t.Fatal(err)
	}
	ca.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.der})
	return ca
}

func (ca *testCA) sign(t *testing.T, template *x509.Certificate, key crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func newECKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
