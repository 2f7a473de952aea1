package soak

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"slices"
	"testing"
	"time"
)

// backdated is how long before issuance the validity of a certificate starts.
const backdated = time.Hour

// signer is the intermediate that signs certificates.
type signer struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte
}

// issued is a certificate that the CA issued.
type issued struct {
	names     []string
	at        time.Time
	notBefore time.Time
	notAfter  time.Time
	replaced  bool
	windows   []span // in which the CA suggested to renew it
}

func newSigner(t testing.TB, name string) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1),
		Subject: pkix.Name{CommonName: name + " intermediate"}, IsCA: true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign, NotBefore: start.Add(-day),
		NotAfter: start.Add(20 * 365 * day)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return signer{cert: cert, key: key,
		pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// sign issues a certificate that is valid from an hour before now for the lifetime of the profile,
// and returns its chain and its ARI certificate ID.
func (s signer) sign(
	csr *x509.CertificateRequest, profile string, now time.Time,
) (cert *issued, chain, ariID string, err error) {
	serial := make([]byte, 16)
	_, _ = rand.Read(serial)
	serial[0] = serial[0]&0x3f | 0x40
	cert = &issued{names: slices.Sorted(slices.Values(csr.DNSNames)), at: now,
		notBefore: now.Add(-backdated).Truncate(time.Second)}
	cert.notAfter = cert.notBefore.Add(lives[profile])
	template := &x509.Certificate{SerialNumber: new(big.Int).SetBytes(serial),
		DNSNames: csr.DNSNames, NotBefore: cert.notBefore, NotAfter: cert.notAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, s.cert, csr.PublicKey, s.key)
	var text bytes.Buffer
	_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	text.Write(s.pem)
	return cert, text.String(), b64.EncodeToString(s.cert.SubjectKeyId) + "." +
		b64.EncodeToString(serial), err
}

func (a *ca) finalize(r *request) answer {
	o, refusal := a.own(r)
	if o == nil {
		return refusal
	}
	var in struct{ CSR string }
	if json.Unmarshal(r.payload, &in) != nil {
		return problem(400, "malformed", "no CSR")
	}
	der, _ := b64.DecodeString(in.CSR)
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil || csr.CheckSignature() != nil ||
		!slices.Equal(slices.Sorted(slices.Values(csr.DNSNames)), o.names) {
		return problem(400, "badCSR", "the CSR's names differ from the order's")
	}
	now := a.clock.Now()
	cert, chain, ariID, err := a.signer.sign(csr, o.profile, now)
	if err != nil {
		return problem(500, "serverInternal", "%v", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if o.status != "ready" {
		return problem(403, "orderNotReady", "the order is %s", o.status)
	}
	o.sentAt = now
	if a.denies != nil {
		if o.problem = a.denies(); o.problem != nil {
			o.status = "invalid"
			return a.shown(o, 200)
		}
	}
	if limit := a.limits.issue(now, o); limit != "" {
		a.overstepped(o, limit)
	}
	if o.replaces != nil {
		o.replaces.replaced = true
	}
	o.status, o.chain, o.issuedAt = "processing", chain, now.Add(o.manner.issues)
	a.certs[ariID] = cert
	for _, name := range cert.names {
		a.dns.certified(base(name), cert)
	}
	a.tally.issued++
	a.settle(o, now)
	return a.shown(o, 200)
}

func (a *ca) download(r *request) answer {
	o, refusal := a.own(r)
	if o == nil {
		return refusal
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if o.status != "valid" {
		return problem(404, "malformed", "no such certificate")
	}
	if o.isMissing(o.issuedAt, a.clock.Now()) {
		a.tally.faults["certificate missing on a replica"]++
		return problem(404, "malformed", "certificate not found")
	}
	return answer{status: 200, body: o.chain}
}
