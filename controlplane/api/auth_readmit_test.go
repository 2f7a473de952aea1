package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// beats reads until the stream has had n more heartbeats.
func (f *follower) beats(n int) {
	f.t.Helper()
	over := time.After(20 * time.Second)
	for n > 0 {
		select {
		case line, open := <-f.lines:
			if !open {
				f.t.Fatal("the stream ended")
			}
			if strings.HasPrefix(line, ":") {
				n--
			}
		case <-over:
			f.t.Fatal("no heartbeat")
		}
	}
}

// ends fails the test unless the stream ends.
func (f *follower) ends() {
	f.t.Helper()
	over := time.After(20 * time.Second)
	for {
		select {
		case _, open := <-f.lines:
			if !open {
				return
			}
		case <-over:
			f.t.Error("the stream goes on")
			return
		}
	}
}

// newTokenWithID is newToken, with the token's ID.
func (w *world) newTokenWithID(in lifecycle.NewToken) (id, secret string) {
	w.t.Helper()
	in.Name = "test"
	token, secret, err := w.service.CreateToken(w.t.Context(), controlplane.System("test"), nil,
		w.org, in)
	if err != nil {
		w.t.Fatal(err)
	}
	return token.ID, secret
}

func (w *world) rotate(id string, overlap time.Duration) {
	w.t.Helper()
	if _, _, err := w.service.RotateToken(w.t.Context(), controlplane.System("test"), nil, w.org,
		id, lifecycle.Rotation{Overlap: overlap}); err != nil {
		w.t.Fatal(err)
	}
}

// A token's stream ends when the token, its secret, or its scope is removed.
func TestStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.api.heartbeat = 20 * time.Millisecond
	for name, tt := range map[string]struct {
		end    func(id string)
		status int
		code   string
	}{
		"revoked": {func(id string) { w.do("DELETE", "/api/tokens/"+id, nil).is(204) }, 401,
			"token-invalid"},
		"all revoked": {func(string) {
			w.do("POST", "/api/tokens/revoke-all", map[string]any{"keep_current": true}).is(200)
		}, 401, "token-invalid"},
		"expired": {func(id string) {
			w.exec(`UPDATE api_tokens SET expires_at = now() - interval '1 second' WHERE id = $1`,
				id)
		}, 401, "token-expired"},
		"rotated without overlap": {func(id string) { w.rotate(id, 0) }, 401, "token-rotated"},
		"previous secrets revoked": {func(id string) {
			w.rotate(id, time.Hour)
			w.rotate(id, time.Hour)
			w.do("DELETE", "/api/tokens/"+id+"/previous-secrets", nil).is(204)
		}, 401, "token-rotated"},
		"overlap shortened": {func(id string) {
			w.rotate(id, time.Hour)
			w.exec(`UPDATE token_secrets SET valid_until = now() - interval '1 second' WHERE token_id = $1 AND valid_until IS NOT NULL`, id)
		}, 401, "token-rotated"},
		"scope removed": {func(id string) {
			w.exec(
				`UPDATE api_tokens SET scopes = '{domains:read}' WHERE id = $1`, id)
		}, 403, "scope-missing"},
	} {
		t.Run(name, func(t *testing.T) {
			id, secret := w.newTokenWithID(lifecycle.NewToken{Scopes: controlplane.Scopes()})
			f := w.follow("", "", as(secret))
			f.beats(2)
			tt.end(id)
			f.ends()
			w.do("GET", "/api/events", nil, as(secret)).problem(tt.status, tt.code)
		})
	}
}

// A stream with a previous secret continues until the end of the overlap.
func TestStreamOfThePreviousSecret(t *testing.T) {
	t.Parallel()
	clock := &testClock{}
	w := newWorld(t, func(c *Config) { c.Now = clock.now })
	w.api.heartbeat = 20 * time.Millisecond
	id, secret := w.newTokenWithID(lifecycle.NewToken{Scopes: controlplane.Scopes()})
	f := w.follow("", "", as(secret))
	w.rotate(id, time.Hour)
	f.beats(4)
	clock.advance(61 * time.Minute)
	f.ends()
}

// While the database is unavailable, a stream continues until the known expiry of its secret.
func TestStreamWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	clock := &testClock{}
	w := newWorld(t, func(c *Config) { c.Now = clock.now })
	w.api.heartbeat = 20 * time.Millisecond
	ends := time.Now().Add(time.Hour)
	_, secret := w.newTokenWithID(lifecycle.NewToken{Scopes: controlplane.Scopes(),
		ExpiresAt: &ends})
	f := w.follow("", "", as(secret))
	f.beats(1)
	w.exec(`ALTER TABLE api_tokens RENAME TO away`)
	f.beats(4)
	clock.advance(61 * time.Minute)
	f.ends()
}

// A session's stream ends with the session, its membership, and its switch to another organization.
func TestStreamEndsWithItsSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.api.heartbeat = 20 * time.Millisecond
	other := w.newOrg("Other")
	for name, end := range map[string]func(p person, s *controlplane.Session) error{
		"signed out": func(_ person, s *controlplane.Session) error {
			return w.service.SignOut(t.Context(), controlplane.System("test"), s)
		},
		"expired": func(_ person, s *controlplane.Session) error {
			w.exec(`UPDATE sessions SET expires_at = now() WHERE id = $1`, s.ID)
			return nil
		},
		"member removed": func(p person, _ *controlplane.Session) error {
			return w.service.RemoveMember(t.Context(), controlplane.System("test"), nil, w.org,
				p.id, false)
		},
		"switched": func(p person, s *controlplane.Session) error {
			w.exec(`INSERT INTO organization_members (org_id, user_id, role, created_at) VALUES ($1, $2, 'member', now())`, other, p.id)
			return w.service.SwitchOrganization(t.Context(), controlplane.System("test"), s, other)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := w.person(w.org, controlplane.RoleMember)
			s := w.sessionOf(p)
			f := w.follow("", "", p.cookie)
			f.beats(2)
			if err := end(p, s); err != nil {
				t.Fatal(err)
			}
			f.ends()
		})
	}
}

// sessionOf returns the session of the person's cookie.
func (w *world) sessionOf(p person) *controlplane.Session {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	p.cookie(r)
	c, err := r.Cookie(w.api.cookie)
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := w.store.Session(w.t.Context(), controlplane.HashSecret(c.Value), time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// slowReader is a response that runs a function before it accepts the first write that contains a
// text.
type slowReader struct {
	*httptest.ResponseRecorder

	holds string
	first func()
}

func (s *slowReader) Write(b []byte) (int, error) {
	if s.first != nil && strings.Contains(string(b), s.holds) {
		s.first()
		s.first = nil
	}
	return s.ResponseRecorder.Write(b)
}

// A long response to a slow reader stops if the token is revoked during the response.
func TestLongResponseEndsWithItsToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.api.heartbeat = time.Nanosecond // one is always due
	d := w.newDomain(w.org, "long.example.com")
	const n = 600 // more than a page of either
	w.exec(`INSERT INTO audit_logs (id, org_id, actor_type, action, entity_type, entity_id)
		SELECT 'evt_' || lpad(i::text, 26, '0'), $1, 'system', 'domain.updated', 'domain', $2 FROM generate_series(1, $3) i`, w.org, d.ID, n)
	oldest := w.do("GET", "/api/events?type=domain.created", nil).is(200).ids()[0]
	for path, accept := range map[string]string{"/api/events": "text/event-stream",
		"/api/audit-logs/export?format=ndjson&action=domain.updated": "*/*"} {
		id, secret := w.newTokenWithID(lifecycle.NewToken{Scopes: controlplane.Scopes()})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
		as(secret)(r)
		r.Header.Set("Accept", accept)
		if accept == edge.MediaEvents {
			r.Header.Set("Last-Event-ID", oldest)
		}
		out := &slowReader{ResponseRecorder: httptest.NewRecorder(),
			holds: "domain.updated", first: func() {
				if err := w.service.DeleteToken(t.Context(), controlplane.System("test"), w.org,
					id); err != nil {
					t.Error(err)
				}
			}}
		func() {
			defer func() { _ = recover() }() // an export is cut off by a panic that net/http knows
			w.api.ServeHTTP(out, r)
		}()
		cancel()
		if got := strings.Count(out.Body.String(), `"domain.updated"`); got == 0 || got >= n {
			t.Errorf("GET %s wrote %d of %d entries after the token was revoked, want some and not all", path, got, n)
		}
	}
}

// A held call returns nothing to a caller that is no longer admitted.
func TestWaitEndsWithItsCredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, tt := range map[string]struct {
		end    func(id string, p person)
		signed bool
		status int
		code   string
	}{
		"revoked": {end: func(id string,
			_ person) {
			w.do("DELETE", "/api/tokens/"+id, nil).is(204)
		}, status: 401, code: "token-invalid"},
		"rotated": {end: func(id string, _ person) { w.rotate(id, 0) }, status: 401,
			code: "token-rotated"},
		"scope removed": {end: func(id string, _ person) {
			w.exec(`UPDATE api_tokens SET scopes = '{audit:read}' WHERE id = $1`, id)
		}, status: 403, code: "scope-missing"},
		"narrowed": {end: func(id string, _ person) {
			w.exec(`UPDATE api_tokens SET domain_ids = '{dom_another}' WHERE id = $1`, id)
		}, status: 403, code: "domain-not-allowed"},
		"member removed": {signed: true, end: func(_ string, p person) {
			if err := w.service.RemoveMember(t.Context(), controlplane.System("test"), nil, w.org,
				p.id, false); err != nil {
				t.Error(err)
			}
		}, status: 401, code: "session-ended"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := w.newDomain(w.org, strings.ReplaceAll(name, " ", "-")+".example.com")
			id, secret := w.newTokenWithID(lifecycle.NewToken{Scopes: controlplane.Scopes()})
			caller, p := as(secret), person{}
			if tt.signed {
				p = w.person(w.org, controlplane.RoleMember)
				caller = p.cookie
				w.exec(`UPDATE sessions SET last_seen_at = now() - interval '1 hour' WHERE user_id = $1`, p.id)
			}
			answered := make(chan *answer, 1)
			go func() { answered <- w.do("GET", "/api/domains/"+d.ID+"?wait=60s", nil, caller) }()
			// The use is recorded after the admission.
			w.until(`SELECT count(*) FROM api_tokens WHERE id = $1 AND last_used_at IS NOT NULL OR EXISTS (
				SELECT 1 FROM sessions WHERE user_id = $2 AND last_seen_at > now() - interval '10 minutes')`, id, p.id)
			tt.end(id, p)
			w.do("PATCH", "/api/domains/"+d.ID, map[string]any{"auto_issue": false}).is(200)
			if a := (<-answered).problem(tt.status, tt.code); strings.Contains(a.body, d.Target) {
				t.Errorf("the domain is shown: %s", a.body)
			}
		})
	}
}

// until waits until the query counts something.
func (w *world) until(sql string, args ...any) {
	w.t.Helper()
	conn := w.connect()
	for over := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var n int
		if err := conn.QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
			w.t.Fatal(err)
		}
		if n > 0 {
			return
		}
		if time.Now().After(over) {
			w.t.Fatalf("it does not come: %s", sql)
		}
	}
}

// testClock is the time plus the offset by which the test has advanced it.
type testClock struct{ ahead atomic.Int64 }

func (c *testClock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *testClock) advance(d time.Duration) { c.ahead.Add(int64(d)) }
