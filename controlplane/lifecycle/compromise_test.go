package lifecycle_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// compromised returns a domain with a CSR whose certificate was revoked for a compromised key.
func compromised(t *testing.T) (w *world, ca *revoker, d *controlplane.Domain, request string) {
	t.Helper()
	w, ca = newRevoking(t)
	request = csr(t, "example.com")
	d = w.active("example.com", func(o *controlplane.Options) { o.CSRPEM = request })
	_, _, err := w.RevokeCertificate(t.Context(), alice, w.org, d.CertificateID,
		"keyCompromise", false)
	must(t, err)
	w.run(d, controlplane.JobRevocation)
	return w, ca, w.domain(d), request
}

// No certificate is ordered with a CSR whose key is compromised, until the CSR is replaced.
func TestCompromisedKeyIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	w, ca, d, request := compromised(t)
	c := wantCondition(t, d, controlplane.RenewalOnTrack, "false", "csr-key-compromised")
	if !strings.Contains(c.Fix, "csr_pem") || d.RenewAt != nil ||
		d.Status != controlplane.DomainActive {
		t.Errorf("RenewalOnTrack = %+v, renewal at %v, want a fix with csr_pem, and no renewal", c,
			d.RenewAt)
	}
	w.clock.add(80 * day)
	if n, err := w.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("Sweep = %d, %v, want 0", n, err)
	}
	for name, ask := range map[string]func() error{
		"issue": func() error {
			_, _, err := w.RequestIssue(t.Context(), alice, w.org,
				d.ID)
			return err
		},
		"renew": func() error {
			_, _, err := w.RequestRenew(t.Context(), alice, w.org,
				d.ID)
			return err
		},
		"patch": func() error {
			_, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
				lifecycle.DomainPatch{CSRPEM: &request})
			return err
		},
		"add": func() error {
			_, err := w.AddDomain(t.Context(), alice, w.org,
				lifecycle.NewDomain{Name: "example.com",
					Options: controlplane.Options{CSRPEM: request}})
			return err
		},
	} {
		if e := wantError(t, name, ask(), controlplane.KindInvalid,
			"csr-key-compromised"); !slices.Equal(pointers(e),
			[]string{"/csr_pem csr-key-compromised"}) {
			t.Errorf("%s: invalid fields = %q, want only /csr_pem csr-key-compromised", name,
				pointers(e))
		}
	}
	if added, err := w.AddDomains(t.Context(), alice, w.org,
		[]lifecycle.NewDomain{{Name: "example.com",
			Options: controlplane.Options{CSRPEM: request}}}); err != nil {
		t.Error(err)
	} else {
		wantError(t, "add many", added[0].Err, controlplane.KindInvalid, "csr-key-compromised")
	}
	// Other organizations and other options are not affected.
	other := w.organization(10)
	_, err := w.AddDomain(t.Context(), alice, other,
		lifecycle.NewDomain{Name: "example.com", Options: controlplane.Options{CSRPEM: request}})
	must(t, err)
	labels := map[string]string{"team": "web"}
	if d, err = w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
		lifecycle.DomainPatch{Labels: &labels}); err != nil || d.RenewAt != nil {
		t.Errorf("UpdateDomain(labels) = %+v, %v, want orders that stay suspended", d, err)
	}

	next := csr(t, "example.com")
	d, err = w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
		lifecycle.DomainPatch{CSRPEM: &next})
	must(t, err)
	wantCondition(t, d, controlplane.RenewalOnTrack, "true", "options-changed")
	if n, err := w.Sweep(t.Context()); n != 1 || err != nil {
		t.Errorf("Sweep = %d, %v, want 1", n, err)
	}
	before := len(ca.runs())
	wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
	if n := len(ca.runs()) - before; n != 1 {
		t.Errorf("%d orders after the CSR was replaced, want 1", n)
	}
	wantCondition(t, w.domain(d), controlplane.CertificateReady, "true", "issued")
}

// A job with a compromised key, for example of a domain that shares the key, is abandoned without
// an order, and an order in progress fails.
func TestJobWithACompromisedKeyPlacesNoOrder(t *testing.T) {
	t.Parallel()
	w, ca := newRevoking(t)
	request := csr(t, "example.com")
	d := w.active("example.com", func(o *controlplane.Options) { o.CSRPEM = request })
	_, _, err := w.RequestRenew(t.Context(), alice, w.org, d.ID)
	must(t, err)
	ca.reject(map[string]verdict{"primary": verdictOf(controlplane.VerdictInterrupted)})
	w.run(d, controlplane.JobRenewal)
	ca.answer(nil)
	before := len(ca.runs())
	_, _, err = w.RevokeCertificate(t.Context(), alice, w.org, d.CertificateID,
		"keyCompromise", false)
	must(t, err)
	j := w.runDue(d, controlplane.JobRenewal)
	wantJob(t, j, controlplane.JobFailed, "csr-key-compromised", 0)
	if n := len(ca.runs()) - before; n != 0 || j.DeadLetteredAt != nil ||
		j.LastErrorCode != "csr-key-compromised" {
		t.Errorf("%d orders, job %+v, want no order and no dead letter", n, j)
	}
	if n := value[int](w,
		`SELECT count(*) FROM acme_orders WHERE step NOT IN ('stored', 'failed')`); n != 0 {
		t.Errorf("%d orders are open, want 0", n)
	}
	if e := w.last(d.ID); e.Action != controlplane.ActionRenewalFailed ||
		e.Details["code"] != "csr-key-compromised" {
		t.Errorf("last entry = %+v, want domain.renewal_failed with csr-key-compromised", e)
	}
	// The reason can be changed until the CA has revoked the certificate.
	_, _, err = w.RevokeCertificate(t.Context(), alice, w.org, d.CertificateID, "superseded", false)
	must(t, err)
	if d = w.domain(d); d.RenewAt == nil {
		t.Error("no renewal is scheduled after the reason changed")
	}
	wantCondition(t, d, controlplane.RenewalOnTrack, "true", "scheduled")
}

// A certificate that is issued while its key is reported as compromised is stored, and is the last
// one.
func TestKeyIsCompromisedDuringTheOrder(t *testing.T) {
	t.Parallel()
	w, ca := newRevoking(t)
	d := w.active("example.com", func(o *controlplane.Options) { o.CSRPEM = csr(t, "example.com") })
	_, _, err := w.RequestRenew(t.Context(), alice, w.org, d.ID)
	must(t, err)
	ca.answer(func(ctx context.Context, _ *controlplane.Order, _ controlplane.Journal) error {
		_, _, err := w.RevokeCertificate(ctx, alice, w.org, d.CertificateID, "keyCompromise", false)
		return err
	})
	wantJob(t, w.run(d, controlplane.JobRenewal), controlplane.JobSucceeded, "", 0)
	now := w.domain(d)
	wantCondition(t, now, controlplane.RenewalOnTrack, "false", "csr-key-compromised")
	if now.CertificateID == d.CertificateID || now.RenewAt != nil {
		t.Errorf("domain = %+v, want the new certificate and no renewal time", now)
	}
	w.doctor.finds(controlplane.CauseCNAMEMissing) // a DNS check does not change the reason
	_, _, err = w.RequestCheck(t.Context(), alice, w.org, d.ID)
	must(t, err)
	w.run(d, controlplane.JobDNSCheck)
	wantCondition(t, w.domain(d), controlplane.RenewalOnTrack, "false", "csr-key-compromised")
}

// A new domain with a compromised key shows the reason, and starts when the CSR is removed.
func TestCompromisedKeyOfANewDomain(t *testing.T) {
	t.Parallel()
	w, ca := newRevoking(t)
	request := csr(t, "example.com")
	d := w.issuing("example.com", func(o *controlplane.Options) { o.CSRPEM = request })
	w.exec(`INSERT INTO certificates (id, org_id, domain_id, order_id, names, serial, issuer, ca, key_type, not_before, not_after, fingerprint_sha256, chain_pem, revocation_reason)
		VALUES ('crt_old', $1, $2, 'ord_old', '{example.com}', '01', 'Test CA', 'primary', 'ec256', now(), now(), 'ab', $3, 'keyCompromise')`, w.org, d.ID, certificateOf(t, request))
	wantJob(t, w.run(d, controlplane.JobStartIssuance), controlplane.JobFailed,
		"csr-key-compromised", 0)
	now := w.domain(d)
	wantStatus(t, now, controlplane.DomainError, "csr-key-compromised")
	wantCondition(t, now, controlplane.CertificateReady, "false", "csr-key-compromised")
	if n := len(ca.runs()); n != 0 {
		t.Errorf("%d orders with the compromised key, want 0", n)
	}
	none := ""
	_, err := w.UpdateDomain(t.Context(), alice, w.org, d.ID, 0,
		lifecycle.DomainPatch{CSRPEM: &none})
	must(t, err)
	w.run(d, controlplane.JobDNSCheck)
	w.run(d, controlplane.JobStartIssuance)
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
}

// certificateOf returns a PEM certificate with the key of a CSR.
func certificateOf(t *testing.T, request string) string {
	t.Helper()
	block, _ := pem.Decode([]byte(request))
	req, err := x509.ParseCertificateRequest(block.Bytes)
	must(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: req.DNSNames}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, req.PublicKey, key)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
