package api

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// A token rotates itself. Its previous secret remains valid until the overlap ends, and the error
// then says so.
func TestRotateToken(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var ahead time.Duration
	w := newWorld(t, func(c *Config) {
		c.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(ahead) }
	})
	first := w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes()})
	me, err := w.store.TokenByHash(t.Context(), controlplane.HashSecret(first))
	if err != nil {
		t.Fatal(err)
	}
	path := "/api/tokens/" + me.ID
	if a := w.do("GET", path, nil, as(first)).is(200); a.json["rotated_at"] != nil ||
		a.json["previous_valid_until"] != nil {
		t.Errorf("before: %s", a.body)
	}
	a := w.do("POST", path+"/rotate", map[string]any{"overlap_seconds": 3600}, as(first),
		key("k")).is(200)
	second := a.string("token")
	if a.string("id") != me.ID || a.string("token_prefix") != controlplane.SecretPrefix(second) ||
		a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("rotation = %v %s, want token %s with the new prefix, uncached", a.header, a.body,
			me.ID)
	}
	until, err := time.Parse(time.RFC3339, a.string("previous_valid_until"))
	if left := time.Until(until); err != nil || left > time.Hour || left < 59*time.Minute {
		t.Errorf("the old secret works until %v", until)
	}
	// A retry with either secret gets the same response.
	for _, secret := range []string{first, second} {
		if again := w.do("POST", path+"/rotate", map[string]any{"overlap_seconds": 3600},
			as(secret), key("k")).is(200); again.body != a.body {
			t.Errorf("%s, then %s", a.body, again.body)
		}
		if got := w.do("GET", path, nil,
			as(secret)).is(200); got.string("rotated_at") != a.string("rotated_at") ||
			got.string("previous_valid_until") != a.string("previous_valid_until") {
			t.Errorf("token after the rotation = %s, want the times of %s", got.body, a.body)
		}
	}
	mu.Lock()
	ahead = time.Hour
	mu.Unlock()
	w.do("GET", path, nil, as(first)).problem(401, "token-rotated")
	if got := w.do("GET", path, nil, as(second)).is(200); got.json["previous_valid_until"] != nil ||
		got.json["rotated_at"] == nil {
		t.Errorf("after: %s", got.body)
	}
	// Without an overlap the previous secret stops working immediately; the default is the
	// contract's.
	third := w.do("POST", path+"/rotate", map[string]any{"overlap_seconds": 0},
		as(second)).is(200).string("token")
	w.do("GET", path, nil, as(second)).problem(401, "token-rotated")
	fourth := w.do("POST", path+"/rotate", map[string]any{}, as(third)).is(200)
	until, err = time.Parse(time.RFC3339, fourth.string("previous_valid_until"))
	if left := time.Until(until); err != nil || left > 24*time.Hour || left < 23*time.Hour {
		t.Errorf("the old secret works until %v", until)
	}
	w.do("GET", path, nil, as(second)).problem(401, "token-rotated")
	w.do("POST", path+"/rotate", map[string]any{"overlap_seconds": 604801}, as(third)).problem(422,
		"out-of-range")
}

func TestRotateTokenRefused(t *testing.T) {
	t.Parallel()
	var ahead time.Duration
	w := newWorld(t, func(c *Config) { c.Now = func() time.Time { return time.Now().Add(ahead) } })
	soon := time.Now().Add(time.Hour)
	few := w.newToken(w.org,
		lifecycle.NewToken{Scopes: []controlplane.Scope{controlplane.ScopeTokensWrite},
			ExpiresAt: &soon})
	mine, err := w.store.TokenByHash(t.Context(), controlplane.HashSecret(few))
	if err != nil {
		t.Fatal(err)
	}
	all := w.newEstate(w.org, "rotate.example.com").token
	w.do("POST", "/api/tokens/"+all.ID+"/rotate", map[string]any{}, as(few)).problem(403,
		"token-exceeds")
	w.do("POST", "/api/tokens/"+mine.ID+"/rotate", map[string]any{"expires_at": nil},
		as(few)).problem(422, "expires-exceeds")
	w.do("POST", "/api/tokens/"+mine.ID+
		"/rotate", map[string]any{"expires_at": soon.Add(time.Minute)}, as(few)).problem(422,
		"expires-exceeds")
	w.do("POST", "/api/tokens/"+mine.ID+
		"/rotate", map[string]any{"expires_at": time.Now().Add(-time.Minute)}).problem(422,
		"expires-in-past")
	if a := w.do("POST", "/api/tokens/"+mine.ID+
		"/rotate", map[string]any{"expires_at": nil}).is(200); a.json["expires_at"] != nil {
		t.Errorf("rotated token = %s, want expires_at null", a.body)
	}
	w.exec(`UPDATE api_tokens SET expires_at = now() WHERE id = $1`, mine.ID)
	w.do("POST", "/api/tokens/"+mine.ID+"/rotate", map[string]any{}).problem(409, "token-ended")
}

// A rotation whose response was lost is repeated, with the same Idempotency-Key or without one. The
// secret in use remains valid as long as the first rotation promised.
func TestRotateTokenAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	week := map[string]any{"overlap_seconds": 604800}
	for name, options := range map[string][]option{"with a key": {key("again")}, "without": nil} {
		id, inUse := w.newTokenWithID(lifecycle.NewToken{Scopes: controlplane.Scopes()})
		path := "/api/tokens/" + id
		lost := w.do("POST", path+"/rotate", week, options...).is(200)
		got := w.do("POST", path+"/rotate", week, options...).is(200)
		if (got.body == lost.body) != (options != nil) {
			t.Errorf("%s: second rotation = %s after %s, want the same response: %v", name, got.body,
				lost.body, options != nil)
		}
		want := []any{lost.string("previous_valid_until")}
		if options == nil {
			want = []any{got.string("previous_valid_until"), lost.string("previous_valid_until")}
		}
		token := w.do("GET", path, nil, as(inUse)).is(200)
		secrets := token.json["secrets"].([]any)
		var until []any
		for _, s := range secrets[1:] {
			until = append(until, s.(map[string]any)["valid_until"])
		}
		current := secrets[0].(map[string]any)
		if !slices.Equal(until, want) || current["valid_until"] != nil ||
			current["prefix"] != controlplane.SecretPrefix(got.string("token")) ||
			token.json["previous_valid_until"] != want[0] {
			t.Errorf("%s: token = %s, want the new secret and previous ones until %v", name,
				token.body, want)
		}
		w.do("GET", path, nil, as(lost.string("token"))).is(200)
	}
}

// Revoking the previous secrets leaves the current one, whichever secret the call uses.
func TestRevokePreviousSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, first := w.newTokenWithID(lifecycle.NewToken{Scopes: controlplane.Scopes()})
	path := "/api/tokens/" + id
	second := w.do("POST", path+"/rotate", map[string]any{}).is(200).string("token")
	w.do("DELETE", path+"/previous-secrets", nil, as(first)).is(204)
	w.do("GET", path, nil, as(first)).problem(401, "token-rotated")
	if a := w.do("GET", path, nil, as(second)).is(200); a.json["previous_valid_until"] != nil ||
		len(a.json["secrets"].([]any)) != 1 {
		t.Errorf("token = %s, want only its current secret", a.body)
	}
	w.do("DELETE", path+"/previous-secrets", nil, as(second)).is(204)
	if log := w.do("GET", "/api/audit-logs?action=token.previous_secrets_revoked", nil).is(200); len(
		log.ids()) != 1 {
		t.Errorf("audit log of token.previous_secrets_revoked = %s, want 1 entry", log.body)
	}
	w.do("DELETE", "/api/tokens/"+controlplane.NewID(controlplane.PrefixToken)+"/previous-secrets",
		nil).problem(404, "not-found")
}

// Fifty concurrent rotations add secrets up to the maximum, all of which work.
func TestRotateTokenAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, first := w.newTokenWithID(lifecycle.NewToken{Scopes: controlplane.Scopes()})
	answers := make(chan *answer, 50)
	for range cap(answers) {
		go func() { answers <- w.do("POST", "/api/tokens/"+id+"/rotate", map[string]any{}) }()
	}
	secrets := []string{first}
	for range cap(answers) {
		switch a := <-answers; a.status {
		case http.StatusOK:
			secrets = append(secrets, a.string("token"))
		default:
			a.problem(409, "too-many-secrets")
			if a.header.Get("Retry-After") != "" {
				t.Errorf("Retry-After = %s, want none: a client would wait", a.header.Get("Retry-After"))
			}
		}
	}
	if len(secrets) != controlplane.MaxSecrets {
		t.Errorf("%d rotations succeeded, want %d", len(secrets)-1, controlplane.MaxSecrets-1)
	}
	for _, secret := range secrets {
		w.do("GET", "/api/domains", nil, as(secret)).is(200)
	}
}

// A stream ends with the secret that opened it.
func TestStreamEndsWithItsSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.api.heartbeat = 50 * time.Millisecond
	first := w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes()})
	me, err := w.store.TokenByHash(t.Context(), controlplane.HashSecret(first))
	if err != nil {
		t.Fatal(err)
	}
	second := w.do("POST", "/api/tokens/"+me.ID+"/rotate", map[string]any{"overlap_seconds": 1},
		as(first)).is(200).string("token")
	old, now := w.follow("", "", as(first)), w.follow("", "", as(second))
	if id, _, _ := old.next(); id != "" {
		t.Errorf("%s came", id)
	}
	w.newDomain(w.org, "goes-on.example.com")
	if id, _, _ := now.next(); id == "" {
		t.Error("the new secret's stream ended, too")
	}
}

func TestRevokeAllTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.newEstate(w.org, "revoke.example.com")
	restricted := w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes(),
		DomainIDs: []string{e.domain.ID}})
	rotated := w.do("POST", "/api/tokens/"+e.token.ID+
		"/rotate", map[string]any{}).is(200).string("token")
	w.do("POST", "/api/tokens/revoke-all", map[string]any{}, as(restricted)).problem(403,
		"token-restricted")
	w.do("GET", "/api/domains", nil, as(rotated)).is(200)
	if a := w.do("POST", "/api/tokens/revoke-all", map[string]any{"keep_current": true}).is(
		200); a.json["revoked"] != 2.0 {
		t.Errorf("revoke-all with keep_current = %s, want 2 revoked", a.body)
	}
	w.do("GET", "/api/domains", nil, as(rotated)).problem(401, "token-invalid")
	if ids := w.do("GET", "/api/tokens", nil).is(200).ids(); len(ids) != 1 {
		t.Errorf("%v are left", ids)
	}
	log := w.do("GET", "/api/audit-logs?action=token.revoked_all", nil).is(200)
	if len(log.ids()) != 1 {
		t.Errorf("audit log of token.revoked_all = %s, want 1 entry", log.body)
	}
	if a := w.do("POST", "/api/tokens/revoke-all", map[string]any{}).is(
		200); a.json["revoked"] != 1.0 {
		t.Errorf("revoke-all = %s, want 1 revoked", a.body)
	}
	w.do("GET", "/api/domains", nil).problem(401, "token-invalid")
}

// No Authorization header makes bearer panic, and only one well-formed secret passes.
func FuzzBearer(f *testing.F) {
	secret := controlplane.NewSecret()
	for _, seed := range []string{"Bearer " + secret, "bearer  " + secret + " ", "Basic eDp5", "",
		"Bearer", "Bearer " + secret[:39], "Bearer dcv_\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		got, err := bearer(http.Header{"Authorization": {line}})
		if (err == nil) != controlplane.WellFormed(got) {
			t.Fatalf("%q gives %q, %v", line, got, err)
		}
		if err != nil && asHTTPError(err).status != http.StatusUnauthorized {
			t.Fatalf("bearer(%q) = %v, want status 401", line, err)
		}
	})
}
