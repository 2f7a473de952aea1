package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// CreateInvitation adds an invitation and returns it with the secret of its link, which is not
// stored. by is the caller's grant, nil for the operator. A life of 0 means InvitationLife.
func (s *Service) CreateInvitation(
	ctx context.Context, actor controlplane.Actor, by *controlplane.Grant, orgID string,
	role controlplane.Role, life time.Duration,
) (*controlplane.Invitation, string, error) {
	if life == 0 {
		life = controlplane.InvitationLife
	}
	if err := mayInvite(by, role); err != nil {
		return nil, "", err
	}
	if life < controlplane.InvitationMinLife || life > controlplane.InvitationMaxLife {
		return nil, "", controlplane.Invalid("/expires_in_seconds", "out-of-range",
			"An invitation must expire in 5 minutes to 30 days.",
			"Send a number of seconds from 300 to 2592000.")
	}
	now := s.now()
	secret := controlplane.NewRandomSecret()
	i := &controlplane.Invitation{ID: controlplane.NewID(controlplane.PrefixInvitation),
		OrgID: orgID, Role: role, Hash: controlplane.HashSecret(secret),
		ExpiresAt: now.Add(life), CreatedBy: actor.ID, CreatedAt: now}
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		if err := roomToInvite(ctx, t, actor, by, orgID, now); err != nil {
			return err
		}
		if err := t.AddInvitation(ctx, i); err != nil {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionInvited, "invitation", i.ID, now)
		entry.After = map[string]any{"role": string(role), "expires_at": i.ExpiresAt}
		return t.Audit(ctx, entry)
	})
	if err != nil {
		return nil, "", err
	}
	return i, secret, nil
}

// RevokeInvitation revokes an invitation; its link no longer works. by is the caller's grant, nil
// for the operator.
func (s *Service) RevokeInvitation(
	ctx context.Context, actor controlplane.Actor, by *controlplane.Grant, orgID, id string,
) error {
	return s.Store.InTx(ctx, func(t *postgres.Tx) error {
		i, err := t.DeleteInvitation(ctx, orgID, id)
		if err != nil {
			return err
		}
		if err := by.CanGrantRole(i.Role); err != nil {
			return err
		}
		return t.Audit(ctx, s.revokedInvitation(actor, i, s.now()))
	})
}

// AcceptInvitation makes the session's user a member with the invitation's role, moves the session
// to the organization, and deletes the invitation. It returns false if the user already is a
// member, who keeps their role. It returns KindNotFound if the invitation was used or revoked, or
// expired.
func (s *Service) AcceptInvitation(
	ctx context.Context, actor controlplane.Actor, session *controlplane.Session, secret string,
) (string, bool, error) {
	orgID, joined := "", false
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		i, _, err := lockInvitation(ctx, t, controlplane.HashSecret(secret), now)
		if err != nil {
			return err
		}
		orgID = i.OrgID
		if _, joined, err = s.accept(ctx, t, actor, i, &session.User, now); err != nil {
			return err
		}
		if orgID == session.OrgID {
			return nil
		}
		return s.switchTo(ctx, t, actor, session, orgID)
	})
	return orgID, joined, err
}

// lockInvitation returns an open invitation and its organization, both locked. The organization is
// always locked before its members change.
func lockInvitation(
	ctx context.Context, t *postgres.Tx, hash []byte, now time.Time,
) (*controlplane.Invitation, *controlplane.Organization, error) {
	i, err := t.InvitationByHash(ctx, hash, now)
	if err != nil {
		return nil, nil, err
	}
	org, err := t.LockOrganization(ctx, i.OrgID)
	if err != nil {
		return nil, nil, err
	}
	i, err = t.LockInvitation(ctx, hash, now) // it may have been used meanwhile
	return i, org, err
}

// accept makes a user a member by a locked invitation. It returns false if they already are one:
// then the invitation stays open.
func (s *Service) accept(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, i *controlplane.Invitation,
	user *controlplane.User, now time.Time,
) (*controlplane.Member, bool, error) {
	m := &controlplane.Member{OrgID: i.OrgID, User: *user, Role: i.Role, Since: now}
	joined, err := t.AddMember(ctx, m)
	switch {
	case err != nil:
		return nil, false, err
	case joined:
		return m, true, s.useInvitation(ctx, t, actor, i, m, now)
	}
	m, err = t.Member(ctx, i.OrgID, user.ID)
	return m, false, err
}

func (s *Service) useInvitation(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, i *controlplane.Invitation,
	m *controlplane.Member, now time.Time,
) error {
	if _, err := t.DeleteInvitation(ctx, i.OrgID, i.ID); err != nil {
		return err
	}
	entry := s.audit(i.OrgID, actor, controlplane.ActionInviteAccepted, "invitation", i.ID, now)
	entry.Details = map[string]any{"user_id": m.User.ID, "created_by": i.CreatedBy}
	if err := t.Audit(ctx, entry); err != nil {
		return err
	}
	return t.Audit(ctx, s.memberEntry(actor, controlplane.ActionMemberJoined, i.OrgID, &m.User, nil,
		&m.Role, now))
}

// revokeInvitationsBy revokes the invitations of a user who can no longer invite: otherwise they
// could rejoin with one of them.
func (s *Service) revokeInvitationsBy(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, orgID, userID string,
	now time.Time,
) error {
	links, members, err := t.DeleteInvitationsBy(ctx, orgID, userID)
	if err != nil {
		return err
	}
	for i := range links {
		if err := t.Audit(ctx, s.revokedInvitation(actor, &links[i], now)); err != nil {
			return err
		}
	}
	for i := range members {
		m := &members[i]
		if err := t.Audit(ctx, s.memberEntry(actor, controlplane.ActionMemberRemoved, orgID,
			&m.User, &m.Role, nil, now)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) revokedInvitation(
	actor controlplane.Actor, i *controlplane.Invitation, now time.Time,
) controlplane.AuditEntry {
	entry := s.audit(i.OrgID, actor, controlplane.ActionInviteRevoked, "invitation", i.ID, now)
	entry.Before = map[string]any{"role": string(i.Role), "expires_at": i.ExpiresAt,
		"created_by": i.CreatedBy}
	return entry
}
