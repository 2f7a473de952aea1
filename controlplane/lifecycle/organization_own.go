package lifecycle

import (
	"context"
	"fmt"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// maxOwned is the maximum number of organizations of a user who creates another one. Each has
// plan limits, so a user must not have any number of them.
const maxOwned = 5

// CreateOwnOrganization creates an organization on the free plan with the user as the owner. It
// returns KindForbidden if the user owns the maximum, or with InvitedOnly.
func (s *Service) CreateOwnOrganization(
	ctx context.Context, actor controlplane.Actor, user *controlplane.User, name string,
) (*controlplane.Organization, error) {
	if s.InvitedOnly {
		return nil, &controlplane.Error{Kind: controlplane.KindForbidden,
			Code: "organizations-closed", Message: "Users cannot create organizations here.",
			Fix: controlplane.FixOf("organizations-closed")}
	}
	name, err := controlplane.DisplayName(name)
	if err != nil {
		return nil, err
	}
	var created *controlplane.Organization
	err = s.Store.InTx(ctx, func(t *postgres.Tx) error {
		if err := t.LockUser(ctx, user.ID); err != nil {
			return err
		}
		all, err := t.Memberships(ctx, user.ID)
		if err != nil {
			return err
		}
		owned := 0
		for _, m := range all {
			if m.Role == controlplane.RoleOwner {
				owned++
			}
		}
		if owned >= maxOwned {
			return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "organization-limit",
				Message: fmt.Sprintf("You already own %d organizations, the maximum.", owned),
				Fix:     controlplane.FixOf("organization-limit")}
		}
		own, err := s.ownOrganization(ctx, t, actor, user, name, s.now())
		if err != nil {
			return err
		}
		created = &own.Organization
		return nil
	})
	return created, err
}

// ownOrganization creates an organization with the user as the owner. Their number per user and
// time is limited.
func (s *Service) ownOrganization(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, user *controlplane.User,
	name string, now time.Time,
) (*controlplane.Membership, error) {
	if s.MayCreate != nil {
		if err := s.MayCreate(ctx, user.ID); err != nil {
			return nil, err
		}
	}
	o := &controlplane.Organization{ID: controlplane.NewID(controlplane.PrefixOrganization),
		Name: name, Tier: controlplane.TierFree, CreatedAt: now}
	if err := s.addOrganization(ctx, t, actor, o); err != nil {
		return nil, err
	}
	if err := t.FoundOrganization(ctx, o.ID, user.ID, now); err != nil {
		return nil, err
	}
	m := &controlplane.Member{OrgID: o.ID, User: *user, Role: controlplane.RoleOwner, Since: now}
	if _, err := t.AddMember(ctx, m); err != nil {
		return nil, err
	}
	return &controlplane.Membership{Organization: *o, Role: m.Role},
		t.Audit(ctx, s.memberEntry(actor, controlplane.ActionMemberAdded, o.ID, user, nil, &m.Role,
			now))
}
