package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	whyCompromised = "The key of the domain's CSR is compromised, so no certificate is ordered with it."
	fixCompromised = "Send a CSR with a different key in csr_pem"
)

// compromisedKeys looks up the compromised keys of an organization: a Store or a transaction.
type compromisedKeys interface {
	CompromisedKey(
		ctx context.Context, orgID string, publicKey []byte,
	) (certificateID string, err error)
}

// isCompromised reports whether the key of a CSR is known as compromised in the organization. It
// returns false for a missing or unreadable CSR.
func isCompromised(ctx context.Context, q compromisedKeys, orgID, csrPEM string) (bool, error) {
	request, err := rules.DecodeCSR(csrPEM)
	if err != nil {
		return false, nil
	}
	id, err := q.CompromisedKey(ctx, orgID, request.RawSubjectPublicKeyInfo)
	return id != "", err
}

// checkKey adds an invalid field to e if the key of the CSR is compromised.
func checkKey(
	ctx context.Context, q compromisedKeys, orgID, csrPEM string, e *controlplane.Error,
) error {
	bad, err := isCompromised(ctx, q, orgID, csrPEM)
	if err != nil || !bad {
		return err
	}
	e.Fields = append(e.Fields, controlplane.FieldError{Pointer: "/csr_pem",
		Code:   controlplane.ReasonCSRKeyCompromised,
		Detail: "The key of this CSR is compromised: a certificate with it was revoked or is being revoked."})
	if e.Fix == "" {
		e.Fix = fixCompromised + "."
	}
	return nil
}

// isSuspended reports whether no certificate is ordered until the domain has a CSR with another
// key.
func isSuspended(d *controlplane.Domain) bool {
	return d.Condition(
		controlplane.RenewalOnTrack).Reason == controlplane.ReasonCSRKeyCompromised ||
		d.Condition(controlplane.CertificateReady).Reason == controlplane.ReasonCSRKeyCompromised
}

// suspendOrders suspends the domain's orders and renewals until it has a CSR with another key.
func suspendOrders(d *controlplane.Domain, now time.Time) {
	d.RenewAt, d.ReissueAt = nil, nil
	c := controlplane.Condition{Type: controlplane.RenewalOnTrack,
		Status: controlplane.ConditionFalse, Reason: controlplane.ReasonCSRKeyCompromised,
		Message: whyCompromised,
		Fix:     fixCompromised + ": PATCH /api/domains/" + d.ID, LastCheckedAt: &now}
	if d.CertificateID != "" {
		d.SetCondition(c)
	}
	if !d.HasCertificate(now) {
		d.Status, d.StatusReason = controlplane.DomainError, controlplane.ReasonCSRKeyCompromised
		c.Type = controlplane.CertificateReady
		d.SetCondition(c)
	}
}

// resumeOrders ends a suspension. A domain with a certificate is renewed now, and one without has
// its DNS checked.
func (s *Service) resumeOrders(
	ctx context.Context, t *postgres.Tx, d *controlplane.Domain, requestID string, now time.Time,
) error {
	if d.CertificateID != "" {
		if d.RenewAt, d.RetryAt = &now, nil; d.IsOutdated() && d.AutoIssue {
			d.ReissueAt = &now
		}
		d.SetCondition(renewalPlan(d, now))
		return nil
	}
	d.Status, d.StatusReason = controlplane.DomainPendingCNAME, controlplane.ReasonCNAMEUnchecked
	d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady,
		Status: controlplane.ConditionFalse, Reason: controlplane.ReasonNotIssued,
		Message: "No certificate yet. It is ordered after the CNAME is verified."})
	_, _, err := t.AddJob(ctx, newJob(controlplane.JobDNSCheck, controlplane.QueueCritical, d,
		requestID, now))
	return err
}

// rejectKey abandons the job if the key of the domain's CSR is compromised, and fails the order
// that is in progress. It returns false if the key can be used.
func (w *work) rejectKey(ctx context.Context, order *controlplane.Order) (bool, error) {
	bad, err := isCompromised(ctx, w.Store, w.domain.OrgID, w.domain.CSRPEM)
	if err != nil || !bad {
		return false, err
	}
	if order != nil {
		if err := w.discard(ctx, order,
			controlplane.Verdict{Code: controlplane.ReasonCSRKeyCompromised,
				Message: whyCompromised}); err != nil {
			return true, err
		}
	}
	return true, w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now, j := w.now(), w.claim.Job
		d, err := t.LockDomain(ctx, w.domain.OrgID, w.domain.ID)
		if err != nil {
			return err
		}
		if d.CSRPEM != w.domain.CSRPEM { // it was replaced meanwhile
			return w.handBackIn(ctx, t, now)
		}
		suspendOrders(d, now)
		if err := t.SaveDomain(ctx, d, now); err != nil {
			return err
		}
		entry := w.audit(d.OrgID, w.actor(), j.Type.Kind().Failure, "domain", d.ID, now)
		entry.Details = map[string]any{"job_id": j.ID, "code": controlplane.ReasonCSRKeyCompromised,
			"detail": whyCompromised}
		if err := t.Audit(ctx, entry); err != nil {
			return err
		}
		return t.AbandonJob(ctx, w.claim, now, controlplane.ReasonCSRKeyCompromised, whyCompromised)
	})
}
