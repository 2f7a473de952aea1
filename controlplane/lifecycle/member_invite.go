package lifecycle

import (
	"context"
	"fmt"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// InviteMember invites the owner of a GitHub account. They become a member when they accept
// (AcceptMembership). by is the caller's grant, nil for the operator. It returns KindConflict with
// the user's ID if they are a member, are invited, or declined.
func (s *Service) InviteMember(
	ctx context.Context, actor controlplane.Actor, by *controlplane.Grant, orgID string,
	account controlplane.GitHubAccount, role controlplane.Role,
) (*controlplane.Member, error) {
	if err := mayInvite(by, role); err != nil {
		return nil, err
	}
	var m *controlplane.Member
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		if err := roomToInvite(ctx, t, actor, by, orgID, now); err != nil {
			return err
		}
		user, err := t.UserOf(ctx, account, now)
		if err != nil {
			return err
		}
		switch known, err := t.Member(ctx, orgID, user.ID); {
		case err == nil && known.State(now) != controlplane.MemberExpired:
			return memberExists(known, known.State(now))
		case err != nil && !controlplane.IsKind(err, controlplane.KindNotFound):
			return err
		}
		expires := now.Add(controlplane.MemberLife)
		m = &controlplane.Member{OrgID: orgID, User: *user, Role: role, Since: now,
			InvitedBy: actor.ID, ExpiresAt: &expires}
		if err := t.InviteMember(ctx, m); err != nil {
			return err
		}
		entry := s.memberEntry(actor, controlplane.ActionMemberInvited, orgID, user, nil, &role,
			now)
		entry.Details = map[string]any{"expires_at": expires}
		return t.Audit(ctx, entry)
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// AddMember makes the owner of a GitHub account a member without their consent. It is only for the
// operator; tenants use InviteMember. It returns KindConflict with the user's ID if they are a
// member.
func (s *Service) AddMember(
	ctx context.Context, actor controlplane.Actor, orgID string, account controlplane.GitHubAccount,
	role controlplane.Role,
) (*controlplane.Member, error) {
	if err := validRole(role); err != nil {
		return nil, err
	}
	var m *controlplane.Member
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		if _, err := t.LockOrganization(ctx, orgID); err != nil {
			return err
		}
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
			return memberExists(m, controlplane.MemberActive)
		}
		return t.Audit(ctx, s.memberEntry(actor, controlplane.ActionMemberAdded, orgID, user, nil,
			&role, now))
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// mayInvite returns an error if the caller cannot invite a user to the role.
func mayInvite(by *controlplane.Grant, role controlplane.Role) error {
	if err := validRole(role); err != nil {
		return err
	}
	return by.CanGrantRole(role)
}

// roomToInvite is lockGrantor, and returns KindForbidden if the organization has the maximum number
// of open invitations.
func roomToInvite(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, by *controlplane.Grant,
	orgID string, now time.Time,
) error {
	if _, err := lockGrantor(ctx, t, actor, by, orgID); err != nil {
		return err
	}
	n, err := t.OpenInvitations(ctx, orgID, now)
	if err != nil || n < controlplane.MaxInvitations {
		return err
	}
	return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "plan-limit",
		Message: fmt.Sprintf("An organization can have %d open invitations, and %d are open.",
			controlplane.MaxInvitations, n),
		Fix: "Revoke invitations that are no longer needed, or wait until they are accepted or expire."}
}

func memberExists(m *controlplane.Member, state controlplane.MemberState) error {
	e := &controlplane.Error{Kind: controlplane.KindConflict,
		Code: "member-exists", ExistingID: m.User.ID,
		Message: m.User.Title() + " is already a member of this organization.",
		Fix:     "Change the role with PATCH /api/members/" + m.User.ID + "."}
	switch state {
	case controlplane.MemberPending:
		e.Message = m.User.Title() + " is already invited to this organization."
	case controlplane.MemberDeclined:
		return notInvitedNow(m, state)
	}
	return e
}

// notInvitedNow is the error for an invitation by login that can no longer be accepted.
func notInvitedNow(m *controlplane.Member, state controlplane.MemberState) error {
	if state == controlplane.MemberDeclined {
		return &controlplane.Error{Kind: controlplane.KindConflict,
			Code: "member-declined", ExistingID: m.User.ID,
			Message: m.User.Title() + " declined the invitation to this organization.",
			Fix: "Ask them first. Then delete the invitation with DELETE /api/members/" +
				m.User.ID + ", and send a new one."}
	}
	return &controlplane.Error{Kind: controlplane.KindConflict,
		Code: "member-expired", ExistingID: m.User.ID,
		Message: "The invitation of " + m.User.Title() + " expired.",
		Fix:     "Send a new one with POST /api/members."}
}
