package lifecycle

import "context"

// retainBatch is how many entries of the log are removed by one statement.
const retainBatch = 5000

// Retain removes what the log holds for longer than each organization's plan keeps it, in
// batches, and returns how many entries went. One replica at a time does it; another that
// calls it meanwhile gets 0.
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
