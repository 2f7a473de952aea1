package lifecycle

import "context"

// retainBatch is how many audit log entries one statement removes.
const retainBatch = 5000

// Retain removes audit log entries beyond the retention period of each organization's plan, in
// batches, and returns their number. It returns 0 if another replica is already running it.
func (s *Service) Retain(ctx context.Context) (int, error) {
	total := 0
	_, err := s.Store.TryLocked(ctx, "dcvaas-retain", func(ctx context.Context) error {
		for {
			n, err := s.Store.RemoveOldLog(ctx, s.now(), retainBatch)
			total += n
			if err != nil || n < retainBatch {
				return err
			}
		}
	})
	return total, err
}
