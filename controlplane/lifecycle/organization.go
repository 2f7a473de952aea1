package lifecycle

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// NewOrganization is what an organization is made of.
type NewOrganization struct {
	Name        string
	Tier        controlplane.Tier
	DomainLimit *int // overrides the tier's
}

// CreateOrganization stores an organization.
func (s *Service) CreateOrganization(ctx context.Context, actor controlplane.Actor, in NewOrganization) (*controlplane.Organization, error) {
	if in.Name = strings.TrimSpace(in.Name); in.Name == "" || utf8.RuneCountInString(in.Name) > 200 {
		return nil, controlplane.Invalid("/name", "name-invalid", "An organization's name has 1 to 200 characters.", "Send a name.")
	}
	if !in.Tier.Valid() {
		return nil, controlplane.Invalid("/tier", "tier-unknown", "The tier is one of free, pro, agency.", "Send one of them.")
	}
	now := s.now()
	o := &controlplane.Organization{ID: controlplane.NewID(controlplane.PrefixOrganization), Name: in.Name, Tier: in.Tier, DomainLimit: in.DomainLimit, CreatedAt: now}
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		if err := t.AddOrganization(ctx, o); err != nil {
			return err
		}
		entry := s.audit(o.ID, actor, controlplane.ActionOrgCreated, "organization", o.ID, now)
		entry.After = map[string]any{"name": o.Name, "tier": string(o.Tier)}
		return t.Audit(ctx, entry)
	})
	return o, err
}
