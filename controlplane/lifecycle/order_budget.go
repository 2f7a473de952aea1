package lifecycle

import (
	"context"
	"fmt"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// unit is what a run has spent of its organization's budget of orders: one, however many CAs it
// goes to.
type unit struct {
	until   time.Time // when it no longer counts
	counted bool      // a CA has made an order
}

// spend counts the run's orders against the organization's budget, once. It returns false where
// the budget is used up: then the job waits. What is due is not counted. Of the replacements of
// revoked certificates as many again are allowed, or to revoke would be a way around the budget.
func (w *work) spend(ctx context.Context) (bool, error) {
	due, revoked, err := w.due(ctx)
	if err != nil || due || w.unit != nil {
		return err == nil, err
	}
	org, err := w.Store.Organization(ctx, w.domain.OrgID)
	if err != nil {
		return false, err
	}
	most := org.OrderBudget()
	if revoked {
		most *= 2
	}
	ok, until, err := w.Store.SpendOrder(ctx, w.claim.Job, most, w.now())
	if err != nil {
		return false, err
	}
	if ok {
		w.unit = &unit{until: until}
		return true, nil
	}
	return false, w.deferForBudget(ctx, org, most, until)
}

// deferForBudget puts the job off until the organization may place another order, or until the
// renewal is due, which needs no budget.
func (w *work) deferForBudget(ctx context.Context, org *controlplane.Organization, most int, until time.Time) error {
	message := fmt.Sprintf("The organization has placed %d orders within 24 hours, as many as its %s plan allows beside renewals that are due.", most, org.Tier)
	if at := w.domain.RenewAt; at != nil && at.After(w.now()) && at.Before(until) {
		until = *at
	}
	return w.deferUntil(ctx, until.UTC(), deferReason{code: controlplane.ReasonOrderBudget, message: message},
		"Nothing: the order is placed then. A larger plan allows more.", nil)
}

// giveBack returns what the run has spent, where no CA has made an order for it. That it may
// fail does no harm but that the order counts.
func (w *work) giveBack(ctx context.Context) {
	if w.unit == nil || w.unit.counted {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := w.Store.UnspendOrder(ctx, w.domain.OrgID, w.unit.until); err != nil {
		w.Logger.InfoContext(ctx, "lifecycle: an order that was not placed counts in its budget", "job", w.claim.Job.ID, "error", err)
	}
	w.unit = nil
}

// due reports whether the domain's certificate is to be renewed by now, and whether it is, or
// will be, revoked, which makes a new one as urgent but is in the customer's hand.
func (w *work) due(ctx context.Context) (due, revoked bool, err error) {
	cert, err := w.current(ctx)
	if cert == nil || err != nil {
		return false, false, err
	}
	return isDue(ctx, w.Store, w.domain, cert, w.now())
}

// revocations is what is known of them (the Store, or a transaction).
type revocations interface {
	RevocationRequested(ctx context.Context, orgID, certificateID string) (string, error)
}

func isDue(ctx context.Context, known revocations, d *controlplane.Domain, cert *controlplane.Certificate, now time.Time) (due, revoked bool, err error) {
	if cert.RevokedAt != nil {
		return false, true, nil
	}
	if d.RenewAt != nil && !d.RenewAt.After(now) {
		return true, false, nil
	}
	reason, err := known.RevocationRequested(ctx, d.OrgID, cert.ID)
	return false, reason != "", err
}

// current returns the domain's certificate, nil where there is none.
func (w *work) current(ctx context.Context) (*controlplane.Certificate, error) {
	if w.domain.CertificateID == "" || w.certificate != nil && w.certificate.ID == w.domain.CertificateID {
		return w.certificate, nil
	}
	var err error
	w.certificate, err = w.Store.Certificate(ctx, w.domain.OrgID, w.domain.CertificateID)
	return w.certificate, err
}
