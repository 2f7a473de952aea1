package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// slowOrder is how long a CA may take for an order until it is set aside, and urgentOrder is
	// the same while a person waits, or if the certificate expires within urgentExpiry.
	slowOrder    = 15 * time.Minute
	urgentOrder  = 2 * time.Minute
	urgentExpiry = 24 * time.Hour

	asidePollFirst = 2 * time.Minute
	// asideLife is how long an order is polled if its CA has not stated when it expires.
	asideLife = 7 * 24 * time.Hour
)

// superseded is the verdict on an order that was set aside and is no longer needed.
var superseded = controlplane.Verdict{Code: orderSuperseded,
	Message: "Another order gave the certificate first."}

// orderSuperseded is an error code of stored orders. No API response contains it.
const orderSuperseded = "superseded"

// isSlow reports whether the CA has had enough time for the order.
func (w *work) isSlow(o *controlplane.Order) bool {
	now, d := w.now(), w.domain
	most := slowOrder
	if w.personWaits(now) || d.HasCertificate(now) && d.ExpiresAt.Sub(now) < urgentExpiry {
		most = urgentOrder
	}
	return now.Sub(o.CreatedAt) >= most
}

// setAside sets the order aside, so that another CA can be used.
func (w *work) setAside(ctx context.Context, o *controlplane.Order, v controlplane.Verdict) error {
	w.Logger.InfoContext(ctx, "lifecycle: order set aside", "order", o.ID, "ca", o.CA,
		"step", o.Step, "code", v.Code)
	if w.unit != nil {
		w.unit.counted = w.unit.counted || o.OrderURL != ""
	}
	now := w.now()
	entry := w.orderEntry(controlplane.ActionOrderSetAside, o, v, now)
	return w.Store.SetOrderAside(ctx, w.claim, o, v, entry, now.Add(asidePollFirst), now)
}

// asideOrders returns the orders that can be resumed, by CA: those that were set aside and can
// still give the certificate that the job is for.
func (w *work) asideOrders(ctx context.Context) (map[string]*controlplane.Order, error) {
	orders, err := w.Store.SetAsideOrders(ctx, w.domain.OrgID, w.domain.ID)
	if err != nil {
		return nil, err
	}
	by := map[string]*controlplane.Order{}
	for i := range orders {
		if o := &orders[i]; by[o.CA] == nil && !isSuperseded(w.domain, o) &&
			!outdatedFor(w.domain, o) && !hasExpired(o, w.now()) {
			by[o.CA] = o
		}
	}
	return by, nil
}

// isSuperseded reports whether the domain got a certificate after the order was placed.
func isSuperseded(d *controlplane.Domain, o *controlplane.Order) bool {
	return d.LastIssuedAt != nil && d.LastIssuedAt.After(o.CreatedAt)
}

func hasExpired(o *controlplane.Order, now time.Time) bool {
	expires := o.ExpiresAt
	if expires.IsZero() {
		expires = o.CreatedAt.Add(asideLife)
	}
	return !expires.After(now)
}

// reopen makes an order that was set aside the one in progress. It returns false if it gave its
// certificate meanwhile.
func (w *work) reopen(ctx context.Context, o *controlplane.Order) (ok bool, err error) {
	err = w.Store.InTx(ctx, func(t *postgres.Tx) error {
		if err := t.HoldClaim(ctx, w.claim); err != nil {
			return err
		}
		ok, err = t.ReopenOrder(ctx, o, w.now())
		return err
	})
	return ok, err
}
