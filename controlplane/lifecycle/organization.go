package lifecycle

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// NewOrganization is the input of CreateOrganization.
type NewOrganization struct {
	Name        string
	Tier        controlplane.Tier
	DomainLimit *int // overrides the limit of the tier

	DelegationLimit *int // overrides the limit of the tier
}

// CreateOrganization adds an organization.
func (s *Service) CreateOrganization(
	ctx context.Context, actor controlplane.Actor, in NewOrganization,
) (*controlplane.Organization, error) {
	name, err := controlplane.DisplayName(in.Name)
	if err != nil {
		return nil, err
	}
	if !in.Tier.Valid() {
		return nil, controlplane.Invalid("/tier", "tier-unknown",
			"The tier must be free, pro, or agency.", "Send one of these tiers.")
	}
	o := &controlplane.Organization{ID: controlplane.NewID(controlplane.PrefixOrganization),
		Name: name, Tier: in.Tier, DomainLimit: in.DomainLimit,
		DelegationLimit: in.DelegationLimit, CreatedAt: s.now()}
	err = s.Store.InTx(ctx, func(t *postgres.Tx) error {
		return s.addOrganization(ctx, t, actor,
			o)
	})
	return o, err
}

func (s *Service) addOrganization(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, o *controlplane.Organization,
) error {
	if err := t.AddOrganization(ctx, o); err != nil {
		return err
	}
	entry := s.audit(o.ID, actor, controlplane.ActionOrgCreated, "organization", o.ID, o.CreatedAt)
	entry.After = map[string]any{"name": o.Name, "tier": string(o.Tier)}
	return t.Audit(ctx, entry)
}

// RenameOrganization changes an organization's name.
func (s *Service) RenameOrganization(
	ctx context.Context, actor controlplane.Actor, orgID, name string,
) (*controlplane.Organization, error) {
	name, err := controlplane.DisplayName(name)
	if err != nil {
		return nil, err
	}
	var o *controlplane.Organization
	err = s.Store.InTx(ctx, func(t *postgres.Tx) error {
		if o, err = t.LockOrganization(ctx, orgID); err != nil || o.Name == name {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionOrgRenamed, "organization", orgID,
			s.now())
		entry.Before, entry.After = map[string]any{"name": o.Name}, map[string]any{"name": name}
		if err := t.RenameOrganization(ctx, orgID, name); err != nil {
			return err
		}
		o.Name = name
		return t.Audit(ctx, entry)
	})
	return o, err
}
