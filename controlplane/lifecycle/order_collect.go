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
	asidePollMost  = 30 * time.Minute
	asidePollLease = 10 * time.Minute
	asideBatch     = 100
)

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
	s.noticeAccount(ctx, accountKey(o), o.Names, err)
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
	own(cert, d, o, now)
	if err := t.AddCertificate(ctx, cert, ""); err != nil {
		return err
	}
	if err := t.ReplaceCertificate(ctx, o.OrgID, cert.ID, d.CertificateID); err != nil {
		return err
	}
	return t.CloseOrder(ctx, o, controlplane.StepStored, "", "", now)
}
