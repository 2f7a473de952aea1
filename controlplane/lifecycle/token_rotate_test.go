package lifecycle_test

import (
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// bySecret returns the token with the secret, nil if it is invalid.
func (w *world) bySecret(secret string) *controlplane.Token {
	w.t.Helper()
	tok, err := w.Store.TokenByHash(w.t.Context(), controlplane.HashSecret(secret))
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return nil
	}
	must(w.t, err)
	return tok
}

// A token has its current secret and, during the overlap, the previous one, and no older one.
func TestRotateToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tok, first, err := w.CreateToken(t.Context(), alice, nil, w.org,
		lifecycle.NewToken{Name: "ci", Scopes: []controlplane.Scope{read}})
	must(t, err)
	rotated, second, err := w.RotateToken(t.Context(), alice, nil, w.org, tok.ID,
		lifecycle.Rotation{Overlap: time.Hour})
	must(t, err)
	if rotated.ID != tok.ID || rotated.Name != "ci" || !slices.Equal(rotated.Scopes, tok.Scopes) ||
		rotated.Prefix != controlplane.SecretPrefix(second) ||
		!rotated.RotatedAt.Equal(start) || !rotated.PreviousUntil.Equal(start.Add(time.Hour)) ||
		rotated.ExpiresAt != nil {
		t.Errorf("RotateToken = %+v, want the same token with a new secret, and the previous one for an hour", rotated)
	}
	if got := w.bySecret(second); got == nil || got.ID != tok.ID || got.SecretUntil != nil {
		t.Errorf("token with the new secret = %+v, want %s", got, tok.ID)
	}
	if got := w.bySecret(first); got == nil || got.ID != tok.ID ||
		got.Tier != controlplane.TierPro || !got.SecretUntil.Equal(start.Add(time.Hour)) {
		t.Errorf("token with the previous secret = %+v, want %s", got, tok.ID)
	}
	e := w.last(tok.ID)
	if e.Action != controlplane.ActionTokenRotated || e.Actor != alice ||
		e.Before["prefix"] != tok.Prefix || e.After["prefix"] != rotated.Prefix {
		t.Errorf("last entry = %+v, want token.rotated by alice with both prefixes", e)
	}
	for _, secret := range []string{first, second} {
		if n := value[int](w,
			`SELECT count(*) FROM audit_logs a WHERE a::text LIKE '%' || $1 || '%'`,
			secret); n != 0 {
			t.Error("the audit log contains a secret")
		}
	}
	_, third, err := w.RotateToken(t.Context(), alice, nil, w.org, tok.ID, lifecycle.Rotation{})
	must(t, err)
	if w.bySecret(first) != nil {
		t.Error("the first secret is valid after the second rotation")
	}
	if got := w.bySecret(second); got == nil || !got.SecretUntil.Equal(start) {
		t.Errorf("token with the second secret = %+v, want none without an overlap", got)
	}
	if w.bySecret(third) == nil {
		t.Error("the third secret is invalid")
	}
	_, _, err = w.RotateToken(t.Context(), alice, nil, w.organization(1), tok.ID,
		lifecycle.Rotation{})
	wantError(t, "another organization's token", err, controlplane.KindNotFound, "not-found")
}

// A token with more access than the caller cannot be rotated.
func TestRotateTokenIsLimitedByTheCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine, theirs := w.add("mine.example.com"), w.add("theirs.example.com")
	until := start.Add(time.Hour)
	before, after := until.Add(-time.Minute), until.Add(time.Minute)
	by := &controlplane.Grant{Scopes: []controlplane.Scope{read, controlplane.ScopeTokensWrite},
		DomainIDs: []string{mine.ID}, ExpiresAt: &until}
	good := lifecycle.NewToken{Name: "x", Scopes: []controlplane.Scope{read},
		DomainIDs: []string{mine.ID}, ExpiresAt: &before}
	for name, tt := range map[string]struct {
		change   func(*lifecycle.NewToken)
		rotation lifecycle.Rotation
		kind     controlplane.Kind
		code     string
	}{
		"same access": {func(*lifecycle.NewToken) {}, lifecycle.Rotation{}, "", ""},
		"same expiry": {func(*lifecycle.NewToken) {},
			lifecycle.Rotation{NewEnd: true, ExpiresAt: &until}, "", ""},
		"later expiry": {func(*lifecycle.NewToken) {},
			lifecycle.Rotation{NewEnd: true, ExpiresAt: &after}, controlplane.KindInvalid,
			"expires-exceeds"},
		"no expiry": {func(*lifecycle.NewToken) {}, lifecycle.Rotation{NewEnd: true},
			controlplane.KindInvalid, "expires-exceeds"},
		"expiry in the past": {func(*lifecycle.NewToken) {},
			lifecycle.Rotation{NewEnd: true, ExpiresAt: &start}, controlplane.KindInvalid,
			"expires-in-past"},
		"unchanged later expiry": {func(in *lifecycle.NewToken) { in.ExpiresAt = &after },
			lifecycle.Rotation{}, controlplane.KindInvalid, "expires-exceeds"},
		"another scope": {func(in *lifecycle.NewToken) {
			in.Scopes = []controlplane.Scope{read,
				write}
		}, lifecycle.Rotation{}, controlplane.KindForbidden, "token-exceeds"},
		"another domain": {func(in *lifecycle.NewToken) {
			in.DomainIDs = []string{mine.ID,
				theirs.ID}
		}, lifecycle.Rotation{}, controlplane.KindForbidden, "token-exceeds"},
		"all domains": {func(in *lifecycle.NewToken) { in.DomainIDs = nil }, lifecycle.Rotation{},
			controlplane.KindForbidden, "token-exceeds"},
	} {
		in := good
		tt.change(&in)
		tok, secret, err := w.CreateToken(t.Context(), alice, nil, w.org, in)
		must(t, err)
		_, _, err = w.RotateToken(t.Context(), controlplane.System("test"), by, w.org, tok.ID,
			tt.rotation)
		if tt.code == "" {
			must(t, err)
			continue
		}
		wantError(t, name, err, tt.kind, tt.code)
		if got := w.bySecret(secret); got == nil || got.SecretUntil != nil || got.RotatedAt != nil {
			t.Errorf("%s: RotateToken failed, and the token = %+v, want it unchanged", name, got)
		}
	}
}

func TestRotateExpiredToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	expires := start.Add(time.Hour)
	tok, _, err := w.CreateToken(t.Context(), alice, nil, w.org,
		lifecycle.NewToken{Name: "x", Scopes: []controlplane.Scope{read}, ExpiresAt: &expires})
	must(t, err)
	w.clock.add(time.Hour)
	later := start.Add(day)
	for _, in := range []lifecycle.Rotation{{}, {NewEnd: true, ExpiresAt: &later}} {
		_, _, err = w.RotateToken(t.Context(), alice, nil, w.org, tok.ID, in)
		wantError(t, "expired", err, controlplane.KindConflict, "token-ended")
	}
}

func TestRevokeTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secrets := make([]string, 3)
	var kept *controlplane.Token
	for i := range secrets {
		var err error
		kept, secrets[i], err = w.CreateToken(t.Context(), alice, nil, w.org,
			lifecycle.NewToken{Name: "x", Scopes: []controlplane.Scope{read}})
		must(t, err)
	}
	_, theirs, err := w.CreateToken(t.Context(), alice, nil, w.organization(1),
		lifecycle.NewToken{Name: "x", Scopes: []controlplane.Scope{read}})
	must(t, err)
	for _, c := range []struct {
		keep    string
		revoked int
		left    bool
	}{{kept.ID, 2, true}, {"", 1, false}, {"", 0, false}} {
		n, err := w.RevokeTokens(t.Context(), alice, w.org, c.keep)
		must(t, err)
		if n != c.revoked || w.bySecret(secrets[0]) != nil || w.bySecret(secrets[1]) != nil ||
			(w.bySecret(secrets[2]) != nil) != c.left {
			t.Errorf("RevokeTokens(keep %q) = %d, want %d", c.keep, n, c.revoked)
		}
		if e := w.last(w.org); c.revoked > 0 && (e.Action != controlplane.ActionTokensRevoked ||
			e.Details["revoked"] != float64(c.revoked)) {
			t.Errorf("last entry = %+v, want %d revoked tokens", e, c.revoked)
		}
	}
	if n := w.count(w.org, controlplane.ActionTokensRevoked); n != 2 {
		t.Errorf("%d entries of token.revoked_all, want 2: a call that revokes nothing adds none", n)
	}
	if w.bySecret(theirs) == nil {
		t.Error("another organization's token was revoked")
	}
}
