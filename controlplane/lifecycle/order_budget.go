package lifecycle

import (
	"context"
	"fmt"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// unit is what a run spent of its organization's order budget: one unit, even if it places orders
// at several CAs.
type unit struct {
	until   time.Time // time at which it no longer counts
	counted bool      // a CA created an order
}

// spend counts the run's orders once against the organization's budget. If the budget is used up,
// it defers the job and returns false. Due renewals do not count. Replacements of revoked
// certificates may use the budget twice: more would make revocations a way around it.
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

// deferForBudget defers the job until the organization can place another order, or until the
// renewal is due, which needs no budget.
func (w *work) deferForBudget(
	ctx context.Context, org *controlplane.Organization, most int, until time.Time,
) error {
	message := fmt.Sprintf(
		"The organization placed %d orders within 24 hours, the limit of its %s plan. Due renewals do not count.", most, org.Tier)
	if at := w.domain.RenewAt; at != nil && at.After(w.now()) && at.Before(until) {
		until = *at
	}
	return w.postpone(ctx, deferral{
		why: deferReason{code: controlplane.ReasonOrderBudget, message: message},
		shown: text{controlplane.ReasonOrderBudget, message,
			"No action needed. The order is placed automatically. A larger plan has a higher limit."},
		next: until.UTC(), silent: true})
}

// refund returns the spent unit if no CA created an order. If it fails, the order counts.
func (w *work) refund(ctx context.Context) {
	if w.unit == nil || w.unit.counted {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := w.Store.UnspendOrder(ctx, w.domain.OrgID, w.unit.until); err != nil {
		w.Logger.InfoContext(ctx,
			"lifecycle: budget refund failed; an order that was not placed counts",
			"job", w.claim.Job.ID, "error", err)
	}
	w.unit = nil
}

// due reports whether the renewal of the domain's certificate is due, and whether the certificate
// is revoked or being revoked. Then a new one is as urgent, but customers decide when that happens.
func (w *work) due(ctx context.Context) (due, revoked bool, err error) {
	cert, err := w.current(ctx)
	if cert == nil || err != nil {
		return false, false, err
	}
	return isDue(ctx, w.Store, w.domain, cert, w.now())
}

// revocations looks up requested revocations: a Store or a transaction.
type revocations interface {
	RevocationRequested(ctx context.Context, orgID, certificateID string) (string, error)
}

func isDue(
	ctx context.Context, known revocations, d *controlplane.Domain, cert *controlplane.Certificate,
	now time.Time,
) (due, revoked bool, err error) {
	if cert.RevokedAt != nil {
		return false, true, nil
	}
	if d.RenewAt != nil && !d.RenewAt.After(now) {
		return true, false, nil
	}
	reason, err := known.RevocationRequested(ctx, d.OrgID, cert.ID)
	return false, reason != "", err
}

// current returns the domain's current certificate, or nil.
func (w *work) current(ctx context.Context) (*controlplane.Certificate, error) {
	if w.domain.CertificateID == "" || w.certificate != nil &&
		w.certificate.ID == w.domain.CertificateID {
		return w.certificate, nil
	}
	var err error
	w.certificate, err = w.Store.Certificate(ctx, w.domain.OrgID, w.domain.CertificateID)
	return w.certificate, err
}
