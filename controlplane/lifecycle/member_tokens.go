package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// revokeTokensOf revokes the tokens that a member created, directly or with such a token, and that
// exceed the scopes of allowed. Otherwise the member would keep access through a token. It returns
// KindConflict if the request uses one of these tokens.
func (s *Service) revokeTokensOf(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, m *controlplane.Member,
	allowed *controlplane.Grant, now time.Time,
) error {
	tokens, err := t.TokensOf(ctx, m.OrgID, m.User.ID)
	if err != nil {
		return err
	}
	for i := range tokens {
		token := &tokens[i]
		if allowed.CoversScopes(token.Scopes) {
			continue
		}
		if actor.Type == controlplane.ActorToken && actor.ID == token.ID {
			return &controlplane.Error{Kind: controlplane.KindConflict,
				Code: "token-in-use", ExistingID: token.ID,
				Message: "The request uses a token that " + m.User.Title() +
					" created, and that would be revoked.",
				Fix: "Use a token that another member created, or keep their tokens with tokens=keep and revoke them one by one."}
		}
		if err := t.DeleteToken(ctx, m.OrgID, token.ID); err != nil {
			return err
		}
		entry := s.tokenDeleted(actor, token, now)
		entry.Details = map[string]any{"user_id": m.User.ID, "reason": "creator-lost-access"}
		if err := t.Audit(ctx, entry); err != nil {
			return err
		}
	}
	return nil
}
