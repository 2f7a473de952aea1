package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// Rotation configures how a token gets a new secret.
type Rotation struct {
	Overlap   time.Duration // how long the current secret remains valid; 0 revokes it at once
	NewEnd    bool          // change the token's expiry to ExpiresAt
	ExpiresAt *time.Time    // nil: no expiry
}

// RotateToken gives a token a new secret and returns both. The secret is not stored. The previous
// secrets remain valid as long as before, so that a repeated rotation, whose first response was
// lost, invalidates none that is in use. by is the caller's grant, nil for the operator. It returns
// KindConflict if the token expired or has too many valid secrets, KindForbidden if the token has
// more access than the caller, who would get it with the secret, and KindInvalid for an invalid
// expiry.
func (s *Service) RotateToken(
	ctx context.Context, actor controlplane.Actor, by *controlplane.Grant, orgID, id string,
	in Rotation,
) (*controlplane.Token, string, error) {
	now := s.now()
	secret := controlplane.NewSecret()
	var t *controlplane.Token
	err := s.Store.InTx(ctx, func(tx *postgres.Tx) error {
		if _, err := lockGrantor(ctx, tx, actor, by, orgID); err != nil {
			return err
		}
		old, err := tx.LockToken(ctx, orgID, id)
		if err != nil {
			return err
		}
		expires := old.ExpiresAt
		if in.NewEnd {
			expires = toMicrosecond(in.ExpiresAt)
		}
		if err := mayRotate(by, old, expires, now); err != nil {
			return err
		}
		if in.Overlap > 0 {
			if err := old.Secrets.RoomForSecret("token", id, now); err != nil {
				return err
			}
		}
		until := now.Add(in.Overlap)
		if err := tx.RotateToken(ctx, orgID, id, postgres.NewTokenSecret{
			Hash: controlplane.HashSecret(secret), Prefix: controlplane.SecretPrefix(secret),
			ExpiresAt: expires, CurrentUntil: until}, now); err != nil {
			return err
		}
		if t, err = tx.Token(ctx, orgID, id); err != nil {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionTokenRotated, "token", id, now)
		entry.Before = map[string]any{"prefix": old.Secrets.Prefix(), "expires_at": old.ExpiresAt}
		entry.After = map[string]any{"prefix": t.Secrets.Prefix(), "expires_at": t.ExpiresAt}
		entry.Details = map[string]any{"previous_valid_until": until}
		return tx.Audit(ctx, entry)
	})
	if err != nil {
		return nil, "", err
	}
	return t, secret, nil
}

// RevokePreviousSecrets revokes the previous secrets of a token. Only the current one is valid
// after it. Without previous secrets it changes nothing.
func (s *Service) RevokePreviousSecrets(
	ctx context.Context, actor controlplane.Actor, orgID, id string,
) error {
	return s.Store.InTx(ctx, func(tx *postgres.Tx) error {
		now := s.now()
		t, err := tx.LockToken(ctx, orgID, id)
		if err != nil {
			return err
		}
		previous := t.Secrets.Previous(now)
		n, err := tx.EndPreviousTokenSecrets(ctx, orgID, id, now)
		if err != nil || n == 0 {
			return err
		}
		prefixes := make([]string, len(previous))
		for i, secret := range previous {
			prefixes[i] = secret.Prefix
		}
		entry := s.audit(orgID, actor, controlplane.ActionTokenSecretsRevoked, "token", id, now)
		entry.Details = map[string]any{"revoked": n, "prefixes": prefixes}
		return tx.Audit(ctx, entry)
	})
}

// mayRotate returns an error if the token cannot get a new secret that is valid until expires.
func mayRotate(
	by *controlplane.Grant, t *controlplane.Token, expires *time.Time, now time.Time,
) error {
	if t.ExpiresAt != nil && !t.ExpiresAt.After(now) {
		return &controlplane.Error{Kind: controlplane.KindConflict,
			Code: "token-ended", ExistingID: t.ID,
			Message: "The token expired at " + t.ExpiresAt.Format(time.RFC3339) +
				".", Fix: "Create a new one."}
	}
	if expires != nil && !expires.After(now) {
		return controlplane.Invalid("/expires_at", "expires-in-past",
			"The token's expiry is in the past.",
			"Send a time in the future, or null for no expiry.")
	}
	if by == nil {
		return nil
	}
	if !by.Covers(t.Grant()) {
		return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "token-exceeds",
			Message: "The token has more access than the caller, who would get it with the new secret.",
			Fix:     "Use a token that has all of its scopes and domains, or rotate the token with its own secret."}
	}
	if by.ExpiresAt != nil && (expires == nil || expires.After(*by.ExpiresAt)) {
		return controlplane.Invalid("/expires_at", "expires-exceeds",
			"The caller's token expires at "+by.ExpiresAt.Format(time.RFC3339)+
				", so the rotated token must not expire later.",
			"Send that time or an earlier one.")
	}
	return nil
}

// toMicrosecond returns the time in the precision of Postgres.
func toMicrosecond(at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	t := at.UTC().Truncate(time.Microsecond)
	return &t
}
