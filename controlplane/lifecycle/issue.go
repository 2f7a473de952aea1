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
	if order != nil && w.outdated(order) {
		if err := w.failOrder(ctx, order, outdated); err != nil {
			return err
		}
		order = nil
	}
	w.resumed = order != nil
	r := &round{orders: map[string]int{}, draw: w.Rand()}
	for {
		if ready, err := w.preflight(ctx, order != nil); err != nil || !ready {
			return err
		}
		if order == nil {
			if order, err = w.place(ctx, r); err != nil || order == nil {
				return err
			}
		}
		cert, err := w.runOrder(ctx, order)
		if err == nil {
			return w.store(ctx, order, cert)
		}
		if ctx.Err() != nil || errors.Is(err, postgres.ErrClaimLost) {
			return err
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

// place stores a new order at the CA that is chosen for it. It returns nil if it deferred the job.
func (w *work) place(ctx context.Context, r *round) (*controlplane.Order, error) {
	w.resumed = false
	if ok, err := w.spend(ctx); err != nil || !ok {
		return nil, err
	}
	p, err := w.choose(ctx, r)
	if err == nil && p.quota.CA != "" {
		var o *controlplane.Order
		if o, err = w.createOrder(ctx, p.quota); err == nil {
			r.orders[o.CA]++
			return o, nil
		}
	}
	w.refund(ctx)
	if err != nil {
		return nil, err
	}
	return nil, w.noneLeft(ctx, p, r)
}

// outdated is the verdict on an order that was placed before the domain's options changed.
var outdated = controlplane.Verdict{Code: optionsChanged,
	Message: "The domain's options changed after the order was placed."}

// optionsChanged is an error code of stored orders. No API response contains it.
const optionsChanged = "options-changed"

// outdated reports whether the order's certificate would differ from the domain's options.
func (w *work) outdated(o *controlplane.Order) bool {
	d := w.domain
	names := controlplane.CertificateNames(d.Name, d.Wildcard)
	if d.CSRPEM != "" {
		der, _, err := controlplane.StoredCSR(d.CSRPEM)
		return err != nil || !bytes.Equal(der, o.CSR) || !slices.Equal(o.Names, names) ||
			o.Profile != d.Profile || o.PreferredChain != d.PreferredChain
	}
	return !slices.Equal(o.Names, names) || len(o.SealedKey) == 0 || o.KeyType != d.KeyType ||
		o.Profile != d.Profile || o.PreferredChain != d.PreferredChain
}

// preflight checks the DNS, unless done or checked recently, so that no order is placed that no CA
// would issue for, and shows the domain as issuing. If the DNS is misconfigured, it defers the job
// and returns false.
func (w *work) preflight(ctx context.Context, done bool) (bool, error) {
	done = done || w.fresh()
	if shown := w.domain.Status == controlplane.DomainActive ||
		w.domain.Status == controlplane.DomainIssuing; done && shown {
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
			return t.Conclude(ctx, w.claim, w.deferForDNS(d, seen, now), now)
		}
		news := !done && d.Condition(controlplane.DNSReady).Status != controlplane.ConditionTrue
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
		return t.Audit(ctx, w.verified(d, now)...)
	})
	return done || seen.OK(), err
}

// fresh reports whether the DNS was verified within freshCheck, and after the last request for a
// check or a certificate.
func (w *work) fresh() bool {
	c := w.domain.Condition(controlplane.DNSReady)
	return c.Status == controlplane.ConditionTrue && c.LastCheckedAt != nil &&
		!c.LastCheckedAt.Before(w.domain.CheckSince) && w.now().Sub(*c.LastCheckedAt) < freshCheck
}

// loseDNS defers the job of an order that was not finalized because the DNS no longer works. It
// fails the order, unless the resolvers were unreachable: then the order is kept and resumed.
func (w *work) loseDNS(ctx context.Context, o *controlplane.Order) error {
	if !w.lost.Transient() {
		cause := w.lost.Cause()
		v := controlplane.Verdict{Class: controlplane.VerdictDNS, CA: o.CA, Code: cause.Code,
			Message: cause.Summary, Fix: cause.Fix, Over: true}
		if err := w.giveUp(ctx, o, v); err != nil {
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
