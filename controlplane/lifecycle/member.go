package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// AddMember makes the owner of an account at GitHub a member. Errors: KindConflict with the
// user's id where they are one.
func (s *Service) AddMember(ctx context.Context, actor controlplane.Actor, orgID string, account controlplane.GitHubAccount, role controlplane.Role) (*controlplane.Member, error) {
	if err := validRole(role); err != nil {
		return nil, err
	}
	var m *controlplane.Member
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		user, err := t.UserOf(ctx, account, now)
		if err != nil {
			return err
		}
		m = &controlplane.Member{OrgID: orgID, User: *user, Role: role, Since: now}
		added, err := t.AddMember(ctx, m)
		if err != nil {
			return err
		}
		if !added {
			return &controlplane.Error{Kind: controlplane.KindConflict, Code: "member-exists", ExistingID: user.ID,
				Message: user.Title() + " is a member of this organization already.", Fix: "Change the role with PATCH /api/members/" + user.ID + "."}
		}
		return t.Audit(ctx, s.memberEntry(actor, controlplane.ActionMemberAdded, orgID, user, nil, &role, now))
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// SetRole changes a member's role; ref is the user's id or login. Errors: KindConflict where
// nobody would be owner.
func (s *Service) SetRole(ctx context.Context, actor controlplane.Actor, orgID, ref string, role controlplane.Role) (*controlplane.Member, error) {
	if err := validRole(role); err != nil {
		return nil, err
	}
	var m *controlplane.Member
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		var err error
		if m, err = lockMember(ctx, t, orgID, ref); err != nil || m.Role == role {
			return err
		}
		if err := keepOwner(ctx, t, m); err != nil {
			return err
		}
		return s.changeRole(ctx, t, actor, m, role, s.now())
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// RemoveMember ends a membership, with its sessions and the invitations that the member made;
// ref is the user's id or login. Errors: KindConflict where nobody would be owner.
func (s *Service) RemoveMember(ctx context.Context, actor controlplane.Actor, orgID, ref string) error {
	return s.Store.InTx(ctx, func(t *postgres.Tx) error {
		m, err := lockMember(ctx, t, orgID, ref)
		if err != nil {
			return err
		}
		if err := keepOwner(ctx, t, m); err != nil {
			return err
		}
		now := s.now()
		if err := t.RemoveMember(ctx, orgID, m.User.ID); err != nil {
			return err
		}
		if err := s.revokeInvitationsBy(ctx, t, actor, orgID, m.User.ID, now); err != nil {
			return err
		}
		return t.Audit(ctx, s.memberEntry(actor, controlplane.ActionMemberRemoved, orgID, &m.User, &m.Role, nil, now))
	})
}

// TransferOwnership makes one member an owner and another, who is one, an admin; both are
// named by the user's id or login. It returns the new owner.
func (s *Service) TransferOwnership(ctx context.Context, actor controlplane.Actor, orgID, from, to string) (*controlplane.Member, error) {
	var heir *controlplane.Member
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		giver, err := lockMember(ctx, t, orgID, from)
		if err != nil {
			return unknownMember(err, "/from")
		}
		if heir, err = t.Member(ctx, orgID, to); err != nil {
			return unknownMember(err, "/to")
		}
		switch {
		case giver.User.ID == heir.User.ID:
			return controlplane.Invalid("/to", "transfer-to-self", "Nobody hands the organization over to themselves.", "Name another member.")
		case giver.Role != controlplane.RoleOwner:
			return controlplane.Invalid("/from", "not-an-owner", giver.User.Title()+" is no owner of this organization.", "Name an owner.")
		}
		now := s.now()
		if heir.Role != controlplane.RoleOwner {
			if err := s.changeRole(ctx, t, actor, heir, controlplane.RoleOwner, now); err != nil {
				return err
			}
		}
		if err := s.changeRole(ctx, t, actor, giver, controlplane.RoleAdmin, now); err != nil {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionOrgTransferred, "organization", orgID, now)
		entry.Before, entry.After = map[string]any{"owner": giver.User.ID}, map[string]any{"owner": heir.User.ID}
		return t.Audit(ctx, entry)
	})
	if err != nil {
		return nil, err
	}
	return heir, nil
}

// lockMember returns a member while nobody else changes the organization's members.
func lockMember(ctx context.Context, t *postgres.Tx, orgID, ref string) (*controlplane.Member, error) {
	if _, err := t.LockOrganization(ctx, orgID); err != nil {
		return nil, err
	}
	return t.Member(ctx, orgID, ref)
}

// keepOwner refuses to let the last owner go. The organization is locked.
func keepOwner(ctx context.Context, t *postgres.Tx, m *controlplane.Member) error {
	if m.Role != controlplane.RoleOwner {
		return nil
	}
	n, err := t.Owners(ctx, m.OrgID)
	if err != nil || n > 1 {
		return err
	}
	return &controlplane.Error{Kind: controlplane.KindConflict, Code: "last-owner", ExistingID: m.User.ID,
		Message: m.User.Title() + " is the organization's last owner.", Fix: "Make somebody else an owner first, or delete the organization."}
}

// changeRole stores a member's role. Who is no owner any more has invited nobody.
func (s *Service) changeRole(ctx context.Context, t *postgres.Tx, actor controlplane.Actor, m *controlplane.Member, role controlplane.Role, now time.Time) error {
	if err := t.SetRole(ctx, m.OrgID, m.User.ID, role); err != nil {
		return err
	}
	if !role.Grant().Allows(controlplane.ScopeMembersWrite) {
		if err := s.revokeInvitationsBy(ctx, t, actor, m.OrgID, m.User.ID, now); err != nil {
			return err
		}
	}
	before := m.Role
	m.Role = role
	return t.Audit(ctx, s.memberEntry(actor, controlplane.ActionMemberRoleChanged, m.OrgID, &m.User, &before, &role, now))
}

// memberEntry returns an entry about a membership, which had and has a role.
func (s *Service) memberEntry(actor controlplane.Actor, action, orgID string, u *controlplane.User, before, after *controlplane.Role, now time.Time) controlplane.AuditEntry {
	describe := func(r *controlplane.Role) map[string]any {
		if r == nil {
			return nil
		}
		return map[string]any{"login": u.Login, "role": string(*r)}
	}
	entry := s.audit(orgID, actor, action, "member", u.ID, now)
	entry.Before, entry.After = describe(before), describe(after)
	return entry
}

func validRole(r controlplane.Role) error {
	if r.Valid() {
		return nil
	}
	return controlplane.Invalid("/role", "role-unknown", "The role is one of owner, admin, member.", "Send one of them.")
}

// unknownMember says which field names nobody.
func unknownMember(err error, pointer string) error {
	if !controlplane.IsKind(err, controlplane.KindNotFound) {
		return err
	}
	return controlplane.Invalid(pointer, "member-unknown", "Nobody in this organization has this id or login.", "Name a member by id or by login at GitHub.")
}
