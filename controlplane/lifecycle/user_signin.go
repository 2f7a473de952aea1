package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// maxUserAgent is the maximum stored length of a User-Agent header in bytes.
const maxUserAgent = 256

// SignIn starts a session for the owner of a GitHub account, and returns it with the cookie value,
// which is not stored. The session starts in the user's last organization. A user without an
// organization gets a new one; with InvitedOnly, SignIn returns KindForbidden "sign-up-closed"
// instead and stores nothing. It ends the browser's earlier sessions, which replaces lists, and the
// user's least recently used ones beyond MaxSessions.
func (s *Service) SignIn(
	ctx context.Context, from controlplane.Actor, userAgent string,
	account controlplane.GitHubAccount, replaces ...*controlplane.Session,
) (*controlplane.Session, string, error) {
	session, secret := s.newSession(from, userAgent)
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		user, actor, all, err := s.arrive(ctx, t, from, account, session.CreatedAt)
		switch {
		case err != nil:
			return err
		case len(all) == 0 && s.InvitedOnly:
			return signUpClosed(account)
		case len(all) == 0:
			own, err := s.ownOrganization(ctx, t, actor, user, user.Login, session.CreatedAt)
			if err != nil {
				return err
			}
			all = append(all, *own)
		}
		return s.startSession(ctx, t, actor, session, user, &all[0], replaces)
	})
	if err != nil {
		return nil, "", err
	}
	return session, secret, nil
}

// newSession returns a session without a user, and the cookie value.
func (s *Service) newSession(
	from controlplane.Actor, userAgent string,
) (*controlplane.Session, string) {
	now, secret := s.now(), controlplane.NewRandomSecret()
	return &controlplane.Session{ID: controlplane.NewID(controlplane.PrefixSession),
		Hash: controlplane.HashSecret(secret), IP: from.IP,
		UserAgent: storable(userAgent[:min(len(userAgent), maxUserAgent)]), CreatedAt: now,
		LastSeenAt: now, ExpiresAt: now.Add(controlplane.SessionIdle)}, secret
}

// arrive records that a user signs in, and returns the user, the actor, and the memberships. At the
// first sign-in of a user it logs that they joined the organizations they were added to.
func (s *Service) arrive(
	ctx context.Context, t *postgres.Tx, from controlplane.Actor,
	account controlplane.GitHubAccount, now time.Time,
) (*controlplane.User, controlplane.Actor, []controlplane.Membership, error) {
	user, err := t.UserOf(ctx, account, now)
	if err != nil {
		return nil, controlplane.Actor{}, nil, err
	}
	actor := userActor(from, user.ID)
	first, err := t.Join(ctx, user.ID, now)
	if err != nil {
		return nil, controlplane.Actor{}, nil, err
	}
	if user.JoinedAt == nil {
		user.JoinedAt = &now
	}
	all, err := t.Memberships(ctx, user.ID)
	if err != nil || !first {
		return user, actor, all, err
	}
	for _, m := range all {
		if err := t.Audit(ctx, s.memberEntry(actor, controlplane.ActionMemberJoined,
			m.Organization.ID, user, nil, &m.Role, now)); err != nil {
			return nil, controlplane.Actor{}, nil, err
		}
	}
	return user, actor, all, nil
}

// startSession stores the session, in one of its user's organizations, and ends the sessions that
// it replaces.
func (s *Service) startSession(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, session *controlplane.Session,
	user *controlplane.User, in *controlplane.Membership, replaces []*controlplane.Session,
) error {
	session.User, session.OrgID, session.Role, session.Tier = *user, in.Organization.ID, in.Role,
		in.Organization.Tier
	if err := t.AddSession(ctx, session); err != nil {
		return err
	}
	if err := s.makeRoom(ctx, t, actor, session, replaces); err != nil {
		return err
	}
	return t.Audit(ctx, s.sessionStarted(actor, session, session.OrgID, session.CreatedAt))
}

func (s *Service) sessionStarted(
	actor controlplane.Actor, session *controlplane.Session, orgID string, now time.Time,
) controlplane.AuditEntry {
	entry := s.audit(orgID, actor, controlplane.ActionSessionStarted, "session", session.ID, now)
	entry.Details = map[string]any{"login": session.User.Login, "user_agent": session.UserAgent}
	return entry
}

// SignOut ends a session. It is idempotent.
func (s *Service) SignOut(
	ctx context.Context, actor controlplane.Actor, session *controlplane.Session,
) error {
	return s.Store.InTx(ctx, func(t *postgres.Tx) error {
		ended, err := t.DeleteSession(ctx, session)
		if err != nil || !ended {
			return err
		}
		return s.auditEnd(ctx, t, actor, session, endedBySignOut, s.now())
	})
}

// SwitchOrganization moves a session to another organization of its user. It returns KindNotFound
// if they are not a member.
func (s *Service) SwitchOrganization(
	ctx context.Context, actor controlplane.Actor, session *controlplane.Session, orgID string,
) error {
	if orgID == session.OrgID {
		return nil
	}
	return s.Store.InTx(ctx, func(t *postgres.Tx) error {
		return s.switchTo(ctx, t, actor, session,
			orgID)
	})
}

// switchTo moves the session, and logs its end in one organization and its start in the other.
func (s *Service) switchTo(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, session *controlplane.Session,
	orgID string,
) error {
	if err := t.SwitchSession(ctx, session, orgID); err != nil {
		return err
	}
	now := s.now()
	if err := s.auditEnd(ctx, t, actor, session, endedBySwitch, now); err != nil {
		return err
	}
	return t.Audit(ctx, s.sessionStarted(actor, session, orgID, now))
}

func signUpClosed(account controlplane.GitHubAccount) error {
	return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "sign-up-closed",
		Message: account.Login +
			" is not a member of an organization, and sign-up is by invitation only.",
		Fix: "Request an invitation from an owner of the organization and open its link, or sign in with another GitHub account."}
}
