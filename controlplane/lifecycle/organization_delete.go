package lifecycle

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// DeleteOrganization ends an organization: its members, tokens, and sessions lose access, its
// webhooks get no more events, the jobs of its domains no longer run, and the validation zone no
// longer serves its targets. RemoveDeleted removes its records at DNS hosts, and then its rows. Its
// audit log is kept. confirm must be its name.
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
