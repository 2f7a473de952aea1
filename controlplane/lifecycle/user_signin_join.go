package lifecycle

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// SignInToJoin is SignIn with an invitation: the user becomes a member with its role, the
// invitation is deleted, and the session starts in its organization. hash is the SHA-256 of its
// secret. A new user also gets their own organization, unless InvitedOnly. If the user already is a
// member, they keep their role, the invitation stays open, and SignInToJoin returns false. It
// returns KindNotFound and stores nothing if the invitation was used or revoked, or expired.
func (s *Service) SignInToJoin(
	ctx context.Context, from controlplane.Actor, userAgent string,
	account controlplane.GitHubAccount, hash []byte, replaces ...*controlplane.Session,
) (*controlplane.Session, string, bool, error) {
	session, secret := s.newSession(from, userAgent)
	joined := false
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := session.CreatedAt
		i, org, err := lockInvitation(ctx, t, hash, now)
		if err != nil {
			return err
		}
		user, actor, all, err := s.arrive(ctx, t, from, account, now)
		if err != nil {
			return err
		}
		if len(all) == 0 && !s.InvitedOnly {
			if _, err := s.ownOrganization(ctx, t, actor, user, user.Login, now); err != nil {
				return err
			}
		}
		var m *controlplane.Member
		if m, joined, err = s.accept(ctx, t, actor, i, user, now); err != nil {
			return err
		}
		return s.startSession(ctx, t, actor, session, user,
			&controlplane.Membership{Organization: *org, Role: m.Role}, replaces)
	})
	if err != nil {
		return nil, "", false, err
	}
	return session, secret, joined, nil
}
