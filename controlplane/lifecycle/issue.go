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
	// freshCheck is how old a good look at the delegation may be to count as the preflight, if
	// nobody has asked for the order since.
	freshCheck = time.Minute
	// maxOrders bounds how many orders one run of a job may begin.
	maxOrders = 4
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
	if ended, err := w.refuseKey(ctx, order); ended || err != nil {
		return err
	}
	if order != nil && w.outdated(order) {
		if err := w.failOrder(ctx, order, outdated); err != nil {
			return err
		}
		order = nil
	}
	w.resumed = order != nil
	tried := map[string]controlplane.Verdict{} // CAs that gave no certificate in this run
	for range maxOrders {
		if ready, err := w.preflight(ctx, order != nil); err != nil || !ready {
			return err
		}
		if order == nil {
			w.resumed = false
			if ok, err := w.spend(ctx); err != nil || !ok {
				return err
			}
			place, err := w.choose(ctx, tried)
			if err == nil && place.wait == nil && place.quota.CA != "" {
				order, err = w.begin(ctx, place.quota)
			}
			switch {
			case err != nil:
				w.giveBack(ctx)
				return err
			case place.wait != nil:
				w.giveBack(ctx)
				return w.deferForQuota(ctx, place)
			case order == nil:
				w.giveBack(ctx)
				return w.noneLeft(ctx, tried)
			}
		}
		cert, err := w.Issuer.Run(ctx, order, &journal{w})
		if err == nil {
			return w.store(ctx, order, cert)
		}
		if ctx.Err() != nil || errors.Is(err, postgres.ErrClaimLost) {
			return err
		}
		if errors.Is(err, errLost) {
			return w.lose(ctx, order)
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
	done = done || w.fresh()
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

// fresh reports whether the DNS was seen to be right within the last minute, and after a person
// or a token asked last.
func (w *work) fresh() bool {
	c := w.domain.Condition(controlplane.DNSReady)
	return c.Status == controlplane.ConditionTrue && c.LastCheckedAt != nil && !c.LastCheckedAt.Before(w.domain.CheckSince) && w.now().Sub(*c.LastCheckedAt) < freshCheck
}

// lose ends the run of an order before its certificate was asked for. The order is given up,
// unless nothing was learned: then it stands, and is resumed.
func (w *work) lose(ctx context.Context, o *controlplane.Order) error {
	if !w.lost.Transient() {
		cause := w.lost.Cause()
		v := controlplane.Verdict{Class: controlplane.VerdictRejected, CA: o.CA, Code: cause.Code, Message: cause.Summary, Fix: cause.Fix, Over: true}
		w.tellGovernor(ctx, o, v)
		if err := w.failOrder(ctx, o, v); err != nil {
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
