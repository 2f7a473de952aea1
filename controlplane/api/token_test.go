package api

import (
	"net/http"
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
	w.do("GET", path, nil, as(second)).problem(401, "token-invalid")
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

// Fifty concurrent rotations return one secret each, of which at most two work.
func TestRotateTokenAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.newEstate(w.org, "rotate.example.com").token.ID
	secrets := make(chan string, 50)
	for range cap(secrets) {
		go func() {
			a := w.do("POST", "/api/tokens/"+id+"/rotate", map[string]any{})
			secret, _ := a.json["token"].(string)
			secrets <- secret
		}()
	}
	works := 0
	var given []string
	for range cap(secrets) {
		given = append(given, <-secrets)
	}
	for _, secret := range given {
		if w.do("GET", "/api/domains", nil, as(secret)).status == http.StatusOK {
			works++
		}
	}
	if works != 2 {
		t.Errorf("%d secrets work", works)
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
