package acme

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-acme/lego/v4/certificate"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// clockSkew is how far a CA's clock may be ahead of the local clock.
const clockSkew = 5 * time.Minute

// download fetches the chain (RFC 8555 §7.4.2), checks it, and returns it as a certificate.
func (r *run) download() (*controlplane.Certificate, error) {
	var chain []*x509.Certificate
	err := r.read(atCertificate, func() (err error) {
		chain, err = r.fetchChain(r.order.CertificateURL)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := checkLeaf(chain[0], r.order, r.engine.cfg.Now()); err != nil {
		return nil, &Error{Class: Policy, Code: "certificate-mismatch", CA: r.order.CA,
			Over: true, Err: err,
			Message: r.order.CA + " issued a certificate that does not match the order: " +
				err.Error() + ".",
			Fix: controlplane.FixOf("certificate-mismatch")}
	}
	chain, missing := r.preferred(chain, r.session.wire.header)
	cert := r.certificate(chain)
	cert.NotOffered = missing
	return cert, nil
}

// parseChain parses one or more PEM certificates.
func parseChain(text []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("the chain has a PEM block of type %q, want CERTIFICATE",
				clip(block.Type, 50))
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of the chain is malformed", len(chain)+1)
		}
		chain = append(chain, cert)
	}
	switch {
	case len(chain) == 0:
		return nil, errors.New("the response contains no certificate")
	case bytes.Contains(text, []byte("-----BEGIN")):
		return nil, errors.New("the chain is truncated")
	}
	return chain, nil
}

// checkLeaf returns an error if the certificate's names or key differ from the order, or if it is
// not valid now.
func checkLeaf(leaf *x509.Certificate, o *controlplane.Order, now time.Time) error {
	if err := checkNames(leaf, o.Names); err != nil {
		return err
	}
	csr, err := x509.ParseCertificateRequest(o.CSR)
	if err != nil {
		return errors.New("the order's CSR is malformed")
	}
	if !bytes.Equal(csr.RawSubjectPublicKeyInfo, leaf.RawSubjectPublicKeyInfo) {
		return errors.New("its key does not match the CSR")
	}
	if leaf.IsCA {
		return errors.New("it is a CA certificate")
	}
	if now.Add(clockSkew).Before(leaf.NotBefore) || !now.Before(leaf.NotAfter) {
		return fmt.Errorf("it is not valid now, only from %s to %s",
			leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// checkNames returns an error unless the certificate's names are the ordered ones. A common name
// must be one of them.
func checkNames(leaf *x509.Certificate, names []string) error {
	got := make([]string, len(leaf.DNSNames))
	for i, name := range leaf.DNSNames {
		got[i] = strings.ToLower(name)
	}
	want := slices.Clone(names)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(slices.Compact(got), slices.Compact(want)) || len(leaf.IPAddresses)+
		len(leaf.EmailAddresses)+len(leaf.URIs) > 0 {
		return fmt.Errorf("its names are %s", clip(strings.Join(got, ", "), 300))
	}
	if cn := strings.ToLower(leaf.Subject.CommonName); cn != "" && !slices.Contains(want, cn) {
		return fmt.Errorf("its common name %q was not ordered", clip(cn, 253))
	}
	return nil
}

// certificate returns the certificate of a checked chain.
func (r *run) certificate(chain []*x509.Certificate) *controlplane.Certificate {
	leaf, o := chain[0], r.order
	var text bytes.Buffer
	for _, cert := range chain {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	}
	fingerprint := sha256.Sum256(leaf.Raw)
	cert := &controlplane.Certificate{
		ID: controlplane.NewID(controlplane.PrefixCertificate), OrgID: o.OrgID,
		DomainID: o.DomainID, OrderID: o.ID,
		Names: slices.Clone(o.Names), Serial: hex.EncodeToString(leaf.SerialNumber.Bytes()),
		Issuer: leaf.Issuer.CommonName,
		CA:     o.CA, Account: o.Account, Profile: o.Profile, KeyType: o.KeyType,
		NotBefore: leaf.NotBefore.UTC(), NotAfter: leaf.NotAfter.UTC(),
		FingerprintSHA256: hex.EncodeToString(fingerprint[:]), ChainPEM: text.String(),
		SealedKey: o.SealedKey, CreatedAt: r.engine.cfg.Now(),
	}
	if len(leaf.AuthorityKeyId) > 0 {
		if id, err := certificate.MakeARICertID(leaf); err == nil {
			cert.ARIID = id
		}
	}
	return cert
}
