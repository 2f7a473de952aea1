package lifecycle

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// RevokeCertificate has the CA revoke a certificate. With replace, or where the key is
// compromised and the certificate is the domain's current one, a new certificate with a new
// key is ordered in the same transaction. It returns the revocation's job, and whether this
// call started it. A certificate that is revoked already is KindConflict. Where the customer's
// request holds the compromised key nothing is ordered, and replace is KindInvalid.
func (s *Service) RevokeCertificate(ctx context.Context, actor controlplane.Actor, orgID, certificateID, reason string, replace bool) (*controlplane.Job, bool, error) {
	if _, err := controlplane.RevocationCode("/reason", reason); err != nil {
		return nil, false, err
	}
	var job *controlplane.Job
	var started bool
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		cert, err := t.Certificate(ctx, orgID, certificateID)
		if err != nil {
			return err
		}
		if cert.RevokedAt != nil {
			return &controlplane.Error{Kind: controlplane.KindConflict, Code: "certificate-revoked", ExistingID: cert.ID,
				Message: "The certificate was revoked at " + cert.RevokedAt.Format("2006-01-02 15:04 MST") + ".", Fix: "Nothing: it is revoked."}
		}
		d, err := t.LockDomain(ctx, orgID, cert.DomainID)
		if err != nil {
			return err
		}
		spoilt := reason == "keyCompromise" && holdsKeyOf(d.CSRPEM, cert)
		if spoilt && replace {
			return controlplane.Invalid("/replace", controlplane.ReasonCSRKeyCompromised, "The domain's certificate request holds the compromised key.",
				"Send one made with another key in csr_pem, and then revoke; or revoke without replace.")
		}
		before, err := t.RevocationRequested(ctx, orgID, cert.ID)
		if err != nil {
			return err
		}
		if err := t.RequestRevocation(ctx, orgID, cert.ID, reason); err != nil {
			return err
		}
		j := newJob(controlplane.JobRevocation, controlplane.QueueCritical, d, actor.RequestID, now)
		j.CertificateID = cert.ID
		if job, started, err = t.AddJob(ctx, j); err != nil {
			return err
		}
		if started || reason != before {
			entry := s.audit(orgID, actor, controlplane.ActionRevokeRequested, "certificate", cert.ID, now)
			entry.Details = map[string]any{"domain_id": d.ID, "serial": cert.Serial, "reason": reason, "job_id": job.ID}
			if err := t.Audit(ctx, entry); err != nil {
				return err
			}
		}
		if err := s.followKey(ctx, t, d, spoilt, actor.RequestID, now); err != nil {
			return err
		}
		if d.CertificateID != cert.ID || spoilt || !replace && reason != "keyCompromise" {
			return nil
		}
		d.CheckSince, d.CheckAttempts = now, 0 // the DNS is looked at before the order
		if err := t.SaveDomain(ctx, d, now); err != nil {
			return err
		}
		// However often it is asked for, one such job is open at a time.
		_, _, err = t.AddJob(ctx, newJob(controlplane.JobStartIssuance, controlplane.QueueCritical, d, actor.RequestID, now))
		return err
	})
	return job, started, err
}

// followKey holds the domain back whose certificate request holds the key of a certificate that
// is to be revoked for that, and lets it go where the reason was changed.
func (s *Service) followKey(ctx context.Context, t *postgres.Tx, d *controlplane.Domain, spoilt bool, requestID string, now time.Time) error {
	switch {
	case spoilt:
		suspendOrders(d, now)
	case isSuspended(d):
		if bad, err := isCompromised(ctx, t, d.OrgID, d.CSRPEM); err != nil || bad {
			return err
		}
		if err := s.resumeOrders(ctx, t, d, requestID, now); err != nil {
			return err
		}
	default:
		return nil
	}
	return t.SaveDomain(ctx, d, now)
}

// revoke does what RevokeCertificate asked for. Done twice it changes nothing more.
func (w *work) revoke(ctx context.Context) error {
	j := w.claim.Job
	cert, err := w.Store.Certificate(ctx, j.OrgID, j.CertificateID)
	if err != nil {
		return err
	}
	reason, err := w.Store.RevocationRequested(ctx, j.OrgID, cert.ID)
	if err != nil {
		return err
	}
	code, err := controlplane.RevocationCode("/reason", reason)
	if err != nil {
		return err
	}
	leaf, _ := pem.Decode([]byte(cert.ChainPEM))
	if leaf == nil {
		return errors.New("lifecycle: a stored chain without a certificate")
	}
	if err := w.Issuer.Revoke(ctx, leaf.Bytes, cert.CA, code); err != nil {
		return err
	}
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := w.now()
		d, err := t.LockDomain(ctx, j.OrgID, j.DomainID)
		if err != nil {
			return err
		}
		if err := t.CertificateRevoked(ctx, j.OrgID, cert.ID, reason, now); err != nil {
			return err
		}
		entry := w.audit(j.OrgID, w.actor(), controlplane.ActionRevoked, "certificate", cert.ID, now)
		entry.Details = map[string]any{"domain_id": d.ID, "serial": cert.Serial, "reason": reason}
		if err := t.Audit(ctx, entry); err != nil {
			return err
		}
		spoilt := reason == "keyCompromise" && holdsKeyOf(d.CSRPEM, cert)
		if spoilt {
			suspendOrders(d, now)
		}
		if d.CertificateID == cert.ID {
			fix := "Order a new one: POST /api/domains/" + d.ID + "/issue"
			if spoilt {
				fix = fixCompromised + ": PATCH /api/domains/" + d.ID
			}
			d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady, Status: controlplane.ConditionFalse, Reason: controlplane.ReasonRevoked,
				Message: "The current certificate was revoked (" + reason + ").", Fix: fix, LastCheckedAt: &now})
		}
		if d.CertificateID == cert.ID || spoilt {
			if err := t.SaveDomain(ctx, d, now); err != nil {
				return err
			}
		}
		return t.CompleteJob(ctx, w.claim, now, map[string]any{"certificate_id": cert.ID, "revoked": true})
	})
}

// holdsKeyOf reports whether a customer's certificate request, if there is one, is made with
// the certificate's key.
func holdsKeyOf(csrPEM string, cert *controlplane.Certificate) bool {
	request, _ := pem.Decode([]byte(csrPEM))
	leaf, _ := pem.Decode([]byte(cert.ChainPEM))
	if request == nil || leaf == nil {
		return false
	}
	r, rerr := x509.ParseCertificateRequest(request.Bytes)
	l, lerr := x509.ParseCertificate(leaf.Bytes)
	return rerr == nil && lerr == nil && bytes.Equal(r.RawSubjectPublicKeyInfo, l.RawSubjectPublicKeyInfo)
}
