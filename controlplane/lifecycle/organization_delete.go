package lifecycle

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// removeBatch is how many domains or deliveries of a deleted organization or webhook one statement
// removes, with the rows that belong to them.
const removeBatch = 200

// DeleteOrganization ends an organization: its members, tokens, and sessions lose access, its
// webhooks get no more events, its jobs no longer run, and the validation zone no longer serves its
// targets. RemoveDeleted removes its rows. Its audit log is kept. confirm must be its name.
func (s *Service) DeleteOrganization(
	ctx context.Context, actor controlplane.Actor, orgID, confirm string,
) error {
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		o, err := t.LockOrganization(ctx, orgID)
		if err != nil {
			return err
		}
		if confirm != o.Name {
			return controlplane.Invalid("/confirm", "confirm-mismatch",
				"The value of confirm is not the organization's name.",
				"Send the exact name of the organization.")
		}
		now := s.now()
		if err := t.EndOrganization(ctx, orgID, now); err != nil {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionOrgDeleted, "organization", orgID, now)
		entry.Before = map[string]any{"name": o.Name, "tier": string(o.Tier), "domains": o.Domains}
		return t.Audit(ctx, entry)
	})
	if err != nil {
		return err
	}
	if err := s.Store.RetractTargets(ctx, orgID); err != nil {
		s.Logger.WarnContext(ctx,
			"lifecycle: retracting targets failed; they are retracted with their domains",
			"organization", orgID, "error", err)
	}
	return nil
}

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
