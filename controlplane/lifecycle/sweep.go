package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// sweepBatch is how many renewals are queued by one statement.
const sweepBatch = 500

// Sweep makes jobs for every renewal that is due, in batches, and returns how many. One
// replica at a time does it; another that calls it meanwhile gets 0.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	total := 0
	_, err := s.Store.TryLocked(ctx, "dcvaas-sweep", func(ctx context.Context) error {
		for {
			n, err := s.Store.QueueRenewals(ctx, s.now(), sweepBatch, s.SweepSpread)
			total += n
			if err != nil || n < sweepBatch {
				return err
			}
		}
	})
	return total, err
}

// Rehearse makes a check of the DNS of every active domain whose daily look is due, and
// returns how many: drift is found before the renewal is due.
func (s *Service) Rehearse(ctx context.Context) (int, error) {
	total := 0
	_, err := s.Store.TryLocked(ctx, "dcvaas-rehearse", func(ctx context.Context) error {
		for {
			n, err := s.Store.QueueRehearsals(ctx, s.now(), sweepBatch, s.SweepSpread)
			total += n
			if err != nil || n < sweepBatch {
				return err
			}
		}
	})
	return total, err
}

// DailyScan is the backstop at 00:00 UTC: it finds domains that are due and that the sweep
// believes to have queued, while no such job is open, and sweeps.
func (s *Service) DailyScan(ctx context.Context) (int, error) {
	reset := 0
	if _, err := s.Store.TryLocked(ctx, "dcvaas-scan", func(ctx context.Context) (err error) {
		reset, err = s.Store.ResetRenewals(ctx, s.now())
		return err
	}); err != nil {
		return 0, err
	}
	if reset > 0 {
		s.Logger.WarnContext(ctx, "lifecycle: the daily scan found renewals that were lost", "domains", reset)
	}
	return s.Sweep(ctx)
}

// Tidy removes what has expired: challenges, sessions, invitations, webhooks' former secrets,
// deliveries, orders that no longer count in a budget, and answers kept for idempotency keys.
func (s *Service) Tidy(ctx context.Context) error {
	now := s.now()
	if err := s.Store.SweepChallenges(ctx, now); err != nil {
		return err
	}
	if err := s.Store.SweepSignIns(ctx, now); err != nil {
		return err
	}
	if err := s.tidyWebhooks(ctx, now); err != nil {
		return err
	}
	if err := s.Store.SweepBudgets(ctx, now); err != nil {
		return err
	}
	return s.Store.SweepAnswers(ctx, now.Add(-controlplane.AnswersKept))
}

// NextScan returns the time of the daily scan that follows t.
func NextScan(t time.Time) time.Time {
	return t.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
}
