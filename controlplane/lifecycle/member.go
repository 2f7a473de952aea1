package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// SetRole changes the role of a member or of an invitation by login; ref is the user's ID or login.
// by is the caller's grant, nil for the operator. A member's tokens that exceed the new role are
// revoked, unless keepTokens. It returns KindConflict if the organization would have no owner, the
// user declined the invitation, or the calling token would be revoked.
func (s *Service) SetRole(
	ctx context.Context, actor controlplane.Actor, by *controlplane.Grant, orgID, ref string,
	role controlplane.Role, keepTokens bool,
) (*controlplane.Member, error) {
	if err := validRole(role); err != nil {
		return nil, err
	}
	var m *controlplane.Member
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		_, err := lockGrantor(ctx, t, actor, by, orgID)
		if err != nil {
			return err
		}
		if m, err = t.Member(ctx, orgID, ref); err != nil || m.Role == role {
			return err
		}
		now := s.now()
		if state := m.State(now); state == controlplane.MemberDeclined ||
			state == controlplane.MemberExpired {
			return notInvitedNow(m, state)
		}
		for _, r := range []controlplane.Role{m.Role, role} {
			if err := by.CanGrantRole(r); err != nil {
				return err
			}
		}
		if err := keepOwner(ctx, t, m); err != nil {
			return err
		}
		return s.changeRole(ctx, t, actor, m, role, keepTokens, now)
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// RemoveMember ends a membership with its sessions, the invitations that the member created, and,
// unless keepTokens, the tokens that they created; or it deletes an invitation by login in any
// state. ref is the user's ID or login. by is the caller's grant, nil for the operator and for a
// member who leaves. It returns KindConflict if the organization would have no owner, or the
// calling token would be revoked.
func (s *Service) RemoveMember(
	ctx context.Context, actor controlplane.Actor, by *controlplane.Grant, orgID, ref string,
	keepTokens bool,
) error {
	return s.Store.InTx(ctx, func(t *postgres.Tx) error {
		if _, err := lockGrantor(ctx, t, actor, by, orgID); err != nil {
			return err
		}
		m, err := t.Member(ctx, orgID, ref)
		if err != nil {
			return err
		}
		if err := by.CanGrantRole(m.Role); err != nil {
			return err
		}
		if err := keepOwner(ctx, t, m); err != nil {
			return err
		}
		now := s.now()
		if err := t.RemoveMember(ctx, m); err != nil {
			return err
		}
		if err := s.revokeInvitationsBy(ctx, t, actor, orgID, m.User.ID, now); err != nil {
			return err
		}
		if m.Active() && !keepTokens {
			if err := s.revokeTokensOf(ctx, t, actor, m, &controlplane.Grant{}, now); err != nil {
				return err
			}
		}
		return t.Audit(ctx, s.memberEntry(actor, controlplane.ActionMemberRemoved, orgID, &m.User,
			&m.Role, nil, now))
	})
}

// TransferOwnership transfers the ownership of an organization: the member named by to becomes an
// owner, and the owner named by from becomes an admin. Each is named by a user's ID or login. by is
// the caller's grant, nil for the operator. The tokens of the previous owner that exceed the role
// admin are revoked, unless keepTokens. It returns the new owner.
func (s *Service) TransferOwnership(
	ctx context.Context, actor controlplane.Actor, by *controlplane.Grant, orgID, from, to string,
	keepTokens bool,
) (*controlplane.Member, error) {
	if err := by.CanTransferOwnership(); err != nil {
		return nil, err
	}
	var heir *controlplane.Member
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		if _, err := lockGrantor(ctx, t, actor, by, orgID); err != nil {
			return err
		}
		giver, err := t.Member(ctx, orgID, from)
		if err != nil {
			return unknownMember(err, "/from")
		}
		if heir, err = t.Member(ctx, orgID, to); err != nil {
			return unknownMember(err, "/to")
		}
		switch {
		case giver.User.ID == heir.User.ID:
			return controlplane.Invalid("/to", "transfer-to-self",
				"The organization can't be transferred to its current owner.",
				"Name another member.")
		case !heir.Active():
			return controlplane.Invalid("/to", "member-unknown", heir.User.Title()+
				" has not accepted the invitation to this organization.",
				"Name a member whose state is active.")
		case giver.Role != controlplane.RoleOwner || !giver.Active():
			return controlplane.Invalid("/from", "not-an-owner", giver.User.Title()+
				" is not an owner of this organization.", "Name an owner.")
		}
		now := s.now()
		if heir.Role != controlplane.RoleOwner {
			if err := s.changeRole(ctx, t, actor, heir, controlplane.RoleOwner, true,
				now); err != nil {
				return err
			}
		}
		if err := s.changeRole(ctx, t, actor, giver, controlplane.RoleAdmin, keepTokens,
			now); err != nil {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionOrgTransferred, "organization", orgID,
			now)
		entry.Before, entry.After = map[string]any{"owner": giver.User.ID},
			map[string]any{"owner": heir.User.ID}
		return t.Audit(ctx, entry)
	})
	if err != nil {
		return nil, err
	}
	return heir, nil
}

// lockMember locks the organization and returns a member.
func lockMember(
	ctx context.Context, t *postgres.Tx, orgID, ref string,
) (*controlplane.Member, error) {
	if _, err := t.LockOrganization(ctx, orgID); err != nil {
		return nil, err
	}
	return t.Member(ctx, orgID, ref)
}

// keepOwner returns KindConflict if m is the last owner. The organization is locked.
func keepOwner(ctx context.Context, t *postgres.Tx, m *controlplane.Member) error {
	if m.Role != controlplane.RoleOwner || !m.Active() {
		return nil
	}
	n, err := t.Owners(ctx, m.OrgID)
	if err != nil || n > 1 {
		return err
	}
	return &controlplane.Error{Kind: controlplane.KindConflict,
		Code: "last-owner", ExistingID: m.User.ID,
		Message: m.User.Title() + " is the organization's last owner.",
		Fix:     "Make another member an owner first, or delete the organization."}
}

// changeRole stores a member's role. If the member can no longer invite, it revokes their
// invitations. Unless keepTokens, it revokes their tokens that exceed the role.
func (s *Service) changeRole(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, m *controlplane.Member,
	role controlplane.Role, keepTokens bool, now time.Time,
) error {
	if err := t.SetRole(ctx, m, role); err != nil {
		return err
	}
	if !role.Grant().Allows(controlplane.ScopeMembersWrite) {
		if err := s.revokeInvitationsBy(ctx, t, actor, m.OrgID, m.User.ID, now); err != nil {
			return err
		}
	}
	if m.Active() && !keepTokens {
		if err := s.revokeTokensOf(ctx, t, actor, m, role.Grant(), now); err != nil {
			return err
		}
	}
	before := m.Role
	m.Role = role
	return t.Audit(ctx, s.memberEntry(actor, controlplane.ActionMemberRoleChanged, m.OrgID, &m.User,
		&before, &role, now))
}

// memberEntry returns an audit entry about a membership with its roles before and after.
func (s *Service) memberEntry(
	actor controlplane.Actor, action, orgID string, u *controlplane.User,
	before, after *controlplane.Role, now time.Time,
) controlplane.AuditEntry {
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
	return controlplane.Invalid("/role", "role-unknown",
		"The role must be owner, admin, or member.", "Send one of these roles.")
}

// unknownMember converts KindNotFound to an error about the field that names the member.
func unknownMember(err error, pointer string) error {
	if !controlplane.IsKind(err, controlplane.KindNotFound) {
		return err
	}
	return controlplane.Invalid(pointer, "member-unknown",
		"No member of this organization has this ID or login.",
		"Name a member by ID or by GitHub login.")
}
