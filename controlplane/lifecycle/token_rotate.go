package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// Rotation says how a token gets a new secret.
type Rotation struct {
	Overlap   time.Duration // how long the old secret works on
	NewEnd    bool          // the token is to end at ExpiresAt; otherwise that stays as it is
	ExpiresAt *time.Time    // nil: never
}

// RotateToken gives a token a new secret and returns it with that, which is kept nowhere. by
// is what the caller may do, nil for the operator: who has the secret has all that the token
// may do, so it must not be more. Errors: KindConflict for a token that has expired,
// KindForbidden where the token may do more than the caller, KindInvalid for its new end.
func (s *Service) RotateToken(ctx context.Context, actor controlplane.Actor, by *controlplane.Grant, orgID, id string, in Rotation) (*controlplane.Token, string, error) {
	now := s.now()
	secret := controlplane.NewSecret()
	var t *controlplane.Token
	err := s.Store.InTx(ctx, func(tx *postgres.Tx) error {
		if _, err := lockGrantor(ctx, tx, actor, by, orgID); err != nil {
			return err
		}
		old, err := tx.Token(ctx, orgID, id)
		if err != nil {
			return err
		}
		ends := old.ExpiresAt
		if in.NewEnd {
			ends = toMicrosecond(in.ExpiresAt)
		}
		if err := mayRotate(by, old, ends, now); err != nil {
			return err
		}
		t, err = tx.RotateToken(ctx, orgID, id, controlplane.HashSecret(secret), controlplane.SecretPrefix(secret), ends, now.Add(in.Overlap), now)
		if err != nil {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionTokenRotated, "token", id, now)
		entry.Before = map[string]any{"prefix": old.Prefix, "expires_at": old.ExpiresAt}
		entry.After = map[string]any{"prefix": t.Prefix, "expires_at": t.ExpiresAt}
		entry.Details = map[string]any{"previous_valid_until": t.PreviousUntil}
		return tx.Audit(ctx, entry)
	})
	if err != nil {
		return nil, "", err
	}
	return t, secret, nil
}

// mayRotate returns why a token is not given a new secret that works until ends, nil where
// nothing is in the way.
func mayRotate(by *controlplane.Grant, t *controlplane.Token, ends *time.Time, now time.Time) error {
	if t.ExpiresAt != nil && !t.ExpiresAt.After(now) {
		return &controlplane.Error{Kind: controlplane.KindConflict, Code: "token-ended", ExistingID: t.ID,
			Message: "The token expired at " + t.ExpiresAt.Format(time.RFC3339) + ".", Fix: "Create a new one."}
	}
	if ends != nil && !ends.After(now) {
		return controlplane.Invalid("/expires_at", "expires-in-past", "A token cannot expire before its secret is made.", "Send a time in the future, or null for none.")
	}
	if by == nil {
		return nil
	}
	if !by.Covers(t.Grant()) {
		return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "token-exceeds",
			Message: "The token may do more than the caller, who would get that with its secret.",
			Fix:     "Ask with a token that has all of its scopes and domains, or rotate it with its own secret."}
	}
	if by.ExpiresAt != nil && (ends == nil || ends.After(*by.ExpiresAt)) {
		return controlplane.Invalid("/expires_at", "expires-exceeds", "The caller's own right ends at "+by.ExpiresAt.Format(time.RFC3339)+", so the token must, too, by then.",
			"Send that time or an earlier one.")
	}
	return nil
}

// toMicrosecond returns a time as Postgres keeps it.
func toMicrosecond(at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	t := at.UTC().Truncate(time.Microsecond)
	return &t
}
