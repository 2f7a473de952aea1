package api

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// floodable is a world whose API counts requests in the test's own Redis, with limits that do not
// recover during the test, and reads the client's address from a header.
type floodable struct {
	*world
	limiter    *edge.Limiter
	statements func() int64 // that the API has sent to Postgres
}

func newFloodable(t *testing.T, change ...func(*controlplane.Limits)) *floodable {
	t.Helper()
	r, err := devstack.StartRedis(t.Context(), devstack.RedisConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop(context.WithoutCancel(t.Context())) })
	limits, stands := controlplane.DefaultLimits(), time.Now()
	for _, p := range []*controlplane.Policy{&limits.Session, &limits.Person, &limits.Network,
		&limits.Failures} {
		p.Window = 24 * time.Hour
	}
	for _, f := range change {
		f(&limits)
	}
	f := &floodable{world: newWorld(t), limiter: newLimiter(t,
		edge.LimiterConfig{RedisURL: r.URL(), Limits: limits,
			Timeout: 10 * time.Second, Now: func() time.Time { return stands }})}
	dsn, statements := postgrestest.Counted(t, f.dsn)
	store, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn, MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	config := f.api.config
	config.Store, config.Limiter, config.TrustedProxy, config.Logger = store, f.limiter, true, nil
	config.Ready = func(ctx context.Context) map[string]error {
		return map[string]error{"postgres": store.Ping(ctx)}
	}
	if f.api, err = New(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.api.Close)
	f.server = httptest.NewServer(f.api)
	t.Cleanup(f.server.Close)
	f.statements = statements
	return f
}

func from(ip string) option { return header("X-Forwarded-For", ip) }

// flood makes n calls, 16 at a time, and returns how many had each status.
func (f *floodable) flood(n int, method, path string, options func(i int) []option) map[int]int {
	f.t.Helper()
	var mu sync.Mutex
	var next atomic.Int64
	var all sync.WaitGroup
	got := map[int]int{}
	for range 16 {
		all.Go(func() {
			for {
				i := int(next.Add(1))
				if i > n {
					return
				}
				a := f.do(method, path, nil, options(i)...)
				mu.Lock()
				got[a.status]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return got
}

// Regression: 2,000 invalid tokens in half a second caused one query each to Postgres. A client
// with a valid token behind the same address must not be affected.
func TestWrongTokens(t *testing.T) {
	t.Parallel()
	f := newFloodable(t)
	const path, bad, good = "/api/domains", "198.51.100.7", "198.51.100.8"
	f.do("GET", path, nil, from(bad)).is(200) // the neighbor of the bad client
	before := f.statements()
	got := f.flood(2000, "GET", path, func(int) []option {
		return []option{from(bad),
			as(controlplane.NewSecret())}
	})
	if n := f.statements() - before; n < 29 || n > 30 {
		t.Errorf("2000 wrong tokens: %d statements in Postgres, want 30", n)
	}
	if got[401] < 29 || got[401] > 30 || got[401]+got[429] != 2000 {
		t.Errorf("2000 wrong tokens: %v, want 30 times 401, and 429", got)
	}
	a := f.do("GET", path, nil, from(bad), as(controlplane.NewSecret())).problem(429,
		"too-many-failures")
	if a.header.Get("Retry-After") == "" || a.string("retry_at") == "" {
		t.Errorf("429 has Retry-After %q and body %s, want both to contain the retry time",
			a.header.Get("Retry-After"), a.body)
	}

	f.do("GET", path, nil, from(bad)).is(200)
	fresh := f.newToken(f.org, lifecycle.NewToken{Scopes: controlplane.Scopes()})
	before = f.statements()
	f.do("GET", path, nil, from(bad), as(fresh)).problem(429, "too-many-failures")
	if n := f.statements() - before; n != 0 {
		t.Errorf("a token over the network's limit: %d statements, want 0", n)
	}
	f.do("GET", path, nil, from(good), as(fresh)).is(200)
	f.do("GET", path, nil, from(bad), as(fresh)).is(200) // verified by another way meanwhile

	// A revoked token is no longer exempt.
	f.exec(`DELETE FROM api_tokens WHERE token_hash = $1`, controlplane.HashSecret(fresh))
	f.do("GET", path, nil, from(bad), as(fresh)).problem(401, "token-invalid")
	f.do("GET", path, nil, from(bad), as(fresh)).problem(429, "too-many-failures")
}

// Every kind of invalid credential counts, and all count together: a wrong checksum, a malformed
// token, an unknown session.
func TestEveryWrongCredentialCounts(t *testing.T) {
	t.Parallel()
	f := newFloodable(t)
	const ip = "2001:db8::7"
	mistyped := strings.Repeat("x", 40)
	before := f.statements()
	for range 10 {
		f.do("GET", "/api/domains", nil, from(ip), as(mistyped)).problem(401, "token-invalid")
		f.do("GET", "/api/domains", nil, from(ip), cookie("nonsense")).problem(401, "session-ended")
	}
	if n := f.statements() - before; n != 0 {
		t.Errorf("credentials of a wrong form: %d statements, want 0", n)
	}
	got := f.flood(500, "GET", "/api/domains", func(i int) []option {
		// one /64
		return []option{from(fmt.Sprintf("2001:db8::%x", i)),
			cookie(controlplane.NewRandomSecret())}
	})
	if n := f.statements() - before; got[401] != 10 || got[429] != 490 || n != 10 {
		t.Errorf("500 wrong sessions after 20 failures: %v with %d statements, want 10 times 401 with one each, and 429", got, n)
	}
	f.do("GET", "/api/domains", nil, from(ip), as(mistyped)).problem(429, "too-many-failures")

	past := time.Now().Add(-time.Hour)
	expired := f.newToken(f.org, lifecycle.NewToken{Scopes: controlplane.Scopes()})
	f.exec(`UPDATE api_tokens SET expires_at = $2 WHERE token_hash = $1`,
		controlplane.HashSecret(expired), past)
	got = f.flood(100, "GET", "/api/domains",
		func(int) []option { return []option{from("192.0.2.9"), as(expired)} })
	if got[401] != 30 || got[429] != 70 {
		t.Errorf("100 calls with an expired token: %v, want 30 times 401, and 429", got)
	}
}

func TestCallsWithoutCredential(t *testing.T) {
	t.Parallel()
	f := newFloodable(t)
	without := func(ip string) func(int) []option {
		return func(int) []option { return []option{anonymous, from(ip)} }
	}
	if got := f.flood(400, "GET", "/api/domains", without("192.0.2.1")); got[401] != 300 ||
		got[429] != 100 {
		t.Errorf("400 calls without a credential: %v, want 300 times 401, and 429", got)
	}
	f.do("GET", "/no/such/path", nil, anonymous, from("192.0.2.1")).problem(429, "rate-limited")
	f.do("PUT", "/api/domains", nil, anonymous, from("192.0.2.1")).problem(429, "rate-limited")
	f.do("GET", "/api/domains", nil, anonymous, from("192.0.2.2")).is(401)
	f.do("GET", "/api/domains", nil, from("192.0.2.1")).is(200)

	// Probes get a response without load on Postgres.
	before := f.statements()
	if got := f.flood(500, "GET", "/readyz", without("192.0.2.1")); got[200] != 500 {
		t.Errorf("500 probes: %v, want 200 for each", got)
	}
	if got := f.flood(100, "GET", "/livez", without("192.0.2.1")); got[200] != 100 {
		t.Errorf("100 probes: %v, want 200 for each", got)
	}
	if n := f.statements() - before; n > 60 {
		t.Errorf("500 probes over the limit: %d statements, want about one a second", n)
	}
	f.do("GET", "/problems/rate-limited", nil, anonymous, from("192.0.2.1")).is(200)
}

// An organization over its limit costs no query.
func TestNoQueryOverTheLimit(t *testing.T) {
	t.Parallel()
	f := newFloodable(t)
	free := f.newTier(controlplane.TierFree)
	caller := func(int) []option { return []option{as(free)} }
	f.flood(150, "GET", "/api/delegation?name=example.com", caller)
	before := f.statements()
	got := f.flood(500, "GET", "/api/delegation?name=example.com", caller)
	if n := f.statements() - before; got[429] != 500 || n != 0 {
		t.Errorf("500 calls over the limit: %v with %d statements, want 429 with none", got, n)
	}
}

// Limits count a session, and its user across all sessions and organizations: deleting the
// organization and signing in again does not reset them.
func TestSessionsAndPersons(t *testing.T) {
	t.Parallel()
	f := newFloodable(t, func(l *controlplane.Limits) { l.Session.Calls, l.Person.Calls = 30, 50 })
	a := account()
	f.service.MayCreate = func(ctx context.Context, userID string) error {
		return f.limiter.Check(ctx, f.limiter.NewOrganizations, userID)
	}
	call := func(n int, session option) map[int]int {
		t.Helper()
		return f.flood(n, "GET", "/api/organization",
			func(int) []option { return []option{session} })
	}
	first := f.signIn(a)
	if got := call(40, first); got[200] != 30 || got[429] != 10 {
		t.Errorf("40 calls of a session: %v, want 30 times 200, and 429", got)
	}
	before := f.statements()
	if got := call(100, first); got[429] != 100 || f.statements() != before {
		t.Errorf("100 calls over the session's limit: %v with %d statements, want 429 with none",
			got, f.statements()-before)
	}
	second := f.signIn(a)
	org := f.do("GET", "/api/organization", nil, second).is(200).string("id")
	f.do("DELETE", "/api/organization?confirm="+a.Login, nil, second,
		header("Origin", "https://dcvaas.test")).is(202)
	third := f.signIn(a)
	if got := f.do("GET", "/api/organization", nil, third).is(200).string("id"); got == org {
		t.Errorf("the organization is still %s, want a new one", got)
	}
	if got := call(30, third); got[200] != 17 || got[429] != 13 { // 30, 2 and 1 of 50 are used
		t.Errorf("30 calls of the same person in a new organization: %v, want 17 times 200, and 429", got)
	}
	f.do("GET", "/api/organization", nil, third).problem(429, "rate-limited")

	// New organizations are limited, too: this was the second.
	for range 3 {
		f.exec(`DELETE FROM organization_members WHERE user_id = (SELECT id FROM users WHERE github_id = $1)`, a.ID)
		f.signIn(a)
	}
	f.exec(`DELETE FROM organization_members WHERE user_id = (SELECT id FROM users WHERE github_id = $1)`, a.ID)
	_, _, err := f.service.SignIn(t.Context(), controlplane.Actor{}, "test", a)
	if !controlplane.HasCode(err, "too-many-organizations") ||
		!controlplane.IsKind(err, controlplane.KindRateLimited) {
		t.Errorf("SignIn to a sixth organization = %v, want too-many-organizations", err)
	}
}

// Lookups at GitHub are limited, and a 429 is not stored for the idempotency key.
func TestLookupsAreLimited(t *testing.T) {
	t.Parallel()
	f := newFloodable(t, func(l *controlplane.Limits) {
		l.OrganizationLookups.Calls,
			l.PersonLookups.Calls = 2, 1
	})
	add := func(login, k string, options ...option) *answer {
		return f.do("POST", "/api/members", map[string]any{"login": login, "role": "member"},
			append(options, key(k))...)
	}
	add("one", "1").is(201)
	add("nobody", "2").problem(422, "login-unknown")
	a := add("three", "3").problem(429, "too-many-lookups")
	if a.header.Get("Retry-After") == "" || a.string("retry_at") == "" {
		t.Errorf("429 has Retry-After %q and body %s, want both to contain the retry time",
			a.header.Get("Retry-After"), a.body)
	}
	add("one", "4").problem(409, "member-exists") // its account is known by now
	f.limiter.GiveBack(t.Context(), f.limiter.OrganizationLookups, f.org)
	add("three", "3").is(201)

	// Lookups count for the creator of a token.
	owner := f.person(f.newOrg("Mine"), controlplane.RoleOwner)
	origin := header("Origin", "https://dcvaas.test")
	made := f.do("POST", "/api/tokens", map[string]any{"name": "x",
		"scopes": []string{"members:write"}}, owner.cookie, origin).is(201)
	f.do("POST", "/api/members", map[string]any{"login": "four", "role": "member"}, owner.cookie,
		origin).is(201)
	f.do("POST", "/api/members", map[string]any{"login": "five", "role": "member"},
		as(made.string("token"))).problem(429, "too-many-lookups")
}
