package acme

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// fetchChain sends the request for a chain and checks it as far as it concerns the CA alone. A bad
// chain is the CA's fault, an *Error: the request may be repeated.
func (r *run) fetchChain(url string) ([]*x509.Certificate, error) {
	got, _, err := r.session.core.Certificates.Get(url, true)
	if err != nil {
		return nil, err
	}
	chain, err := parseChain(got)
	if err == nil {
		err = checkIssuers(chain, r.engine.cfg.Now())
	}
	if err != nil {
		return nil, badChain(r.order.CA, err)
	}
	return chain, nil
}

// badChain returns the Error for a chain that servers could not use.
func badChain(ca string, err error) *Error {
	return &Error{Class: Unreachable, Code: "ca-chain", CA: ca, Err: err, passing: true,
		Message: ca + " returned a certificate without a complete chain: " + err.Error() + ".",
		Fix:     controlplane.FixOf("ca-chain")}
}

// checkIssuers returns an error unless each certificate of a chain is signed by the next one, which
// is valid now, and the last one is an issuer (RFC 8555 §7.4.2, RFC 8446 §4.4.2). The root may be
// left out, but not the issuer of the leaf, unless the leaf is its own.
func checkIssuers(chain []*x509.Certificate, now time.Time) error {
	for i, cert := range chain[:len(chain)-1] {
		if !bytes.Equal(cert.RawIssuer, chain[i+1].RawSubject) ||
			cert.CheckSignatureFrom(chain[i+1]) != nil {
			return fmt.Errorf("certificate %d of the chain is not signed by the next certificate",
				i+1)
		}
	}
	last := chain[len(chain)-1]
	switch isRoot := bytes.Equal(last.RawIssuer, last.RawSubject); {
	case isRoot && last.CheckSignature(last.SignatureAlgorithm, last.RawTBSCertificate,
		last.Signature) != nil:
		return fmt.Errorf("certificate %d of the chain is not signed with its own key", len(chain))
	case !isRoot && len(chain) == 1:
		return errors.New("the certificate of its issuer is missing")
	}
	for i, cert := range chain[1:] {
		if now.Add(clockSkew).Before(cert.NotBefore) || !now.Before(cert.NotAfter) {
			return fmt.Errorf("certificate %d of the chain is valid only from %s to %s", i+2,
				cert.NotBefore.UTC().Format(time.RFC3339), cert.NotAfter.UTC().Format(time.RFC3339))
		}
	}
	return nil
}
