package lifecycle

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	whyCompromised = "The key of the domain's certificate request is compromised, so no certificate is ordered with it."
	fixCompromised = "Send a certificate request that was made with another key in csr_pem"
)

// keys knows the compromised keys of an organization: a Store, or a transaction.
type keys interface {
	CompromisedKey(ctx context.Context, orgID string, publicKey []byte) (certificateID string, err error)
}

// isCompromised reports whether the key of a customer's request is known as compromised in the
// organization. Where there is no request that can be read it is not.
func isCompromised(ctx context.Context, q keys, orgID, csrPEM string) (bool, error) {
	block, _ := pem.Decode([]byte(csrPEM))
	if block == nil {
		return false, nil
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return false, nil
	}
	id, err := q.CompromisedKey(ctx, orgID, request.RawSubjectPublicKeyInfo)
	return id != "", err
}

// checkKey adds to e where the key of a customer's request is compromised.
func checkKey(ctx context.Context, q keys, orgID, csrPEM string, e *controlplane.Error) error {
	bad, err := isCompromised(ctx, q, orgID, csrPEM)
	if err != nil || !bad {
		return err
	}
	e.Fields = append(e.Fields, controlplane.FieldError{Pointer: "/csr_pem", Code: controlplane.ReasonCSRKeyCompromised,
		Detail: "A certificate with the key of this request was revoked because the key is compromised, or is to be."})
	if e.Fix == "" {
		e.Fix = fixCompromised + "."
	}
	return nil
}

// isSuspended reports whether the domain waits for a certificate request with another key.
func isSuspended(d *controlplane.Domain) bool {
	return d.Condition(controlplane.RenewalOnTrack).Reason == controlplane.ReasonCSRKeyCompromised || d.Condition(controlplane.CertificateReady).Reason == controlplane.ReasonCSRKeyCompromised
}

// suspendOrders says that nothing is ordered for the domain until a request with another key comes:
// no renewal is due until then.
func suspendOrders(d *controlplane.Domain, now time.Time) {
	d.RenewAt = nil
	c := controlplane.Condition{Type: controlplane.RenewalOnTrack, Status: controlplane.ConditionFalse, Reason: controlplane.ReasonCSRKeyCompromised, Message: whyCompromised,
		Fix: fixCompromised + ": PATCH /api/domains/" + d.ID, LastCheckedAt: &now}
	if d.CertificateID != "" {
		d.SetCondition(c)
	}
	if !d.HasCertificate(now) {
		d.Status, d.StatusReason = controlplane.DomainError, controlplane.ReasonCSRKeyCompromised
		c.Type = controlplane.CertificateReady
		d.SetCondition(c)
	}
}

// resumeOrders lets certificates be ordered again: what had one is renewed now, and what had none
// has its DNS looked at.
func (s *Service) resumeOrders(ctx context.Context, t *postgres.Tx, d *controlplane.Domain, requestID string, now time.Time) error {
	if d.CertificateID != "" {
		d.RenewAt = &now
		d.SetCondition((&work{Service: s}).renewalPlan(d, now))
		return nil
	}
	d.Status, d.StatusReason = controlplane.DomainPendingCNAME, controlplane.ReasonCNAMEUnchecked
	d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady, Status: controlplane.ConditionFalse, Reason: controlplane.ReasonNotIssued,
		Message: "There is no certificate yet; it is ordered when the CNAME is seen."})
	_, _, err := t.AddJob(ctx, newJob(controlplane.JobDNSCheck, controlplane.QueueCritical, d, requestID, now))
	return err
}

// refuseKey ends the run without an order where the domain's certificate request holds a
// compromised key; it returns false where it does not. An order that is under way is given up.
func (w *work) refuseKey(ctx context.Context, order *controlplane.Order) (bool, error) {
	bad, err := isCompromised(ctx, w.Store, w.domain.OrgID, w.domain.CSRPEM)
	if err != nil || !bad {
		return false, err
	}
	if order != nil {
		if err := w.failOrder(ctx, order, controlplane.Verdict{Code: controlplane.ReasonCSRKeyCompromised, Message: whyCompromised}); err != nil {
			return true, err
		}
	}
	return true, w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now, j := w.now(), w.claim.Job
		d, err := t.LockDomain(ctx, w.domain.OrgID, w.domain.ID)
		if err != nil {
			return err
		}
		if d.CSRPEM != w.domain.CSRPEM { // another has just come
			return t.DeferJob(ctx, w.claim, now, now.Add(busyPause), controlplane.ReasonHandedBack)
		}
		suspendOrders(d, now)
		if err := t.SaveDomain(ctx, d, now); err != nil {
			return err
		}
		entry := w.audit(d.OrgID, w.actor(), failureAction(j.Type), "domain", d.ID, now)
		entry.Details = map[string]any{"job_id": j.ID, "code": controlplane.ReasonCSRKeyCompromised, "detail": whyCompromised}
		if err := t.Audit(ctx, entry); err != nil {
			return err
		}
		return t.AbandonJob(ctx, w.claim, now, controlplane.ReasonCSRKeyCompromised, whyCompromised)
	})
}
