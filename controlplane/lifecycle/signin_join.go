package lifecycle

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// SignInToJoin lets in whom GitHub vouches for by an invitation, of whose secret hash is the
// SHA-256. They become a member with its role, it is used up, and the session begins in its
// organization; they get none of their own. Who is a member there already stays one as they
// are, the invitation stays open, and false is returned. Errors: KindNotFound where it was
// used, taken back or has expired; then nobody is let in, and nothing is stored. It ends the
// sessions that it replaces, as SignIn does.
func (s *Service) SignInToJoin(ctx context.Context, from controlplane.Actor, userAgent string, account controlplane.GitHubAccount, hash []byte, replaces ...*controlplane.Session) (*controlplane.Session, string, bool, error) {
	session, secret := s.newSession(from, userAgent)
	joined := false
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := session.CreatedAt
		i, err := t.LockInvitation(ctx, hash, now)
		if err != nil {
			return err
		}
		org, err := t.Organization(ctx, i.OrgID)
		if err != nil {
			return err
		}
		user, actor, _, err := s.arrive(ctx, t, from, account, now)
		if err != nil {
			return err
		}
		var m *controlplane.Member
		if m, joined, err = s.accept(ctx, t, actor, i, user, now); err != nil {
			return err
		}
		return s.startSession(ctx, t, actor, session, user, &controlplane.Membership{Organization: *org, Role: m.Role}, replaces)
	})
	if err != nil {
		return nil, "", false, err
	}
	return session, secret, joined, nil
}
