package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// maxUserAgent is how much is kept of what a browser says of itself.
const maxUserAgent = 256

// SignIn lets in whom GitHub vouches for, and returns their session with the cookie's value,
// which is kept nowhere. They come to the organization where they were last. Who belongs to
// none is given one of their own.
func (s *Service) SignIn(ctx context.Context, from controlplane.Actor, userAgent string, account controlplane.GitHubAccount) (*controlplane.Session, string, error) {
	now := s.now()
	secret := controlplane.NewRandomSecret()
	session := &controlplane.Session{ID: controlplane.NewID(controlplane.PrefixSession), Hash: controlplane.HashSecret(secret), IP: from.IP,
		UserAgent: storable(userAgent[:min(len(userAgent), maxUserAgent)]), CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(controlplane.SessionIdle)}
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		user, err := t.UserOf(ctx, account, now)
		if err != nil {
			return err
		}
		actor := controlplane.Actor{Type: controlplane.ActorUser, ID: user.ID, IP: from.IP, RequestID: from.RequestID}
		first, err := t.Join(ctx, user.ID, now)
		if err != nil {
			return err
		}
		if user.JoinedAt == nil {
			user.JoinedAt = &now
		}
		all, err := t.Memberships(ctx, user.ID)
		if err != nil {
			return err
		}
		if first {
			for _, m := range all {
				if err := t.Audit(ctx, s.memberEntry(actor, controlplane.ActionMemberJoined, m.Organization.ID, user, nil, &m.Role, now)); err != nil {
					return err
				}
			}
		}
		if len(all) == 0 {
			own, err := s.ownOrganization(ctx, t, actor, user, now)
			if err != nil {
				return err
			}
			all = append(all, *own)
		}
		session.User, session.OrgID, session.Role, session.Tier = *user, all[0].Organization.ID, all[0].Role, all[0].Organization.Tier
		if err := t.AddSession(ctx, session); err != nil {
			return err
		}
		entry := s.audit(session.OrgID, actor, controlplane.ActionSessionStarted, "session", session.ID, now)
		entry.Details = map[string]any{"login": user.Login, "user_agent": session.UserAgent}
		return t.Audit(ctx, entry)
	})
	if err != nil {
		return nil, "", err
	}
	return session, secret, nil
}

// ownOrganization makes an organization of which the user is the owner.
func (s *Service) ownOrganization(ctx context.Context, t *postgres.Tx, actor controlplane.Actor, user *controlplane.User, now time.Time) (*controlplane.Membership, error) {
	o := &controlplane.Organization{ID: controlplane.NewID(controlplane.PrefixOrganization), Name: user.Login, Tier: controlplane.TierFree, CreatedAt: now}
	if err := s.addOrganization(ctx, t, actor, o); err != nil {
		return nil, err
	}
	m := &controlplane.Member{OrgID: o.ID, User: *user, Role: controlplane.RoleOwner, Since: now}
	if _, err := t.AddMember(ctx, m); err != nil {
		return nil, err
	}
	return &controlplane.Membership{Organization: *o, Role: m.Role}, t.Audit(ctx, s.memberEntry(actor, controlplane.ActionMemberAdded, o.ID, user, nil, &m.Role, now))
}

// SignOut ends a session. One that has ended already is no error.
func (s *Service) SignOut(ctx context.Context, actor controlplane.Actor, session *controlplane.Session) error {
	return s.Store.InTx(ctx, func(t *postgres.Tx) error {
		ended, err := t.DeleteSession(ctx, session)
		if err != nil || !ended {
			return err
		}
		return t.Audit(ctx, s.audit(session.OrgID, actor, controlplane.ActionSessionEnded, "session", session.ID, s.now()))
	})
}

// SwitchOrganization takes a session to another organization that its user belongs to. Where
// they do not, it is KindNotFound.
func (s *Service) SwitchOrganization(ctx context.Context, actor controlplane.Actor, session *controlplane.Session, orgID string) error {
	if orgID == session.OrgID {
		return nil
	}
	return s.Store.InTx(ctx, func(t *postgres.Tx) error { return s.switchTo(ctx, t, actor, session, orgID) })
}

// switchTo ends the session in one organization and starts it in another, as their logs see it.
func (s *Service) switchTo(ctx context.Context, t *postgres.Tx, actor controlplane.Actor, session *controlplane.Session, orgID string) error {
	if err := t.SwitchSession(ctx, session, orgID); err != nil {
		return err
	}
	now := s.now()
	if err := t.Audit(ctx, s.audit(session.OrgID, actor, controlplane.ActionSessionEnded, "session", session.ID, now)); err != nil {
		return err
	}
	entry := s.audit(orgID, actor, controlplane.ActionSessionStarted, "session", session.ID, now)
	entry.Details = map[string]any{"login": session.User.Login, "user_agent": session.UserAgent}
	return t.Audit(ctx, entry)
}
