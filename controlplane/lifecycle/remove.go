package lifecycle

import "context"

// removeBatch is how many domains or deliveries of a deleted organization or webhook one statement
// removes, with the rows that belong to them.
const removeBatch = 200

// RemoveDeleted removes the rows of deleted webhooks and organizations, in batches that are each a
// transaction, and returns the number of organizations that it removed. It returns 0 if another
// replica is already running it. If it is interrupted, the next call continues.
func (s *Service) RemoveDeleted(ctx context.Context) (int, error) {
	total := 0
	_, err := s.Store.TryLocked(ctx, "dcvaas-remove", func(ctx context.Context) error {
		hooks, err := s.Store.DeletedWebhooks(ctx)
		if err != nil {
			return err
		}
		for _, hook := range hooks {
			for more := true; more; {
				if more, err = s.Store.RemoveWebhook(ctx, hook, removeBatch); err != nil {
					return err
				}
			}
		}
		orgs, err := s.Store.DeletedOrganizations(ctx)
		if err != nil {
			return err
		}
		for _, org := range orgs {
			for more := true; more; {
				if more, err = s.Store.RemoveOrganization(ctx, org, removeBatch); err != nil {
					return err
				}
			}
			total++
		}
		return nil
	})
	return total, err
}
