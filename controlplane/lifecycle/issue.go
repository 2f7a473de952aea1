package lifecycle

import (
	"bytes"
	"context"
	"errors"
	"slices"
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
	// awayWait is when a CA that was away is asked again where the others are over their limits.
	awayWait = 15 * time.Minute
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
	if order != nil && w.outdated(order) {
		if err := w.abandon(ctx, order, outdated); err != nil {
			return err
		}
		order = nil
	}
	checked := false
	tried := map[string]controlplane.Verdict{} // CAs that gave no certificate in this run
	for range maxOrders {
		if ready, err := w.preflight(ctx, order != nil || checked); err != nil || !ready {
			return err
		}
		if order == nil {
			checked = true
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
	return w.noneLeft(ctx, tried)
}

// outdated is the verdict on an order that was begun before the domain's options changed.
var outdated = controlplane.Verdict{Code: optionsChanged, Message: "The domain's options were changed since the order was begun."}

// optionsChanged is a code of orders only: no caller is told it.
const optionsChanged = "options-changed"

// outdated reports whether the order would give another certificate than is wanted now.
func (w *work) outdated(o *controlplane.Order) bool {
	d := w.domain
	names := controlplane.CertificateNames(d.Name, d.Wildcard)
	if d.CSRPEM != "" {
		der, _, err := controlplane.ValidateCSR(d.CSRPEM, names)
		return err != nil || !bytes.Equal(der, o.CSR) || o.Profile != d.Profile || o.PreferredChain != d.PreferredChain
	}
	return !slices.Equal(o.Names, names) || len(o.SealedKey) == 0 || o.KeyType != d.KeyType || o.Profile != d.Profile || o.PreferredChain != d.PreferredChain
}

// preflight makes sure that no order is spent on a domain that no CA would issue for, unless
// that was done already, and says that it is being issued for. Where the DNS is not right
// the job waits, and false is returned.
func (w *work) preflight(ctx context.Context, done bool) (bool, error) {
	was := w.domain.Condition(controlplane.DNSReady)
	done = done || was.Status == "true" && was.LastCheckedAt != nil && w.now().Sub(*was.LastCheckedAt) < freshCheck
	if shown := w.domain.Status == controlplane.DomainActive || w.domain.Status == controlplane.DomainIssuing; done && shown {
		return true, nil
	}
	var seen controlplane.Examination
	var err error
	if !done {
		if seen, err = w.Examine(ctx, w.domain); err != nil {
			return false, err
		}
	}
	err = w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := w.now()
		d, err := t.LockDomain(ctx, w.domain.OrgID, w.domain.ID)
		if err != nil {
			return err
		}
		if !done && !seen.OK() {
			return w.waitForDNS(ctx, t, d, seen, now)
		}
		news := !done && d.Condition(controlplane.DNSReady).Status != "true"
		if !done {
			showDNS(d, seen, nil)
			d.CheckAttempts = 0
		}
		if d.Status != controlplane.DomainActive {
			showIssuing(d, now)
		}
		w.domain = d
		if err := t.SaveDomain(ctx, d, now); err != nil || !news {
			return err
		}
		return w.auditVerified(ctx, t, d, now)
	})
	return done || seen.OK(), err
}

// judge does what a CA's verdict asks for. It returns true where another order should be
// begun in this run; else the job waits, or the error is its failure.
func (w *work) judge(ctx context.Context, o *controlplane.Order, e controlplane.Judged, tried map[string]controlplane.Verdict) (bool, error) {
	v := e.Verdict()
	w.Logger.InfoContext(ctx, "lifecycle: an order gave no certificate", "order", o.ID, "ca", o.CA, "class", v.Class, "code", v.Code, "error", e)
	w.tellGovernor(ctx, o, v)
	switch v.Class {
	case controlplane.VerdictInterrupted:
		return false, w.waitForCA(ctx, v)
	case controlplane.VerdictRateLimited:
		if w.Governor != nil && !w.uncounted && o.OrderURL == "" {
			// The governor has learned of it: it gives another place, or a time of its own to
			// each that waits.
			return true, w.abandon(ctx, o, v)
		}
		tried[o.CA] = v
		if v.RetryAt.IsZero() || v.RetryAt.Sub(w.now()) < shortWait || len(w.left(tried)) == 0 {
			return false, w.waitForCA(ctx, soonest(v, tried, w.now()))
		}
		return true, w.abandon(ctx, o, v)
	case controlplane.VerdictUnreachable, controlplane.VerdictCAAForbids:
		tried[o.CA] = v
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

// soonest returns the verdict v of a CA over its limit, with the time at which some CA is
// worth asking again: another's limit may end sooner, and one that was away may be back.
func soonest(v controlplane.Verdict, tried map[string]controlplane.Verdict, now time.Time) controlplane.Verdict {
	for _, other := range tried {
		at := other.RetryAt
		if other.Class == controlplane.VerdictUnreachable && at.IsZero() {
			at = now.Add(awayWait)
		}
		if other.Class != controlplane.VerdictCAAForbids && !at.IsZero() && at.Before(v.RetryAt) {
			v.RetryAt = at
		}
	}
	return v
}

// noneLeft ends a run in which no CA gave a certificate. Where one is over its limit the job
// waits; else it has failed, for the reason of the CA that is asked first.
func (w *work) noneLeft(ctx context.Context, tried map[string]controlplane.Verdict) error {
	for _, ca := range w.preference() {
		if v, ok := tried[ca]; ok && v.Class == controlplane.VerdictRateLimited {
			return w.waitForCA(ctx, soonest(v, tried, w.now()))
		}
	}
	for _, ca := range w.preference() {
		if v, ok := tried[ca]; ok {
			return judgement(v)
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

// judgement is a verdict as an error.
type judgement controlplane.Verdict

func (j judgement) Error() string                 { return j.CA + ": " + j.Code + ": " + j.Message }
func (j judgement) Verdict() controlplane.Verdict { return controlplane.Verdict(j) }
