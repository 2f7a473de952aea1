package lifecycle

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

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
	asidePollMost  = 30 * time.Minute
	asidePollLease = 10 * time.Minute
	asideBatch     = 100
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

// CollectOrders polls the orders that were set aside and are due, and stores the certificates that
// were issued meanwhile. It returns the number of orders.
func (s *Service) CollectOrders(ctx context.Context) (int, error) {
	total := 0
	for {
		now := s.now()
		due, err := s.Store.DueSetAside(ctx, now, now.Add(asidePollLease), now.Add(s.ChallengeTTL),
			asideBatch)
		total += len(due)
		if err != nil || len(due) == 0 {
			return total, err
		}
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(16)
		for i := range due {
			g.Go(func() error { return s.collect(gctx, &due[i]) })
		}
		if err := g.Wait(); err != nil {
			return total, err
		}
	}
}

// collect polls one order that was set aside.
func (s *Service) collect(ctx context.Context, o *controlplane.Order) error {
	d, err := s.Store.Domain(ctx, o.OrgID, o.DomainID)
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	over := hasExpired(o, s.now())
	if !o.ResumeStep.SentCSR() && (over || isSuperseded(d, o) || outdatedFor(d, o)) {
		return s.dropAside(ctx, o, superseded) // without its CSR, the CA issues nothing
	}
	if o.OrderURL == "" {
		return s.pollLater(ctx, o, time.Time{})
	}
	asked := *o
	asked.Step = o.ResumeStep
	cert, err := s.Issuer.Collect(ctx, &asked)
	if err == nil {
		o.CertificateURL = asked.CertificateURL
		return s.keepCollected(ctx, o, cert)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var v controlplane.Verdict
	if j, ok := errors.AsType[controlplane.Judged](err); ok {
		v = storableVerdict(j.Verdict())
	}
	s.Logger.InfoContext(ctx, "lifecycle: polled an order that was set aside", "order", o.ID,
		"ca", o.CA, "class", v.Class, "code", v.Code, "over", v.Over, "error", err)
	if v.Over || over {
		return s.dropAside(ctx, o, v)
	}
	return s.pollLater(ctx, o, v.RetryAt)
}

// pollLater schedules the next poll of an order: after a growing interval, or at the time that the
// CA requested, if it is later and not beyond the longest interval.
func (s *Service) pollLater(ctx context.Context, o *controlplane.Order, at time.Time) error {
	now := s.now()
	pause := min(asidePollFirst<<min(o.Polls, 10), asidePollMost)
	next := later(now.Add(pause), at)
	if most := now.Add(asidePollMost); next.After(most) {
		next = most
	}
	return s.Store.PollSetAside(ctx, o.OrgID, o.ID, next.Truncate(time.Microsecond))
}

// dropAside closes an order that was set aside, without a certificate.
func (s *Service) dropAside(
	ctx context.Context, o *controlplane.Order, v controlplane.Verdict,
) error {
	closed := false
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		ok, err := t.TakeSetAside(ctx, o.OrgID, o.ID)
		if err != nil || !ok {
			return err
		}
		closed = true
		return t.CloseOrder(ctx, o, controlplane.StepFailed, v.Code, v.Message, s.now())
	})
	if err == nil && closed && s.Governor != nil && !o.ResumeStep.SentCSR() {
		_ = s.Governor.Refund(ctx, quotaOf(o), true) // otherwise the order counts
	}
	return err
}

// keepCollected stores the certificate of an order that was set aside. It becomes the domain's
// current one if the domain still waits for it. Otherwise it is part of its history.
func (s *Service) keepCollected(
	ctx context.Context, o *controlplane.Order, cert *controlplane.Certificate,
) error {
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		d, err := t.LockDomain(ctx, o.OrgID, o.DomainID)
		if err != nil {
			return err
		}
		if ok, err := t.TakeSetAside(ctx, o.OrgID, o.ID); err != nil || !ok {
			return err // the domain's job resumed it
		}
		if isSuperseded(d, o) || outdatedFor(d, o) {
			return keepAsHistory(ctx, t, d, o, cert, now)
		}
		k := s.issuance(d, o, cert, controlplane.System("sweep"), now)
		return t.StoreCollected(ctx, k, now)
	})
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return nil // the domain was deleted
	}
	return err
}

// keepAsHistory stores a certificate that does not become current, and closes its order.
func keepAsHistory(
	ctx context.Context, t *postgres.Tx, d *controlplane.Domain, o *controlplane.Order,
	cert *controlplane.Certificate, now time.Time,
) error {
	own(cert, o, now)
	if err := t.AddCertificate(ctx, cert, ""); err != nil {
		return err
	}
	if err := t.ReplaceCertificate(ctx, o.OrgID, cert.ID, d.CertificateID); err != nil {
		return err
	}
	return t.CloseOrder(ctx, o, controlplane.StepStored, "", "", now)
}
