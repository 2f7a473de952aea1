package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

func key(k string) option { return header("Idempotency-Key", k) }

// count returns how many rows a query finds, or its one number.
func (w *world) count(sql string, args ...any) int {
	w.t.Helper()
	conn := w.connect()
	var n int
	if err := conn.QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// connect returns a connection behind the store's back.
func (w *world) connect() *pgx.Conn {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), w.dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// Every POST of the contract, sent twice with one key, is executed once and gets the same response.
func TestEveryPostIsCarriedOutOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.newEstate(w.org, "once.example.com")
	w.exec(`UPDATE jobs SET status = 'failed'`)
	posts := 0
	for _, op := range w.secured() {
		if op.method != http.MethodPost {
			continue
		}
		posts++
		if !op.once {
			t.Errorf("%s takes no Idempotency-Key", op.id)
		}
		path, body := op.request(e)
		caller := op.caller(e, as(w.token))
		first := w.do("POST", path, body, caller, key("k-"+op.id))
		if first.status >= 500 {
			t.Fatalf("%s = %d: %s, want no 5xx", op.id, first.status, first.body)
		}
		before := w.rows(w.org)
		again := w.do("POST", path, body, caller, key("k-"+op.id)).is(first.status)
		if !op.rereads && again.body != first.body ||
			again.header.Get("Idempotency-Replayed") != "true" ||
			first.header.Get("Idempotency-Replayed") != "" {
			t.Errorf("%s: %v %s, then %v %s", op.id, first.header, first.body, again.header,
				again.body)
		}
		for _, name := range []string{"Location", "ETag", "Content-Type", "Cache-Control",
			"Content-Disposition"} {
			if first.header.Get(name) != again.header.Get(name) {
				t.Errorf("%s: %s was %q, then %q", op.id, name, first.header.Get(name),
					again.header.Get(name))
			}
		}
		if !op.rereads && w.rows(w.org) != before {
			t.Errorf("%s: the second call touched a row", op.id)
		}
		if op.session {
			w.do("POST", path, body, w.person(w.org, controlplane.RoleOwner).cookie,
				key("k-"+op.id)).problem(422, "idempotency-key-reused")
			continue
		}
		w.do("POST", path, body, key("k-"+op.id),
			header("Authorization", "Bearer "+
				w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes()}))).
			problem(422, "idempotency-key-reused")
	}
	if posts < 6 {
		t.Errorf("%d POSTs", posts)
	}
	if n := w.count(
		`SELECT count(*) FROM idempotency_keys WHERE position('dcv_'::bytea in body) + position('PRIVATE'::bytea in body) > 0`); n > 0 {
		t.Error("a secret lies open in a kept answer")
	}
}

// A private key is read and audited for every call.
func TestKeyIsNeitherKeptNorGivenUnrecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.newCertificate(w.newDomain(w.org, "key.example.com"), false)
	for range 3 {
		w.do("POST", "/api/certificates/"+c.ID+"/key", nil, key("k")).is(200)
	}
	if n := w.count(
		`SELECT count(*) FROM audit_logs WHERE action = 'certificate.key_downloaded'`); n != 3 {
		t.Errorf("%d records of 3", n)
	}
	if n := w.count(`SELECT max(length(body)) FROM idempotency_keys`); n > 64 {
		t.Errorf("%d bytes are kept", n)
	}
}

func TestIdempotencyKeyOfAnotherCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "d.example.com")
	a := map[string]any{"name": "a.example.com"}
	w.do("POST", "/api/domains", a, key("k")).is(201)
	w.do("POST", "/api/domains", map[string]any{"name": "b.example.com"}, key("k")).problem(422,
		"idempotency-key-reused")
	w.do("POST", "/api/domains/"+d.ID+"/verify", nil, key("k")).problem(422,
		"idempotency-key-reused")
	w.do("POST", "/api/domains", a, key("k2")).problem(409, "domain-exists")
	w.do("POST", "/api/domains", a, key("k2")).is(409) // kept, too
	w.do("POST", "/api/domains", a).problem(409, "domain-exists")

	// The same key of another organization is a different key.
	theirs := as(w.newTokenElsewhere(controlplane.Scopes()))
	if got := w.do("POST", "/api/domains", a, key("k"),
		theirs).is(201); got.header.Get("Idempotency-Replayed") != "" {
		t.Error("another organization's answer was given")
	}
	for _, bad := range []string{"", " ", "a b", "ü", strings.Repeat("k", 256), "a\tb"} {
		got := w.do("POST", "/api/domains", map[string]any{"name": "bad.example.com"},
			func(r *http.Request) { r.Header["Idempotency-Key"] = []string{bad} })
		got.problem(400, "invalid-parameter")
	}
	w.do("POST", "/api/domains", map[string]any{"name": "bad.example.com"},
		func(r *http.Request) { r.Header["Idempotency-Key"] = []string{"a", "b"} }).problem(400,
		"invalid-parameter")
	w.do("POST", "/api/domains", map[string]any{"name": "long.example.com"},
		key(strings.Repeat("~", 255))).is(201)
	w.do("GET", "/api/domains", nil, key("k")).is(200)
}

// Rejections before the call starts, and internal errors, are not stored.
func TestWhatIsNotKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do("POST", "/api/domains", `{"name":5}`, key("k")).problem(422, "wrong-type")
	w.do("POST", "/api/domains", map[string]any{"name": "a.example.com"}, key("k"),
		as(w.newToken(w.org,
			lifecycle.NewToken{Scopes: []controlplane.Scope{"jobs:read"}}))).problem(403,
		"scope-missing")
	w.do("POST", "/api/domains", map[string]any{"name": "a.example.com"}, key("k")).is(201)

	service := w.api.lifecycle
	w.api.lifecycle = nil
	w.do("POST", "/api/domains", map[string]any{"name": "b.example.com"}, key("panic")).problem(500,
		"internal")
	w.api.lifecycle = service
	w.exec(`ALTER TABLE jobs RENAME TO away`)
	w.do("POST", "/api/domains", map[string]any{"name": "b.example.com"}, key("k2")).problem(500,
		"internal")
	w.exec(`ALTER TABLE away RENAME TO jobs`)
	w.do("POST", "/api/domains", map[string]any{"name": "b.example.com"}, key("k2")).is(201)
	w.do("POST", "/api/domains", map[string]any{"name": "c.example.com"}, key("panic")).is(201)
}

func TestAnswersAreKeptForADay(t *testing.T) {
	t.Parallel()
	var ahead time.Duration
	w := newWorld(t, func(c *Config) { c.Now = func() time.Time { return time.Now().Add(ahead) } })
	body := map[string]any{"name": "day.example.com"}
	w.do("POST", "/api/domains", body, key("k")).is(201)
	ahead = 24*time.Hour - time.Minute
	w.do("POST", "/api/domains", body, key("k")).is(201)
	ahead = 24*time.Hour + time.Minute
	w.do("POST", "/api/domains", body, key("k")).problem(409, "domain-exists")
	if err := w.store.SweepAnswers(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := w.count(`SELECT count(*) FROM idempotency_keys`); n != 1 {
		t.Errorf("%d answers are left of one old and one new", n)
	}
}

// Of fifty identical concurrent POSTs, one creates the object; the others get the same response or
// a retry time.
func TestFiftyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct{ path, count string }{
		{"/api/domains", `SELECT count(*) FROM domains`},
		{"/api/tokens", `SELECT count(*) FROM api_tokens WHERE name = 'fifty'`},
	} {
		body := map[string]any{"name": "fifty.example.com"}
		if c.path == "/api/tokens" {
			body = map[string]any{"name": "fifty", "scopes": []string{"domains:read"}}
		}
		var mu sync.Mutex
		var all sync.WaitGroup
		bodies, fresh := map[string]bool{}, 0
		for range 50 {
			all.Go(func() {
				a := w.do("POST", c.path, body, key("fifty"+c.path))
				for a.status == http.StatusConflict && a.json["code"] == "idempotency-in-progress" {
					if a.header.Get("Retry-After") != "1" {
						t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
					}
					time.Sleep(10 * time.Millisecond)
					a = w.do("POST", c.path, body, key("fifty"+c.path))
				}
				mu.Lock()
				defer mu.Unlock()
				if a.status != http.StatusCreated {
					t.Errorf("POST %s = %d: %s, want 201", c.path, a.status, a.body)
				}
				bodies[a.body] = true
				if a.header.Get("Idempotency-Replayed") == "" {
					fresh++
				}
			})
		}
		all.Wait()
		if n := w.count(c.count); n != 1 || len(bodies) != 1 || fresh != 1 {
			t.Errorf("%s: %d objects, %d different answers, %d of them first", c.path, n,
				len(bodies), fresh)
		}
	}
}

// Concurrent calls with different keys, more than there are connections, do not block each other.
func TestManyKeysAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "many.example.com")
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			w.do("POST", "/api/tokens", map[string]any{"name": "many",
				"scopes": []string{"domains:read"}, "domain_ids": []string{d.ID, d.Name}},
				key(strings.Repeat("k", i+1))).is(201)
		})
	}
	all.Wait()
}

// crash is a connection that breaks before the response is written.
type crash struct{ http.ResponseWriter }

func (crash) WriteHeader(int) { panic(http.ErrAbortHandler) }

// A process dies between commit and response: its change stays, exactly once, and a retry gets the
// response with its one-time secret.
func TestCrashBetweenCommitAndAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for path, body := range map[string]string{"/api/domains": `{"name":"crash.example.com"}`,
		"/api/tokens": `{"name":"crash","scopes":["domains:read"]}`} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		as(w.token)(r)
		key("k" + path)(r)
		func() {
			defer func() {
				if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // as net/http does
					t.Errorf("recovered %v", v)
				}
			}()
			w.api.ServeHTTP(crash{httptest.NewRecorder()}, r)
		}()
		a := w.do("POST", path, body, key("k"+path)).is(201)
		if a.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s was carried out again", path)
		}
		if path == "/api/tokens" {
			w.do("GET", "/api/domains", nil, as(a.string("token"))).is(200)
		}
	}
	if n := w.count(`SELECT count(*) FROM domains`) +
		w.count(`SELECT count(*) FROM api_tokens WHERE name = 'crash'`); n != 2 {
		t.Errorf("%d objects", n)
	}
}

// Redis stores no responses: after it is lost, an earlier call is not executed again.
func TestKeysSurviveTheLossOfRedis(t *testing.T) {
	t.Parallel()
	r, err := devstack.StartRedis(t.Context(), devstack.RedisConfig{})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *Config) {
		c.Limiter = newLimiter(t, edge.LimiterConfig{RedisURL: r.URL(), Timeout: time.Second})
	})
	body := map[string]any{"name": "lost", "scopes": []string{"domains:read"}}
	first := w.do("POST", "/api/tokens", body, key("k")).is(201)
	if first.header.Get("RateLimit") == "" {
		t.Error("Redis was not used before it was stopped")
	}
	if err := r.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := w.do("POST", "/api/tokens", body, key("k")).is(201)
	if again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" ||
		again.header.Get("RateLimit") != "" {
		t.Errorf("%v %s, then %v %s", first.header, first.body, again.header, again.body)
	}
	if n := w.count(`SELECT count(*) FROM api_tokens WHERE name = 'lost'`); n != 1 {
		t.Errorf("%d tokens", n)
	}
}

// A process dies before the commit: nothing was changed, no lease has to expire, and a retry is
// executed. Until then the call is in progress.
func TestCrashBeforeCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conn := w.connect()
	lock, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec(t.Context(), `SELECT 1 FROM organizations WHERE id = $1 FOR UPDATE`,
		w.org); err != nil {
		t.Fatal(err)
	}
	body := map[string]any{"name": "crash.example.com"}
	answered := make(chan *answer)
	go func() { answered <- w.do("POST", "/api/domains", body, key("k")) }()
	for w.count(
		`SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	w.do("POST", "/api/domains", body, key("k")).problem(409, "idempotency-in-progress")
	w.exec(`SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`)
	(<-answered).problem(503, "database-unavailable")
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.count(`SELECT count(*) FROM domains`); n != 0 {
		t.Errorf("%d domains", n)
	}
	if a := w.do("POST", "/api/domains", body,
		key("k")).is(201); a.header.Get("Idempotency-Replayed") != "" {
		t.Error("it was answered by one that never was")
	}
}
