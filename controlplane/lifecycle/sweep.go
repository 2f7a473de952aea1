package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// sweepBatch is how many renewals one statement queues.
const sweepBatch = 500

// SweepLease is the name with which postgres.Store records a finished Sweep.
const SweepLease = "dcvaas-sweep"

// Sweep adds the jobs of all due renewals, in batches, and returns their number. It returns 0 if
// another replica is already running it.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	total := 0
	_, err := s.Store.TryLocked(ctx, SweepLease, func(ctx context.Context) error {
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

// Rehearse adds a DNS check for every active domain whose rehearsal is due, and returns their
// number. A rehearsal detects a misconfiguration before the renewal is due.
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

// DailyScan is the backstop at 00:00 UTC. It finds domains with a due renewal that is marked as
// queued but has no open job, and sweeps.
func (s *Service) DailyScan(ctx context.Context) (int, error) {
	reset := 0
	if _, err := s.Store.TryLocked(ctx, "dcvaas-scan", func(ctx context.Context) (err error) {
		reset, err = s.Store.ResetRenewals(ctx, s.now())
		return err
	}); err != nil {
		return 0, err
	}
	if reset > 0 {
		s.Logger.WarnContext(ctx, "lifecycle: daily scan found lost renewals", "domains", reset)
	}
	return s.Sweep(ctx)
}

// Recount counts again what is counted for large organizations, where it is due.
func (s *Service) Recount(ctx context.Context) (int, error) {
	n := 0
	_, err := s.Store.TryLocked(ctx, "dcvaas-recount", func(ctx context.Context) (err error) {
		n, err = s.Store.Recount(ctx, s.now())
		return err
	})
	return n, err
}

// Tidy removes expired challenges, sessions, invitations, previous webhook secrets, deliveries,
// budget entries, finished jobs, secrets of orders and of certificates that were replaced, and
// responses that were kept for idempotency keys.
func (s *Service) Tidy(ctx context.Context) error {
	now := s.now()
	if err := s.Store.SweepChallenges(ctx, now); err != nil {
		return err
	}
	if err := s.Store.SweepACMEDNSValues(ctx, now); err != nil {
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
	if err := s.tidyFinished(ctx, now); err != nil {
		return err
	}
	return s.Store.SweepAnswers(ctx, now.Add(-controlplane.AnswersKept))
}

// NextScan returns the time of the next daily scan after t.
func NextScan(t time.Time) time.Time {
	return t.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
}
