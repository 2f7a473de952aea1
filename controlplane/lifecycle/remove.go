package lifecycle

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

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
			removed, err := s.removeOrganization(ctx, org)
			if err != nil {
				return err
			}
			if removed {
				total++
			}
		}
		return nil
	})
	return total, err
}

// removeOrganization removes the rows of a deleted organization. While records are to be removed at
// DNS hosts, for RemovalForOrganization at most, it removes only the domains and delegations, and
// returns false.
func (s *Service) removeOrganization(ctx context.Context, org string) (bool, error) {
	for more := true; more; {
		var err error
		if more, err = s.Store.RemoveDelegationsOf(ctx, org, removeBatch); err != nil {
			return false, err
		}
	}
	if _, err := s.removeRecords(ctx, org); err != nil {
		return false, err
	}
	waits, err := s.Store.HasRemovals(ctx, org,
		s.now().Add(-controlplane.RemovalForOrganization))
	if err != nil || waits {
		return false, err
	}
	if err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		return s.leaveRecords(ctx, t, controlplane.System("sweep"), org, "",
			controlplane.LeftTimeout)
	}); err != nil {
		return false, err
	}
	for more := true; more; {
		if more, err = s.Store.RemoveOrganization(ctx, org, removeBatch); err != nil {
			return false, err
		}
	}
	return true, nil
}
