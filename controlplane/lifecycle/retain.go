package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// tidyBatch is how many rows one statement of tidyFinished changes, and tidyBatches how often it
// repeats each. The next call continues.
const (
	tidyBatch   = 1000
	tidyBatches = 20
)

// tidyFinished removes finished jobs and orders after the time for which they are kept, and secrets
// that are no longer needed, and splits chains that were stored whole, in batches. Its cost grows
// with what it changes, and not with what is kept.
func (s *Service) tidyFinished(ctx context.Context, now time.Time) error {
	for _, remove := range []func() (int, error){
		func() (int, error) {
			return s.Store.RemoveJobs(ctx, controlplane.JobSucceeded,
				now.Add(-controlplane.SucceededJobsKept), tidyBatch)
		},
		func() (int, error) {
			return s.Store.RemoveJobs(ctx, controlplane.JobFailed,
				now.Add(-controlplane.FailedJobsKept), tidyBatch)
		},
		func() (int, error) { return s.Store.RemoveOrderSecrets(ctx, tidyBatch) },
		func() (int, error) {
			return s.Store.RemoveOrders(ctx, now.Add(-controlplane.OrdersKept), tidyBatch)
		},
		func() (int, error) { return s.Store.RemoveKeys(ctx, now, tidyBatch) },
		func() (int, error) { return s.Store.SplitChains(ctx, tidyBatch) },
	} {
		for range tidyBatches {
			if n, err := remove(); err != nil {
				return err
			} else if n < tidyBatch {
				break
			}
		}
	}
	return nil
}

// retainBatch is how many audit log entries one statement removes.
const retainBatch = 5000

// Retain removes audit log entries beyond the retention period of each organization's plan, in
// batches, and returns their number. It returns 0 if another replica is already running it.
func (s *Service) Retain(ctx context.Context) (int, error) {
	total := 0
	_, err := s.Store.TryLocked(ctx, "dcvaas-retain", func(ctx context.Context) error {
		for {
			n, more, err := s.Store.RemoveOldLog(ctx, s.now(), retainBatch)
			total += n
			if err != nil || !more {
				return err
			}
		}
	})
	return total, err
}
