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
	"fmt"
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
	e := w.engine(t, func(cfg *acme.Config) {
		newVirtual().use(cfg)
		cfg.Breaker.Failures = 1000
	})
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
	const accepted, mismatch, badChain = "", "certificate-mismatch", "ca-chain"
	expired := newTestCA(t, "Test CA", func(c *x509.Certificate) {
		c.NotAfter = time.Now().Add(-time.Minute)
	})
	root, other2 := newTestCA(t, "Test Root"), newTestCA(t, "Test Root")
	sub := root.intermediate(t, "Test Sub")
	subLeaf := sub.sign(t, &x509.Certificate{SerialNumber: big.NewInt(4711),
		DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour)}, mine.Public())
	subPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: sub.der})
	forged := slices.Clone(root.der)
	forged[len(forged)-1] ^= 1 // the end of the signature
	forgedPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: forged})
	tests := []struct {
		name  string
		chain []byte
		code  string
	}{
		{"without the root", join(subLeaf, subPEM), accepted},
		{"with the root", join(subLeaf, subPEM, root.pem), accepted},
		{"only the leaf", leaf(mine, nil), badChain},
		{"gap", join(subLeaf, root.pem), badChain},
		{"root twice", join(subLeaf, subPEM, root.pem, root.pem), accepted},
		{"other root of the same name", join(subLeaf, subPEM, other2.pem), badChain},
		{"forged root", join(subLeaf, subPEM, forgedPEM), badChain},
		{"leaf as issuer", join(subLeaf, subLeaf), badChain},
		{"expired issuer", join(expired.sign(t, &x509.Certificate{SerialNumber: big.NewInt(4711),
			DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour),
			NotAfter: time.Now().Add(time.Hour)}, mine.Public()), expired.pem), badChain},
		{"truncated", join(leaf(mine, nil), issuer.pem[:len(issuer.pem)/2]), badChain},
		{"truncated after the issuer", join(subLeaf, subPEM, root.pem[:len(root.pem)-10]),
			badChain},
		{"empty", nil, badChain},
		{"right", join(leaf(mine, nil), issuer.pem), accepted},
		{"upper-case name",
			join(leaf(mine,
				func(c *x509.Certificate) { c.DNSNames = []string{"WRONG.example.com"} }),
				issuer.pem), accepted},
		{"other name",
			join(leaf(mine,
				func(c *x509.Certificate) { c.DNSNames = []string{"evil.example.com"} }),
				issuer.pem), mismatch},
		{"extra name",
			join(leaf(mine, func(c *x509.Certificate) {
				c.DNSNames = append(c.DNSNames,
					"*."+name)
			}), issuer.pem), mismatch},
		{"no name", join(leaf(mine, func(c *x509.Certificate) { c.DNSNames = nil }), issuer.pem),
			mismatch},
		{"extra email address",
			join(leaf(mine,
				func(c *x509.Certificate) { c.EmailAddresses = []string{"a@example.com"} }),
				issuer.pem), mismatch},
		{"other common name",
			join(leaf(mine,
				func(c *x509.Certificate) { c.Subject.CommonName = "evil.example.com" }),
				issuer.pem), mismatch},
		{"other key", join(leaf(other, nil), issuer.pem), mismatch},
		{"expired", join(leaf(mine,
			func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), issuer.pem),
			mismatch},
		{"not valid yet",
			join(leaf(mine,
				func(c *x509.Certificate) { c.NotBefore = time.Now().Add(10 * time.Minute) }),
				issuer.pem), mismatch},
		{"CA clock slightly ahead",
			join(leaf(mine,
				func(c *x509.Certificate) { c.NotBefore = time.Now().Add(2 * time.Minute) }),
				issuer.pem), accepted},
		{"a CA certificate",
			join(leaf(mine, func(c *x509.Certificate) {
				c.IsCA, c.BasicConstraintsValid = true,
					true
			}), issuer.pem), mismatch},
		{"other issuer of the same name", join(leaf(mine, nil), stranger.pem), badChain},
		{"chain in wrong order", join(issuer.pem, leaf(mine, nil)), badChain},
		{"extra certificate after the chain", join(leaf(mine, nil), issuer.pem, leaf(mine, nil)),
			badChain},
		{"no PEM", []byte("hello"), badChain},
		{"a key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), badChain},
		{"damaged", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), badChain},
	}
	for _, tt := range tests {
		f.rewriteBytes(pathCert, func(int, []byte, http.Header) []byte { return tt.chain })
		o := &controlplane.Order{OrgID: "org_1", DomainID: "dom_1", CA: "pebble",
			Names: []string{name}}
		if err := e.Prepare(t.Context(), o, csr); err != nil {
			t.Fatal(err)
		}
		cert, err := e.Run(t.Context(), o, w.journal(o))
		if tt.code == accepted {
			if err != nil || !bytes.Equal([]byte(cert.ChainPEM), tt.chain) ||
				cert.Serial != "1267" || cert.NotOffered != nil {
				t.Errorf("%s: Run = %+v, %v; want the certificate with the chain", tt.name, cert,
					err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s: Run = nil error, want the code %s", tt.name, tt.code)
			continue
		}
		class, over := acme.Policy, true
		if tt.code == badChain {
			class, over = acme.Unreachable, false // the same order may still give a whole chain
		}
		if e := wantError(t, err, class, tt.code); e.Over != over {
			t.Errorf("%s: Over = %v, want %v", tt.name, e.Over, over)
		}
	}
}

// TestBadChainOnce has the CA return a bad chain at first: the download is repeated in the same
// order.
func TestBadChainOnce(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	for i, spoil := range []func([]byte) []byte{
		func(chain []byte) []byte { // only the leaf
			_, rest := pem.Decode(chain)
			return chain[:len(chain)-len(rest)]
		},
		func(chain []byte) []byte { // only the issuers
			_, rest := pem.Decode(chain)
			return rest
		},
		func(chain []byte) []byte { return chain[:len(chain)-20] },
		func([]byte) []byte { return nil },
		func([]byte) []byte { return []byte("<html>try again</html>") },
	} {
		f.rewriteBytes(pathCert, func(n int, chain []byte, _ http.Header) []byte {
			if n == 1 {
				return spoil(chain)
			}
			return chain
		})
		name := fmt.Sprintf("once%d.example.com", i)
		o := w.order(t, e, name)
		cert, err := e.Run(t.Context(), o, w.journal(o))
		if err != nil {
			t.Errorf("%d: Run after one bad chain = %v, want a certificate", i, err)
			continue
		}
		w.verify(t, cert, o)
		if got := w.ca.OrdersFor(name); got != 1 {
			t.Errorf("%d: CA.OrdersFor(%s) = %d, want 1", i, name, got)
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
		wantError(t, e.Revoke(t.Context(), block.Bytes, "pebble", "", reason), acme.Internal,
			"internal")
	}
	if err := e.Revoke(t.Context(), block.Bytes, "pebble", "", 4); err != nil {
		t.Fatal(err)
	}
	if err := e.Revoke(t.Context(), block.Bytes, "pebble", "", 4); err != nil {
		t.Errorf("second Revoke error = %v, want nil", err)
	}
	wantError(t, e.Revoke(t.Context(), block.Bytes, "nobody", "", 4), acme.OrderGone, "ca-unknown")
	wantError(t, e.Revoke(t.Context(), newTestCA(t, "x").der, "pebble", "", 4), acme.Policy,
		"ca-malformed")
	w.ca.SetDown(true)
	wantError(t, e.Revoke(t.Context(), block.Bytes, "pebble", "", 4), acme.Unreachable,
		"ca-unreachable")
}

type testCA struct {
	cert     *x509.Certificate
	key      *ecdsa.PrivateKey
	der, pem []byte
}

func newTestCA(t *testing.T, name string, change ...func(*x509.Certificate)) *testCA {
	t.Helper()
	ca := &testCA{key: newECKey(t)}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour),
		NotAfter:  time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: []byte{1, 2, 3}}
	for _, c := range change {
		c(template)
	}
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

// intermediate returns a CA whose certificate ca has signed.
func (ca *testCA) intermediate(t *testing.T, name string) *testCA {
	t.Helper()
	sub := newTestCA(t, name)
	sub.cert.SignatureAlgorithm = x509.UnknownSignatureAlgorithm
	block, _ := pem.Decode(ca.sign(t, sub.cert, sub.key.Public()))
	sub.der = block.Bytes
	var err error
	if sub.cert, err = x509.ParseCertificate(sub.der); err != nil {
		t.Fatal(err)
	}
	return sub
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
