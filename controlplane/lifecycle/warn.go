package lifecycle

import (
	"context"
	"math"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// Warn logs an event for each certificate that expires soon and was not renewed, and returns their
// number. Each of controlplane.ExpiryWarnings gives one event; if several were reached since the
// last check, only the last one does. Warn returns 0 if another replica is already running it.
func (s *Service) Warn(ctx context.Context) (int, error) {
	total := 0
	_, err := s.Store.TryLocked(ctx, "dcvaas-warn", func(ctx context.Context) error {
		for {
			now := s.now()
			due, err := s.Store.DueWarnings(ctx, now, sweepBatch)
			if err != nil || len(due) == 0 {
				return err
			}
			n, err := s.warnAll(ctx, due, now)
			total += n
			if err != nil {
				return err
			}
		}
	})
	return total, err
}

func (s *Service) warnAll(
	ctx context.Context, due []postgres.DueWarning, now time.Time,
) (int, error) {
	var quiet []postgres.DueWarning
	var later []time.Time
	warned := 0
	for _, w := range due {
		reached, next := controlplane.ExpiryWarning(w.NotBefore, w.NotAfter, now)
		if reached.IsZero() {
			quiet, later = append(quiet, w), append(later, next)
			continue
		}
		ok, err := s.warn(ctx, w, next, now)
		if err != nil {
			return warned, err
		}
		if ok {
			warned++
		}
	}
	if len(quiet) == 0 {
		return warned, nil
	}
	return warned, s.Store.RescheduleWarnings(ctx, quiet, later)
}

// warn logs the event of one certificate. It returns false if another replica did, or the
// certificate is no longer current.
func (s *Service) warn(
	ctx context.Context, w postgres.DueWarning, next, now time.Time,
) (warned bool, err error) {
	err = s.Store.InTx(ctx, func(t *postgres.Tx) error {
		d, err := t.LockDomain(ctx, w.OrgID, w.DomainID)
		if controlplane.IsKind(err, controlplane.KindNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		alarm := !now.Before(controlplane.ExpiryAlarmAt(w.NotBefore, w.NotAfter))
		if warned, err = t.TakeWarning(ctx, w, next, alarm); err != nil || !warned {
			return err
		}
		showExpiring(d, now)
		if err := t.SaveDomain(ctx, d, now); err != nil {
			return err
		}
		track, left := d.Condition(controlplane.RenewalOnTrack), w.NotAfter.Sub(now).Hours()
		entry := s.audit(d.OrgID, controlplane.System("sweep"),
			controlplane.ActionCertificateEnding, "domain", d.ID, now)
		entry.Details = map[string]any{"certificate_id": w.CertificateID, "expires_at": w.NotAfter,
			"hours_left": math.Floor(left), "days_left": math.Floor(left / 24),
			"auto_renew": d.AutoRenew, "reason": track.Reason, "message": track.Message + " " +
				expiresAt(w.NotAfter), "fix": track.Fix}
		if len(track.Names) > 0 {
			entry.Details["names"] = track.Names
		}
		return t.Audit(ctx, entry)
	})
	return warned, err
}

// showExpiring shows that the renewal is overdue, unless the domain already shows why its renewal
// is not on track.
func showExpiring(d *controlplane.Domain, now time.Time) {
	c := d.Condition(controlplane.RenewalOnTrack)
	if c.Status == controlplane.ConditionFalse {
		return
	}
	c.Status, c.Reason, c.LastCheckedAt = controlplane.ConditionFalse,
		controlplane.ReasonCertificateExpiring, &now
	c.Message = "The certificate expires soon, and its renewal is overdue."
	c.Fix = "Check the domain's jobs, or request the renewal: POST /api/domains/" + d.ID + "/renew"
	d.SetCondition(c)
}

func expiresAt(t time.Time) string {
	return "The certificate expires at " + t.Format("15:04 MST, 2 January 2006") + "."
}
