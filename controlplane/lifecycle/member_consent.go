package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// AcceptMembership makes the session's user a member of an organization that they are invited to by
// login, and moves the session there. role is the role that they were shown: it returns
// KindConflict "invitation-changed" if the role changed since, and KindNotFound if the invitation
// was revoked or declined, or expired.
func (s *Service) AcceptMembership(
	ctx context.Context, actor controlplane.Actor, session *controlplane.Session, orgID string,
	role controlplane.Role,
) error {
	return s.Store.InTx(ctx, func(t *postgres.Tx) error {
		if _, err := s.acceptInvited(ctx, t, actor, orgID, session.User.ID, role,
			s.now()); err != nil {
			return err
		}
		return s.switchTo(ctx, t, actor, session, orgID)
	})
}

// AcceptAsGuest is AcceptMembership for a user without a session, because they are not a member of
// an organization yet (Guest). It returns their session in this organization, and the cookie value.
func (s *Service) AcceptAsGuest(
	ctx context.Context, from controlplane.Actor, userAgent, userID, orgID string,
	role controlplane.Role,
) (*controlplane.Session, string, error) {
	session, secret := s.newSession(from, userAgent)
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		actor, now := userActor(from, userID), session.CreatedAt
		m, err := s.acceptInvited(ctx, t, actor, orgID, userID, role, now)
		if err != nil {
			return err
		}
		if _, err := t.Join(ctx, userID, now); err != nil {
			return err
		}
		org, err := t.Organization(ctx, orgID)
		if err != nil {
			return err
		}
		return s.startSession(ctx, t, actor, session, &m.User,
			&controlplane.Membership{Organization: *org, Role: m.Role}, nil)
	})
	if err != nil {
		return nil, "", err
	}
	return session, secret, nil
}

// DeclineMembership records that a user declined an invitation by login. It returns KindNotFound
// without a pending one.
func (s *Service) DeclineMembership(
	ctx context.Context, from controlplane.Actor, userID, orgID string,
) error {
	return s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		m, err := lockInvited(ctx, t, orgID, userID, now)
		if err != nil {
			return err
		}
		if err := t.DeclineMember(ctx, m, now); err != nil {
			return err
		}
		return t.Audit(ctx, s.memberEntry(userActor(from, userID),
			controlplane.ActionMemberDeclined, orgID, &m.User, &m.Role, nil, now))
	})
}

// Guest returns the user of a GitHub account without an organization who can accept an invitation
// by login. It returns KindNotFound without such an invitation.
func (s *Service) Guest(
	ctx context.Context, account controlplane.GitHubAccount,
) (*controlplane.User, error) {
	return s.Store.InvitedUser(ctx, account.ID, s.now())
}

func (s *Service) acceptInvited(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, orgID, userID string,
	role controlplane.Role, now time.Time,
) (*controlplane.Member, error) {
	invited, err := lockInvited(ctx, t, orgID, userID, now)
	if err != nil {
		return nil, err
	}
	if invited.Role != role {
		return nil, &controlplane.Error{Kind: controlplane.KindConflict, Code: "invitation-changed",
			Message: "The role of the invitation is now " + string(invited.Role) +
				".", Fix: "Reload the invitation, and accept or decline it."}
	}
	m := &controlplane.Member{OrgID: orgID, User: invited.User, Role: role, Since: now}
	if _, err := t.AddMember(ctx, m); err != nil {
		return nil, err
	}
	entry := s.memberEntry(actor, controlplane.ActionMemberJoined, orgID, &m.User, nil, &role, now)
	entry.Details = map[string]any{"invited_by": invited.InvitedBy}
	return m, t.Audit(ctx, entry)
}

// lockInvited locks the organization and returns an invitation by login that can be accepted. It
// returns KindNotFound otherwise.
func lockInvited(
	ctx context.Context, t *postgres.Tx, orgID, userID string, now time.Time,
) (*controlplane.Member, error) {
	m, err := lockMember(ctx, t, orgID, userID)
	if err == nil && m.State(now) != controlplane.MemberPending {
		err = controlplane.NotFound("invitation", orgID)
	}
	return m, err
}

// userActor returns the actor of a request whose user is known now.
func userActor(from controlplane.Actor, userID string) controlplane.Actor {
	return controlplane.Actor{Type: controlplane.ActorUser, ID: userID, IP: from.IP,
		RequestID: from.RequestID}
}
