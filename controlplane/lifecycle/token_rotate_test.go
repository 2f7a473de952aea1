package lifecycle_test

import (
	"slices"
	"strings"
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

// A rotation adds a secret, ends no other one early, and without an overlap ends only the current
// one.
func TestRotateToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tok, first, err := w.CreateToken(t.Context(), alice, nil, w.org,
		lifecycle.NewToken{Name: "ci", Scopes: []controlplane.Scope{read}})
	must(t, err)
	rotated, second, err := w.RotateToken(t.Context(), alice, nil, w.org, tok.ID,
		lifecycle.Rotation{Overlap: 7 * day})
	must(t, err)
	if rotated.ID != tok.ID || rotated.Name != "ci" || !slices.Equal(rotated.Scopes, tok.Scopes) ||
		rotated.Secrets.Prefix() != controlplane.SecretPrefix(second) ||
		!rotated.RotatedAt.Equal(start) || rotated.ExpiresAt != nil ||
		!rotated.Secrets.PreviousUntil(start).Equal(start.Add(7*day)) {
		t.Errorf("RotateToken = %+v, want the same token with a new secret, and the previous one for a week", rotated)
	}
	if got := w.bySecret(second); got == nil || got.ID != tok.ID || got.SecretUntil != nil {
		t.Errorf("token with the new secret = %+v, want %s", got, tok.ID)
	}
	if got := w.bySecret(first); got == nil || got.ID != tok.ID ||
		got.Tier != controlplane.TierPro || !got.SecretUntil.Equal(start.Add(7*day)) {
		t.Errorf("token with the previous secret = %+v, want %s", got, tok.ID)
	}
	e := w.last(tok.ID)
	if e.Action != controlplane.ActionTokenRotated || e.Actor != alice ||
		e.Before["prefix"] != tok.Secrets.Prefix() || e.After["prefix"] != rotated.Secrets.Prefix() {
		t.Errorf("last entry = %+v, want token.rotated by alice with both prefixes", e)
	}
	// The response was lost: the rotation is repeated.
	w.clock.add(time.Hour)
	now := w.clock.Now()
	_, third, err := w.RotateToken(t.Context(), alice, nil, w.org, tok.ID,
		lifecycle.Rotation{Overlap: day})
	must(t, err)
	rotated, fourth, err := w.RotateToken(t.Context(), alice, nil, w.org, tok.ID,
		lifecycle.Rotation{})
	must(t, err)
	for _, x := range []struct {
		name, secret string
		until        *time.Time
	}{{"first", first, new(start.Add(7 * day))}, {"second", second, new(now.Add(day))},
		{"third", third, &now}, {"fourth", fourth, nil}} {
		got := w.bySecret(x.secret)
		if got == nil || (got.SecretUntil == nil) != (x.until == nil) ||
			x.until != nil && !got.SecretUntil.Equal(*x.until) {
			t.Errorf("token with the %s secret = %+v, want it valid until %v", x.name, got, x.until)
		}
	}
	if got := prefixes(rotated.Secrets.Valid(now)); !slices.Equal(got,
		[]string{controlplane.SecretPrefix(fourth), controlplane.SecretPrefix(first),
			controlplane.SecretPrefix(second)}) {
		t.Errorf("prefixes of the valid secrets = %q, want those of the fourth, first, and second",
			got)
	}
	for _, secret := range []string{first, second, third, fourth} {
		if n := value[int](w,
			`SELECT count(*) FROM audit_logs a WHERE a::text LIKE '%' || $1 || '%'`,
			secret); n != 0 {
			t.Error("the audit log contains a secret")
		}
	}
	_, _, err = w.RotateToken(t.Context(), alice, nil, w.organization(1), tok.ID,
		lifecycle.Rotation{})
	wantError(t, "another organization's token", err, controlplane.KindNotFound, "not-found")
}

func prefixes(all controlplane.Secrets) (out []string) {
	for _, s := range all {
		out = append(out, s.Prefix)
	}
	return out
}

// A token has at most five valid secrets. Rotations beyond that are rejected, also if several come
// at once, until previous secrets are revoked or expire.
func TestRotateTokenUpToTheMaximum(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tok, first, err := w.CreateToken(t.Context(), alice, nil, w.org,
		lifecycle.NewToken{Name: "ci", Scopes: []controlplane.Scope{read}})
	must(t, err)
	const tries = 12
	errs := make(chan error, tries)
	rotate := func(overlap time.Duration) error {
		_, _, err := w.RotateToken(t.Context(), alice, nil, w.org, tok.ID,
			lifecycle.Rotation{Overlap: overlap})
		return err
	}
	for range tries {
		go func() { errs <- rotate(time.Hour) }()
	}
	rotated := 0
	for range tries {
		err := soon(t, "an answer", errs)
		if err == nil {
			rotated++
			continue
		}
		e := wantError(t, "a sixth secret", err, controlplane.KindConflict, "too-many-secrets")
		if !strings.Contains(e.Fix, "DELETE /api/tokens/"+tok.ID+"/previous-secrets") ||
			!strings.Contains(e.Fix, "2026-03-01T13:00:00Z") || !e.RetryAt.IsZero() {
			t.Errorf("error = %+v, want a fix with the path and the next expiry, without retry_at", e)
		}
	}
	if rotated != controlplane.MaxSecrets-1 || w.bySecret(first) == nil {
		t.Errorf("%d rotations succeeded, want %d", rotated, controlplane.MaxSecrets-1)
	}
	must(t, rotate(0)) // replaces the current secret
	wantError(t, "still five", rotate(time.Hour), controlplane.KindConflict, "too-many-secrets")
	w.clock.add(time.Hour)
	must(t, rotate(time.Hour))
	// The number of expired secrets is limited.
	for range 20 {
		must(t, rotate(0))
	}
	if n := value[int](w, `SELECT count(*) FROM token_secrets WHERE token_id = $1`,
		tok.ID); n != 7 {
		t.Errorf("%d stored secrets, want 1 current, 1 previous, and 5 expired", n)
	}
}

// Revoking the previous secrets leaves the current one, and does nothing a second time. Expired
// secrets are removed after 30 days.
func TestRevokePreviousSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tok, first, err := w.CreateToken(t.Context(), alice, nil, w.org,
		lifecycle.NewToken{Name: "ci", Scopes: []controlplane.Scope{read}})
	must(t, err)
	var second, third string
	for _, secret := range []*string{&second, &third} {
		_, *secret, err = w.RotateToken(t.Context(), alice, nil, w.org, tok.ID,
			lifecycle.Rotation{Overlap: 7 * day})
		must(t, err)
	}
	w.clock.add(time.Hour)
	now := w.clock.Now()
	must(t, w.RevokePreviousSecrets(t.Context(), alice, w.org, tok.ID))
	for _, secret := range []string{first, second} {
		if got := w.bySecret(secret); got == nil || !got.SecretUntil.Equal(now) {
			t.Errorf("token with a previous secret = %+v, want it expired now", got)
		}
	}
	if got := w.bySecret(third); got == nil || got.SecretUntil != nil {
		t.Errorf("token with the current secret = %+v, want it valid", got)
	}
	if e := w.last(tok.ID); e.Action != controlplane.ActionTokenSecretsRevoked ||
		e.Details["revoked"] != 2.0 || !strings.Contains(toJSON(e), controlplane.SecretPrefix(first)) {
		t.Errorf("last entry = %s, want token.previous_secrets_revoked of 2", toJSON(e))
	}
	w.changesNothing("RevokePreviousSecrets again", func() error {
		return w.RevokePreviousSecrets(t.Context(), alice, w.org, tok.ID)
	})
	err = w.RevokePreviousSecrets(t.Context(), alice, w.organization(1), tok.ID)
	wantError(t, "another organization's token", err, controlplane.KindNotFound, "not-found")
	for _, x := range []struct {
		after time.Duration
		known bool
	}{{29 * day, true}, {31 * day, false}} {
		w.clock.set(now.Add(x.after))
		must(t, w.Tidy(t.Context()))
		if got := w.bySecret(first); (got != nil) != x.known || w.bySecret(third) == nil {
			t.Errorf("token with an expired secret after %s = %+v, want it found: %v", x.after, got,
				x.known)
		}
	}
	must(t, w.DeleteToken(t.Context(), alice, w.org, tok.ID))
	if n := value[int](w, `SELECT count(*) FROM token_secrets`); n != 0 {
		t.Errorf("%d secrets are left of a deleted token, want 0", n)
	}
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
