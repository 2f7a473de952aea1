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
	// longest time between two ARI requests for a certificate (RFC 9773 §4.3.2)
	renewalCheckEvery = 12 * time.Hour
	renewalCheckLease = 10 * time.Minute
	renewalCheckBatch = 200
)

// renewalWatch returns the schedule of checks and warnings of a new certificate. draw is its random
// number for the renewal time. The first checks are spread.
func (s *Service) renewalWatch(
	cert *controlplane.Certificate, draw float64, now time.Time,
) postgres.RenewalWatch {
	every := controlplane.RehearsalEvery(cert.NotBefore, cert.NotAfter)
	_, warnAt := controlplane.ExpiryWarning(cert.NotBefore, cert.NotAfter, now)
	return postgres.RenewalWatch{Draw: draw, WarnAt: warnAt, RehearseEvery: every,
		CheckAt: now.Add(s.share(time.Hour)), RehearseAt: now.Add(every/2 + s.share(every/2))}
}

// share returns a random part of d.
func (s *Service) share(d time.Duration) time.Duration {
	return time.Duration(s.Rand() * float64(d))
}

// CheckRenewals fetches the renewal information (ARI, RFC 9773) of every certificate that is due
// for it, and reschedules their renewals. It returns the number of certificates.
func (s *Service) CheckRenewals(ctx context.Context) (int, error) {
	total := 0
	for {
		now := s.now()
		due, err := s.Store.DueRenewalChecks(ctx, now, now.Add(renewalCheckLease),
			renewalCheckBatch)
		total += len(due)
		if err != nil || len(due) == 0 {
			return total, err
		}
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(16)
		for _, r := range due {
			g.Go(func() error { return s.checkRenewal(gctx, r) })
		}
		if err := g.Wait(); err != nil {
			return total, err
		}
	}
}

func (s *Service) checkRenewal(ctx context.Context, r postgres.RenewalCheck) error {
	if r.ARIID == "" {
		return s.Store.StopRenewalChecks(ctx, r)
	}
	info, err := s.Issuer.RenewalInfo(ctx, r.CA, r.ARIID)
	switch {
	case errors.Is(err, controlplane.ErrRenewalInfoNotOffered):
		return s.Store.StopRenewalChecks(ctx, r)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	now := s.now()
	if info.CheckedAt.IsZero() {
		info.CheckedAt = now
	}
	info.CheckAgainAt = s.nextRenewalCheck(info.CheckAgainAt, now)
	if err != nil || !info.HasWindow() {
		return s.Store.SaveRenewalInfo(ctx, r, info)
	}
	at, urgent := controlplane.RenewTime(r.NotBefore, r.NotAfter, &info, r.Draw)
	at = at.UTC().Truncate(time.Microsecond)
	if r.RenewAt != nil && r.RenewAt.Equal(at) {
		return s.Store.SaveRenewalInfo(ctx, r, info)
	}
	return s.moveRenewal(ctx, r, info, at, urgent)
}

// nextRenewalCheck draws the time of the next ARI request: at least twice a day, or sooner if the
// CA said so or was unreachable, which earliest shows, unless it is zero. It is not before
// earliest, and up to twice as late, so that checks that are due together do not stay together.
func (s *Service) nextRenewalCheck(earliest, now time.Time) time.Time {
	wait := earliest.Sub(now)
	switch {
	case earliest.IsZero():
		wait = renewalCheckEvery / 2
	case wait <= 0:
		return earliest
	}
	wait = min(wait, renewalCheckEvery*3/4)
	return now.Add(wait + s.share(min(wait, renewalCheckEvery-wait)))
}

// moveRenewal stores the CA's renewal window and the new renewal time, if the certificate is still
// the domain's current one.
func (s *Service) moveRenewal(
	ctx context.Context, r postgres.RenewalCheck, info controlplane.RenewalInfo, at time.Time,
	urgent bool,
) error {
	return s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		d, err := t.LockDomain(ctx, r.OrgID, r.DomainID)
		if controlplane.IsKind(err, controlplane.KindNotFound) {
			return nil
		}
		if err != nil || d.CertificateID != r.CertificateID {
			return err
		}
		if d.RetryAt != nil {
			at = later(at, *d.RetryAt) // the CA's window does not shorten the pause of a failure
		}
		if err := t.SaveRenewalInfo(ctx, r, info); err != nil || isSuspended(d) ||
			d.RenewAt != nil && d.RenewAt.Equal(at) {
			return err
		}
		d.RenewAt = &at
		if c := d.Condition(controlplane.RenewalOnTrack); c.Status == controlplane.ConditionTrue &&
			!c.IsRequested() {
			c.Message, c.NextCheckAt = plannedRenewal(at), &at
			if urgent {
				c.Reason, c.Message = controlplane.ReasonCAAsksNow,
					"The CA requests the renewal now. It is in progress."
				if info.ExplanationURL != "" {
					c.Message += " Reason: " + info.ExplanationURL
				}
			}
			d.SetCondition(c)
		}
		return t.SaveDomain(ctx, d, now)
	})
}

func plannedRenewal(at time.Time) string {
	return "The renewal is scheduled for " + at.Format("2 January 2006 15:04 MST") + "."
}
