package lifecycle

import (
	"context"
	"errors"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// freshCheck is how old a good look at the delegation may be to count as the preflight.
	freshCheck = time.Minute
	// maxOrders bounds how many orders one run of a job may begin.
	maxOrders = 4
	// shortWait is how long a CA may make us wait before another CA is asked instead.
	shortWait = time.Minute
)

// issue gets a certificate for the domain: it goes on with the order that is under way, or
// looks at the delegation and begins one, at the first CA that answers.
//
//  1. The order, with its sealed key and request, is stored before a CA hears of it.
//  2. Each step is recorded before the next is begun (the journal).
//  3. Certificate, domain, order, job and audit entry change in one transaction.
func (w *work) issue(ctx context.Context) error {
	order, err := w.Store.OpenOrder(ctx, w.domain.OrgID, w.domain.ID)
	if err != nil {
		return err
	}
	if order == nil {
		if ready, err := w.preflight(ctx); err != nil || !ready {
			return err
		}
	}
	tried := map[string]error{} // CAs that gave no certificate in this run
	for range maxOrders {
		if order == nil {
			place, err := w.choose(ctx, tried)
			if err != nil {
				return err
			}
			if place.wait != nil {
				return w.waitForQuota(ctx, *place.wait)
			}
			if place.quota.CA == "" {
				break
			}
			if order, err = w.begin(ctx, place.quota); err != nil {
				return err
			}
		}
		cert, err := w.Issuer.Run(ctx, order, &journal{w})
		if err == nil {
			return w.store(ctx, order, cert)
		}
		if ctx.Err() != nil || errors.Is(err, postgres.ErrClaimLost) {
			return err
		}
		judged, ok := errors.AsType[controlplane.Judged](err)
		if !ok {
			return err // ours: the order stands and is resumed
		}
		again, err := w.judge(ctx, order, judged, tried)
		if err != nil || !again {
			return err
		}
		order = nil
	}
	return w.allFailed(tried)
}

// preflight makes sure that no order is spent on a domain that is not delegated. Where it
// is not, the job waits, and false is returned.
func (w *work) preflight(ctx context.Context) (bool, error) {
	seen := w.domain.Condition(controlplane.DNSReady)
	if seen.Status == "true" && seen.LastCheckedAt != nil && w.now().Sub(*seen.LastCheckedAt) < freshCheck {
		return true, nil
	}
	found, err := w.Examine(ctx, w.domain)
	if err != nil {
		return false, err
	}
	err = w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := w.now()
		d, err := t.LockDomain(ctx, w.domain.OrgID, w.domain.ID)
		if err != nil {
			return err
		}
		if !found.OK() {
			return w.waitForDNS(ctx, t, d, found, now)
		}
		showDNS(d, found, nil)
		d.CheckAttempts = 0
		if d.Status != controlplane.DomainActive {
			d.Status, d.StatusReason = controlplane.DomainIssuing, ""
		}
		w.domain = d
		return t.SaveDomain(ctx, d, now)
	})
	return found.OK(), err
}

// judge does what a CA's verdict asks for. It returns true where another order should be
// begun in this run; else the job waits, or the error is its failure.
func (w *work) judge(ctx context.Context, o *controlplane.Order, e controlplane.Judged, tried map[string]error) (bool, error) {
	v := e.Verdict()
	w.Logger.InfoContext(ctx, "lifecycle: an order gave no certificate", "order", o.ID, "ca", o.CA, "class", v.Class, "code", v.Code, "error", e)
	w.tellGovernor(ctx, o, v)
	switch v.Class {
	case controlplane.VerdictInterrupted:
		return false, w.waitForCA(ctx, v)
	case controlplane.VerdictRateLimited:
		if w.Governor != nil && o.OrderURL == "" {
			// The governor has learned of it: it gives another place, or a time of its own to
			// each that waits.
			return true, w.abandon(ctx, o, v)
		}
		if v.RetryAt.IsZero() || v.RetryAt.Sub(w.now()) < shortWait || len(tried)+1 >= len(w.Issuer.CAs()) {
			return false, w.waitForCA(ctx, v)
		}
		fallthrough
	case controlplane.VerdictUnreachable, controlplane.VerdictCAAForbids:
		tried[o.CA] = e
		return true, w.abandon(ctx, o, v)
	case controlplane.VerdictOrderGone:
		return true, w.abandon(ctx, o, v)
	case controlplane.VerdictRejected:
		if v.Over {
			if err := w.abandon(ctx, o, v); err != nil {
				return false, err
			}
		}
	}
	return false, e
}

// waitForCA puts the job off until the CA may be asked again; the order stands.
func (w *work) waitForCA(ctx context.Context, v controlplane.Verdict) error {
	next := v.RetryAt
	if now := w.now(); next.Before(now.Add(time.Second)) {
		next = now.Add(30 * time.Second)
	}
	return w.waitUntil(ctx, next.Truncate(time.Microsecond), v.Code, v.Message, v.Fix)
}

// waitUntil puts the job off: what it waits for is no failure, and the domain says until when.
func (w *work) waitUntil(ctx context.Context, next time.Time, code, message, fix string) error {
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := w.now()
		d, err := t.LockDomain(ctx, w.domain.OrgID, w.domain.ID)
		if err != nil {
			return err
		}
		c := controlplane.Condition{Type: controlplane.CertificateReady, Status: "false", Reason: code, Message: message, Fix: fix, LastCheckedAt: &now, NextCheckAt: &next}
		if d.HasCertificate(now) {
			c.Type = controlplane.RenewalOnTrack
		}
		d.SetCondition(c)
		if err := t.SaveDomain(ctx, d, now); err != nil {
			return err
		}
		return t.JobWaits(ctx, w.claim, now, next, code)
	})
}

// abandon ends an order that gives no certificate, so that another can be begun.
func (w *work) abandon(ctx context.Context, o *controlplane.Order, v controlplane.Verdict) error {
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		if err := t.HoldClaim(ctx, w.claim); err != nil {
			return err
		}
		now := w.now()
		if err := t.CloseOrder(ctx, o, controlplane.StepFailed, v.Code, v.Message, now); err != nil {
			return err
		}
		entry := w.audit(o.OrgID, w.actor(), controlplane.ActionOrderFailed, "domain", o.DomainID, now)
		entry.Details = map[string]any{"order_id": o.ID, "ca": o.CA, "code": v.Code, "detail": v.Message}
		if len(v.Problem) > 0 {
			entry.Details["acme"] = v.Problem
		}
		return t.Audit(ctx, entry)
	})
}

// allFailed is the failure of a run in which no CA gave a certificate: that of the CA that
// is asked first.
func (w *work) allFailed(tried map[string]error) error {
	for _, ca := range w.Issuer.CAs() {
		if err := tried[ca]; err != nil {
			return err
		}
	}
	return &controlplane.Error{Kind: controlplane.KindUnavailable, Code: "orders-exhausted",
		Message: "Several orders in a row gave no certificate.", Fix: "Nothing for now: it is tried again."}
}

// store keeps the certificate: from here on it is the domain's current one.
func (w *work) store(ctx context.Context, o *controlplane.Order, cert *controlplane.Certificate) error {
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := w.now()
		d, err := t.LockDomain(ctx, o.OrgID, o.DomainID)
		if err != nil {
			return err
		}
		if err := t.HoldClaim(ctx, w.claim); err != nil {
			return err
		}
		cert.ID, cert.OrgID, cert.DomainID, cert.OrderID, cert.CreatedAt = controlplane.NewID(controlplane.PrefixCertificate), o.OrgID, o.DomainID, o.ID, now
		if err := t.AddCertificate(ctx, cert, d.CertificateID); err != nil {
			return err
		}
		if err := t.CloseOrder(ctx, o, controlplane.StepStored, "", "", now); err != nil {
			return err
		}
		action := controlplane.ActionCertificateIssued
		if d.CertificateID != "" {
			action = controlplane.ActionRenewed
		}
		entry := w.audit(d.OrgID, w.actor(), action, "domain", d.ID, now)
		entry.Details = map[string]any{"certificate_id": cert.ID, "order_id": o.ID, "job_id": w.claim.Job.ID, "ca": cert.CA, "serial": cert.Serial,
			"names": cert.Names, "not_after": cert.NotAfter, "replaces": d.CertificateID}
		renewAt := controlplane.RenewAt(cert.NotBefore, cert.NotAfter)
		d.Status, d.StatusReason = controlplane.DomainActive, ""
		d.CertificateID, d.ExpiresAt, d.RenewAt, d.LastIssuedAt = cert.ID, &cert.NotAfter, &renewAt, &now
		d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady, Status: "true", Reason: "issued",
			Message: "A certificate of " + cert.Issuer + " is in place until " + cert.NotAfter.Format("2 January 2006 15:04 MST") + ".", LastCheckedAt: &now})
		d.SetCondition(w.renewalPlan(d, now))
		if err := t.SaveDomain(ctx, d, now); err != nil {
			return err
		}
		if err := w.watchRenewal(ctx, t, d, now); err != nil {
			return err
		}
		if err := t.Audit(ctx, entry); err != nil {
			return err
		}
		return t.JobDone(ctx, w.claim, now, map[string]any{"certificate_id": cert.ID, "ca": cert.CA})
	})
}

func (w *work) renewalPlan(d *controlplane.Domain, now time.Time) controlplane.Condition {
	if !d.AutoRenew {
		return controlplane.Condition{Type: controlplane.RenewalOnTrack, Status: "false", Reason: "auto-renew-off",
			Message: "Renewal is switched off for this domain.", Fix: "Set auto_renew to true, or call renew in time.", LastCheckedAt: &now}
	}
	return controlplane.Condition{Type: controlplane.RenewalOnTrack, Status: "true", Reason: "scheduled",
		Message: plannedRenewal(*d.RenewAt), LastCheckedAt: &now, NextCheckAt: d.RenewAt}
}
