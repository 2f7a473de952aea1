package lifecycle

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// Warn tells of certificates that near their end and are not renewed, and returns of how
// many: once for each of controlplane.ExpiryWarnings, and of those that were reached since the
// last look only of the last. One replica at a time does it; another that calls it meanwhile
// gets 0.
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

func (s *Service) warnAll(ctx context.Context, due []postgres.DueWarning, now time.Time) (int, error) {
	var quiet []postgres.DueWarning
	var later []time.Time
	told := 0
	for _, w := range due {
		reached, next := controlplane.ExpiryWarning(w.NotBefore, w.NotAfter, now)
		if reached.IsZero() {
			quiet, later = append(quiet, w), append(later, next)
			continue
		}
		ok, err := s.warn(ctx, w, next, now)
		if err != nil {
			return told, err
		}
		if ok {
			told++
		}
	}
	if len(quiet) == 0 {
		return told, nil
	}
	return told, s.Store.RescheduleWarnings(ctx, quiet, later)
}

// warn tells of one certificate, unless another has done so or it is not current any more.
func (s *Service) warn(ctx context.Context, w postgres.DueWarning, next, now time.Time) (told bool, err error) {
	err = s.Store.InTx(ctx, func(t *postgres.Tx) error {
		d, err := t.LockDomain(ctx, w.OrgID, w.DomainID)
		if controlplane.IsKind(err, controlplane.KindNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		alarm := !now.Before(controlplane.ExpiryAlarmAt(w.NotBefore, w.NotAfter))
		if told, err = t.TakeWarning(ctx, w, next, alarm); err != nil || !told {
			return err
		}
		showEnding(d, w.NotAfter, now)
		if err := t.SaveDomain(ctx, d, now); err != nil {
			return err
		}
		track, left := d.Condition(controlplane.RenewalOnTrack), w.NotAfter.Sub(now).Hours()
		entry := s.audit(d.OrgID, controlplane.System("sweep"), controlplane.ActionCertificateEnding, "domain", d.ID, now)
		entry.Details = map[string]any{"certificate_id": w.CertificateID, "expires_at": w.NotAfter, "hours_left": math.Floor(left), "days_left": math.Floor(left / 24),
			"auto_renew": d.AutoRenew, "reason": track.Reason, "message": track.Message, "fix": track.Fix}
		return t.Audit(ctx, entry)
	})
	return told, err
}

// endsAt begins the sentence that says when a certificate ends.
const endsAt = " The certificate ends at "

// showEnding says that the certificate ends soon, and why it is not renewed as far as that is
// known: a renewal that was on track is no longer.
func showEnding(d *controlplane.Domain, end, now time.Time) {
	c := d.Condition(controlplane.RenewalOnTrack)
	if c.Status != controlplane.ConditionFalse {
		c.Status, c.Reason, c.LastCheckedAt = controlplane.ConditionFalse, controlplane.ReasonCertificateExpiring, &now
		c.Message, c.Fix = "The renewal is due and not done.", "Look at the domain's jobs, or ask for the renewal: POST /api/domains/"+d.ID+"/renew"
	}
	why, _, _ := strings.Cut(c.Message, endsAt)
	c.Message = why + endsAt + end.Format("15:04 MST, 2 January 2006") + "."
	d.SetCondition(c)
}
