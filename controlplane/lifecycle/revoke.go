package lifecycle

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// RevokeCertificate revokes a certificate at its CA. If it is the domain's current one, and with
// replace or for a compromised key, it also orders a new certificate with a new key in the same
// transaction. It returns the revocation's job, and whether this call added it. It returns
// KindConflict if the certificate is already revoked. If the domain's CSR has the compromised key,
// it orders nothing, and returns KindInvalid with replace.
func (s *Service) RevokeCertificate(
	ctx context.Context, actor controlplane.Actor, orgID, certificateID, reason string,
	replace bool,
) (*controlplane.Job, bool, error) {
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
			return &controlplane.Error{Kind: controlplane.KindConflict,
				Code: "certificate-revoked", ExistingID: cert.ID,
				Message: "The certificate was revoked at " +
					cert.RevokedAt.Format("2006-01-02 15:04 MST") + ".", Fix: "No action needed."}
		}
		d, err := t.LockDomain(ctx, orgID, cert.DomainID)
		if err != nil {
			return err
		}
		csrCompromised := reason == "keyCompromise" && holdsKeyOf(d.CSRPEM, cert)
		if csrCompromised && replace {
			return controlplane.Invalid("/replace", controlplane.ReasonCSRKeyCompromised,
				"The domain's CSR has the compromised key.",
				"Send a CSR with a different key in csr_pem before you revoke the certificate, or revoke it without replace.")
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
			entry := s.audit(orgID, actor, controlplane.ActionRevokeRequested,
				"certificate", cert.ID, now)
			entry.Details = map[string]any{"domain_id": d.ID, "serial": cert.Serial,
				"reason": reason, "job_id": job.ID}
			if err := t.Audit(ctx, entry); err != nil {
				return err
			}
			if err := s.suspendOrResume(ctx, t, d, csrCompromised, actor.RequestID,
				now); err != nil {
				return err
			}
		}
		if d.CertificateID != cert.ID || csrCompromised || !replace && reason != "keyCompromise" {
			return nil
		}
		return s.orderReplacement(ctx, t, d, actor.RequestID, now)
	})
	return job, started, err
}

// orderReplacement starts the issuance of a certificate that replaces a revoked one. It changes
// nothing if such a job is open.
func (s *Service) orderReplacement(
	ctx context.Context, t *postgres.Tx, d *controlplane.Domain, requestID string, now time.Time,
) error {
	_, added, err := t.AddJob(ctx, newJob(controlplane.JobStartIssuance,
		controlplane.QueueCritical, d, requestID, now))
	if err != nil || !added {
		return err
	}
	d.CheckSince, d.CheckAttempts = now, 0 // the DNS is checked before the order
	showRequested(d, controlplane.JobStartIssuance, now)
	return t.SaveDomain(ctx, d, now)
}

// suspendOrResume suspends the orders of a domain whose CSR has the key of a certificate that is
// being revoked for a compromised key, and resumes them if the reason of the revocation changed.
func (s *Service) suspendOrResume(
	ctx context.Context, t *postgres.Tx, d *controlplane.Domain, csrCompromised bool,
	requestID string, now time.Time,
) error {
	switch {
	case csrCompromised:
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

// revoke runs the revocation that RevokeCertificate requested. It is idempotent.
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
		return errors.New("lifecycle: stored chain has no certificate")
	}
	if err := w.Issuer.Revoke(ctx, leaf.Bytes, cert.CA, cert.Account, code); err != nil {
		w.noticeAccount(ctx, controlplane.AccountKey(cert.CA, cert.Account), cert.Names, err)
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
		entry := w.audit(j.OrgID, w.actor(), controlplane.ActionRevoked, "certificate", cert.ID,
			now)
		entry.Details = map[string]any{"domain_id": d.ID, "serial": cert.Serial, "reason": reason}
		if err := t.Audit(ctx, entry); err != nil {
			return err
		}
		csrCompromised := reason == "keyCompromise" && holdsKeyOf(d.CSRPEM, cert)
		if csrCompromised {
			suspendOrders(d, now)
		}
		if d.CertificateID == cert.ID {
			fix := "Order a new one: POST /api/domains/" + d.ID + "/issue"
			if csrCompromised {
				fix = fixCompromised + ": PATCH /api/domains/" + d.ID
			}
			d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady,
				Status: controlplane.ConditionFalse, Reason: controlplane.ReasonRevoked,
				Message: "The current certificate was revoked (" + reason + ").", Fix: fix,
				LastCheckedAt: &now})
		}
		if d.CertificateID == cert.ID || csrCompromised {
			if err := t.SaveDomain(ctx, d, now); err != nil {
				return err
			}
		}
		return t.CompleteJob(ctx, w.claim, now,
			map[string]any{"certificate_id": cert.ID, "revoked": true})
	})
}

// holdsKeyOf reports whether a CSR, which may be empty, has the certificate's key.
func holdsKeyOf(csrPEM string, cert *controlplane.Certificate) bool {
	leaf, _ := pem.Decode([]byte(cert.ChainPEM))
	if leaf == nil {
		return false
	}
	r, rerr := rules.DecodeCSR(csrPEM)
	l, lerr := x509.ParseCertificate(leaf.Bytes)
	return rerr == nil && lerr == nil &&
		bytes.Equal(r.RawSubjectPublicKeyInfo, l.RawSubjectPublicKeyInfo)
}
