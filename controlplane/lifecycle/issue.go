package lifecycle

import (
	"context"
	"errors"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// freshCheck is how old a successful DNS check can be to replace the preflight, unless the order
// was requested after it.
const freshCheck = time.Minute

// issue gets a certificate for the domain: it resumes the order that is in progress, or checks the
// DNS and places an order at the first CA that responds.
//
//  1. The order, with its sealed key and CSR, is stored before the first request to a CA.
//  2. Each step is recorded before the next one starts (the journal).
//  3. Certificate, domain, order, job, and audit entry change in one transaction.
func (w *work) issue(ctx context.Context) error {
	order, err := w.Store.OpenOrder(ctx, w.domain.OrgID, w.domain.ID)
	if err != nil {
		return err
	}
	if ended, err := w.rejectKey(ctx, order); ended || err != nil {
		return err
	}
	if order != nil && outdatedFor(w.domain, order) {
		if err := w.discard(ctx, order, outdated); err != nil {
			return err
		}
		order = nil
	}
	if order == nil {
		if done, err := w.issued(ctx); done || err != nil {
			return err
		}
	}
	w.resumed = order != nil
	r := &round{orders: map[string]int{}, recorded: map[string]bool{}, draw: w.Rand()}
	for {
		if ready, err := w.preflight(ctx, order != nil); err != nil || !ready {
			return err
		}
		if order == nil {
			order, err = w.place(ctx, r)
			if errors.Is(err, errCollected) {
				return w.handBack(ctx)
			}
			if err != nil || order == nil {
				return err
			}
		}
		if err := w.keepChallenges(ctx, order); errors.Is(err, postgres.ErrTargetGone) {
			return w.handBack(ctx)
		} else if err != nil {
			return err
		}
		url, step := order.OrderURL, order.Step
		cert, err := w.runOrder(ctx, order)
		if err == nil {
			return w.store(ctx, order, cert)
		}
		if w.resumed && (order.OrderURL != url || order.Step != step) && !endsOrder(err) {
			// The order proceeded: the pauses start over. A new order always proceeds a little.
			w.claim.Job.Waits = 0
		}
		if ctx.Err() != nil || errors.Is(err, postgres.ErrClaimLost) {
			return err
		}
		if errors.Is(err, postgres.ErrTargetGone) {
			return w.handBack(ctx) // the domain's names changed: the order is outdated
		}
		if errors.Is(err, errDNSLost) {
			return w.loseDNS(ctx, order)
		}
		judged, ok := errors.AsType[controlplane.Judged](err)
		if !ok {
			return err // an internal error: the order is kept and resumed
		}
		again, err := w.judge(ctx, order, judged, r)
		if err != nil || !again {
			return err
		}
		order = nil
	}
}

// endsOrder reports whether err is a verdict that ends the order. The pauses before the next orders
// grow, even if each of them proceeds before it ends.
func endsOrder(err error) bool {
	judged, ok := errors.AsType[controlplane.Judged](err)
	return ok && judged.Verdict().Over
}

// keepChallenges publishes the challenges of a resumed order for longer: the CA may validate them
// at any time, and they expire.
func (w *work) keepChallenges(ctx context.Context, o *controlplane.Order) error {
	if !w.resumed || len(o.Values) == 0 || o.Step.SentCSR() {
		return nil
	}
	now := w.now()
	return w.Store.ExtendChallenges(ctx, w.claim, o, now.Add(w.ChallengeTTL), now)
}

// place returns an order at the CA that is chosen for it: a new one, or one that was set aside. It
// returns nil if it deferred the job.
func (w *work) place(ctx context.Context, r *round) (*controlplane.Order, error) {
	w.resumed = false
	if err := w.zoneProblem(ctx); err != nil {
		return nil, err
	}
	aside, err := w.asideOrders(ctx)
	if err != nil {
		return nil, err
	}
	if len(aside) == 0 { // otherwise a resumed order may cost nothing
		if ok, err := w.spend(ctx); err != nil || !ok {
			return nil, err
		}
	}
	p, err := w.choose(ctx, r, aside)
	if err == nil && p.quota.CA != "" {
		var o *controlplane.Order
		o, err = w.startOrder(ctx, p.quota, aside[p.quota.CA], r)
		if o != nil || errors.Is(err, errOverBudget) {
			return o, nil
		}
	}
	w.refund(ctx)
	if err != nil {
		return nil, err
	}
	return nil, w.noneLeft(ctx, p, r)
}

// startOrder resumes the order that was set aside at the chosen CA, or stores a new one.
func (w *work) startOrder(
	ctx context.Context, q controlplane.QuotaRequest, aside *controlplane.Order, r *round,
) (*controlplane.Order, error) {
	if aside == nil || aside.OrderURL == "" {
		ok, err := w.spend(ctx)
		if err == nil && !ok {
			err = errOverBudget
		}
		if err != nil {
			if w.Governor != nil {
				w.logUpdate(ctx, q.OrderID, w.Governor.Refund(ctx, q, false))
			}
			return nil, err
		}
	}
	if aside == nil {
		o, err := w.createOrder(ctx, q)
		if err != nil {
			return nil, err
		}
		r.orders[o.CA]++
		return o, nil
	}
	ok, err := w.reopen(ctx, aside)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, errCollected
	}
	w.resumed = true
	if aside.OrderURL != "" {
		w.refund(ctx) // it was counted when it was placed
	}
	return aside, nil
}

// errOverBudget is the error of a run that was deferred because the organization's budget is used
// up.
var errOverBudget = errors.New("lifecycle: the order budget is used up")

// errCollected is the error of a run whose order gave its certificate to CollectOrders.
var errCollected = errors.New("lifecycle: the certificate was collected")

// issued completes the job if an order that it placed and set aside gave the domain its current
// certificate. It returns false if it did not.
func (w *work) issued(ctx context.Context) (bool, error) {
	d, j := w.domain, w.claim.Job
	if d.LastIssuedAt == nil || !d.LastIssuedAt.After(j.CreatedAt) {
		return false, nil
	}
	cert, err := w.current(ctx)
	if err != nil || cert == nil {
		return false, err
	}
	o, err := w.Store.Order(ctx, d.OrgID, cert.OrderID)
	if controlplane.IsKind(err, controlplane.KindNotFound) || err == nil &&
		(o.JobID != j.ID || outdatedFor(d, o)) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, w.Store.InTx(ctx, func(t *postgres.Tx) error {
		return t.CompleteJob(ctx, w.claim, w.now(),
			map[string]any{"certificate_id": cert.ID, "ca": cert.CA})
	})
}

// outdated is the verdict on an order that was placed before the domain's options changed.
var outdated = controlplane.Verdict{Code: controlplane.ReasonOptionsChanged,
	Message: "The domain's options changed after the order was placed."}

// preflight checks the DNS, unless done or checked recently, so that no order is placed that no CA
// would issue for, and shows the domain as issuing. If the DNS is misconfigured, it defers the job
// and returns false.
func (w *work) preflight(ctx context.Context, done bool) (bool, error) {
	placed, changed := done, false
	done = done || w.fresh()
	if shown := w.domain.Status == controlplane.DomainActive ||
		w.domain.Status == controlplane.DomainIssuing; done && shown {
		return true, nil
	}
	var seen controlplane.DomainExamination
	var err error
	if !done {
		if seen, err = w.Examine(ctx, w.domain); err != nil {
			return false, err
		}
		if seen, err = w.partly(ctx, seen); err != nil {
			return false, err
		}
	}
	err = w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := w.now()
		d, err := t.LockDomain(ctx, w.domain.OrgID, w.domain.ID)
		if err != nil {
			return err
		}
		if changed = !placed && d.OptionsRevision != w.domain.OptionsRevision; changed {
			w.domain = d
			return nil
		}
		if !done && !seen.OK() {
			return t.Conclude(ctx, w.claim, w.deferForDNS(d, seen, now), now)
		}
		var news []controlplane.AuditEntry
		if !done {
			w.left = nil
			switch next := d.Condition(controlplane.DNSReady).NextCheckAt; {
			case len(seen.Missing) > 0:
				news = w.verifiedNames(d, seen, now)
				for _, m := range seen.Missing {
					w.left = append(w.left, m.Name)
				}
				showDNS(d, seen, next)
			case d.Condition(controlplane.DNSReady).Status != controlplane.ConditionTrue:
				news = w.verified(d, now)
			}
			if len(seen.Missing) == 0 {
				showDNS(d, seen, nil)
				d.CheckAttempts = 0
			}
		}
		if d.Status != controlplane.DomainActive {
			showIssuing(d, now)
		}
		w.domain = d
		if !done {
			if err := t.SaveChecks(ctx, d, seen.Names, now); err != nil {
				return err
			}
		}
		if err := t.SaveDomain(ctx, d, now); err != nil || len(news) == 0 {
			return err
		}
		return t.Audit(ctx, news...)
	})
	if err == nil && changed { // it may have names that were not checked
		return w.preflight(ctx, false)
	}
	return done || seen.OK(), err
}

// fresh reports whether the DNS was verified within freshCheck, and after the last request for a
// check or a certificate.
func (w *work) fresh() bool {
	if w.domain.IssuePartial {
		return false // the names of the order are those that are ready now
	}
	c := w.domain.Condition(controlplane.DNSReady)
	return c.Status == controlplane.ConditionTrue && c.LastCheckedAt != nil &&
		!c.LastCheckedAt.Before(w.domain.CheckSince) && w.now().Sub(*c.LastCheckedAt) < freshCheck
}

// loseDNS defers the job of an order that was not finalized because the DNS no longer works. It
// discards the order, unless the resolvers were unreachable: then the order is kept and resumed.
func (w *work) loseDNS(ctx context.Context, o *controlplane.Order) error {
	if lost := forOrder(w.lost, o); !lost.Transient() {
		cause := lost.Cause()
		v := controlplane.Verdict{Class: controlplane.VerdictDNS, CA: o.CA, Code: cause.Code,
			Message: cause.Summary, Fix: cause.Fix, Over: !o.Step.SentCSR()}
		if err := w.discard(ctx, o, v); err != nil {
			return err
		}
	}
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := w.now()
		d, err := t.LockDomain(ctx, w.domain.OrgID, w.domain.ID)
		if err != nil {
			return err
		}
		return t.Conclude(ctx, w.claim, w.deferForDNS(d, w.lost, now), now)
	})
}
