package lifecycle

import (
	"context"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// store stores the certificate, which becomes the domain's current one, unless another order gave
// one since this order was placed.
func (w *work) store(
	ctx context.Context, o *controlplane.Order, cert *controlplane.Certificate,
) error {
	now, d := w.now(), *w.domain
	if !isSuperseded(&d, o) && !outdatedFor(&d, o) && len(leftOut(&d, cert.Names)) == 0 {
		if stored, err := w.Store.ConcludeIssuance(ctx, w.claim,
			w.issuance(&d, o, cert, w.actor(), now), now); stored || err != nil {
			return err
		}
	}
	// The domain changed during the order.
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := w.now()
		d, err := t.LockDomain(ctx, o.OrgID, o.DomainID)
		if err != nil {
			return err
		}
		if !isSuperseded(d, o) {
			k := w.issuance(d, o, cert, w.actor(), now)
			if err := t.ConcludeIssuance(ctx, w.claim, k, now); err != nil {
				return err
			}
			if err := w.checkLeftOut(ctx, t, d, cert, now); err != nil {
				return err
			}
			return w.orderAgain(ctx, t, d, now)
		}
		if err := keepAsHistory(ctx, t, d, o, cert, now); err != nil {
			return err
		}
		if err := t.CompleteJob(ctx, w.claim, now,
			map[string]any{"certificate_id": d.CertificateID, "ca": cert.CA}); err != nil {
			return err
		}
		return w.orderAgain(ctx, t, d, now)
	})
}

// own fills in what a certificate of the order belongs to.
func own(
	cert *controlplane.Certificate, d *controlplane.Domain, o *controlplane.Order, now time.Time,
) {
	cert.ID, cert.OrgID, cert.DomainID, cert.OrderID, cert.CreatedAt = controlplane.NewID(
		controlplane.PrefixCertificate), o.OrgID, o.DomainID, o.ID, now
	cert.OptionsRevision = revisionOf(d, o)
}

// issuance returns the changes to the domain, the order, and the job.
func (s *Service) issuance(
	d *controlplane.Domain, o *controlplane.Order, cert *controlplane.Certificate,
	actor controlplane.Actor, now time.Time,
) postgres.Issuance {
	own(cert, d, o, now)
	draw, suspended := s.Rand(), isSuspended(d)
	k := postgres.Issuance{Domain: d, Certificate: cert, Replaces: d.CertificateID, Order: o,
		Watch:  s.renewalWatch(cert, draw, now),
		Result: map[string]any{"certificate_id": cert.ID, "ca": cert.CA}}
	action := controlplane.ActionCertificateIssued
	if k.Replaces != "" {
		action = controlplane.ActionRenewed
	}
	k.Entry = s.audit(d.OrgID, actor, action, "domain", d.ID, now)
	k.Entry.Details = map[string]any{"certificate_id": cert.ID, "order_id": o.ID,
		"job_id": o.JobID, "ca": cert.CA, "serial": cert.Serial,
		"names": cert.Names, "not_after": cert.NotAfter, "replaces": k.Replaces,
		"options_revision": cert.OptionsRevision}
	renewAt, _ := controlplane.RenewTime(cert.NotBefore, cert.NotAfter, nil, draw)
	renewAt = renewAt.Truncate(time.Microsecond)
	d.Status, d.StatusReason = controlplane.DomainActive, ""
	d.CertificateID, d.ExpiresAt, d.RenewAt, d.LastIssuedAt = cert.ID, &cert.NotAfter, &renewAt,
		&now
	d.RetryAt = nil
	d.SetCondition(issuedCondition(cert, now))
	showLeftOut(d, cert)
	if left := leftOut(d, cert.Names); len(left) > 0 {
		k.Entry.Details["missing_names"] = left
	}
	settleRevision(d, cert, now)
	if d.SetCondition(renewalPlan(d, now)); suspended && holdsKeyOf(d.CSRPEM, cert) {
		suspendOrders(d, now) // the key was reported as compromised during the order
	}
	return k
}

// issuedCondition returns CertificateReady of a domain with a new certificate. It says if the CA
// did not offer the preferred chain.
func issuedCondition(cert *controlplane.Certificate, now time.Time) controlplane.Condition {
	c := controlplane.Condition{Type: controlplane.CertificateReady,
		Status: controlplane.ConditionTrue, Reason: controlplane.ReasonIssued,
		Message: "A certificate of " + cert.Issuer + " is valid until " +
			cert.NotAfter.Format("2 January 2006 15:04 MST") + ".", LastCheckedAt: &now}
	missing := cert.NotOffered
	if missing == nil {
		return c
	}
	offered := make([]string, len(missing.Offered))
	for i, root := range missing.Offered {
		offered[i] = storable(root)
	}
	c.Reason = controlplane.ReasonChainNotOffered
	c.Message += " It has the CA's default chain, because " + cert.CA +
		" offers no chain to the root " + missing.Wanted + "."
	c.Expected = missing.Wanted
	c.Observed = controlplane.Observed(offered, ", ")
	c.ObservedCount = len(offered)
	c.Fix = "Set preferred_chain to one of these roots, or to null for the CA's default: " +
		c.Observed + "."
	if missing.Unread {
		c.Message = strings.TrimSuffix(c.Message, ".") + ", or its chains could not be downloaded."
		c.Fix = "The next renewal tries again. " + c.Fix
	}
	return c
}

// forgetChain removes what a domain says about a chain that it no longer prefers.
func forgetChain(ctx context.Context, t *postgres.Tx, d *controlplane.Domain) error {
	c := d.Condition(controlplane.CertificateReady)
	if c.Reason != controlplane.ReasonChainNotOffered {
		return nil
	}
	cert, err := t.Certificate(ctx, d.OrgID, d.CertificateID)
	if err != nil {
		return err
	}
	d.SetCondition(issuedCondition(cert, *c.LastCheckedAt))
	return nil
}

// renewalPlan returns the condition of a domain whose renewal has no problem.
func renewalPlan(d *controlplane.Domain, now time.Time) controlplane.Condition {
	if d.IsOutdated() && d.ReissueAt != nil {
		return renewingCondition(d, now)
	}
	if !d.AutoRenew {
		return controlplane.Condition{Type: controlplane.RenewalOnTrack,
			Status: controlplane.ConditionFalse, Reason: controlplane.ReasonAutoRenewOff,
			Message: "Automatic renewal is off for this domain.",
			Fix:     "Set auto_renew to true, or request the renewal in time.", LastCheckedAt: &now}
	}
	return controlplane.Condition{Type: controlplane.RenewalOnTrack,
		Status: controlplane.ConditionTrue, Reason: controlplane.ReasonScheduled,
		Message: plannedRenewal(*d.RenewAt), LastCheckedAt: &now, NextCheckAt: d.RenewAt}
}
