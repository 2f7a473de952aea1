package controlplane

import (
	"fmt"
	"time"
)

// MaxSecrets is how many secrets of a token or of a webhook are valid at once.
const MaxSecrets = 5

// EndedSecretsKept is how long an expired secret of a token is recognized, so that the error can
// state when it expired.
const EndedSecretsKept = 30 * 24 * time.Hour

// Secret describes one of the secrets of a token or of a webhook.
type Secret struct {
	Prefix     string     // its first characters, for display
	CreatedAt  time.Time  // for secrets of older versions, approximate
	ValidUntil *time.Time // nil for the current secret
	Sealed     []byte     // of a webhook: the whsec_ text, with the webhook's ID as associated data
}

// Valid reports whether the secret is accepted at now. It does not consider the token's expiry.
func (s Secret) Valid(now time.Time) bool {
	return s.ValidUntil == nil || s.ValidUntil.After(now)
}

// Secrets are the secrets of a token or of a webhook: first the current one, then the previous
// ones, the last to expire first. They can include expired ones.
type Secrets []Secret

// Valid returns the secrets that are accepted at now.
func (all Secrets) Valid(now time.Time) Secrets {
	valid := Secrets{}
	for _, s := range all {
		if s.Valid(now) {
			valid = append(valid, s)
		}
	}
	return valid
}

// Previous returns the previous secrets that are accepted at now.
func (all Secrets) Previous(now time.Time) Secrets {
	if len(all) == 0 {
		return nil
	}
	return all[1:].Valid(now)
}

// PreviousUntil returns when the last of the previous secrets expires, nil if none is accepted at
// now.
func (all Secrets) PreviousUntil(now time.Time) *time.Time {
	if previous := all.Previous(now); len(previous) > 0 {
		return previous[0].ValidUntil
	}
	return nil
}

// Prefix returns the prefix of the current secret.
func (all Secrets) Prefix() string {
	if len(all) == 0 {
		return ""
	}
	return all[0].Prefix
}

// RoomForSecret returns KindConflict if MaxSecrets are valid at now, and another one would be added
// to them. noun and id name their token or webhook.
func (all Secrets) RoomForSecret(noun, id string, now time.Time) error {
	valid := all.Valid(now)
	if len(valid) < MaxSecrets {
		return nil
	}
	// No RetryAt: a client would wait for it.
	return &Error{Kind: KindConflict, Code: "too-many-secrets", ExistingID: id,
		Message: fmt.Sprintf("The %s has %d valid secrets, the maximum: the current secret and "+
			"%d previous ones, which remain valid after a rotation.", noun, len(valid),
			len(valid)-1),
		Fix: fmt.Sprintf("Revoke the previous secrets with DELETE /api/%ss/%s/previous-secrets, "+
			"or wait until one of them expires, at %s.", noun, id,
			valid[MaxSecrets-1].ValidUntil.UTC().Format(time.RFC3339))}
}
