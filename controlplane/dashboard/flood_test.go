package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/github"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// limitedSite is a site that counts requests in a separate Redis. The limits do not recover during
// the test, and the client's address is from a header.
type limitedSite struct {
	*site
	github     *atomic.Int64 // number of requests to GitHub
	statements func() int64  // number of statements to Postgres
}

func newLimitedSite(t *testing.T, change ...func(*controlplane.Limits)) *limitedSite {
	t.Helper()
	s := newSite(t)
	f := &limitedSite{site: s, github: new(atomic.Int64)}
	r, err := devstack.StartRedis(t.Context(), devstack.RedisConfig{})
	s.must(err)
	t.Cleanup(func() { _ = r.Stop(context.WithoutCancel(t.Context())) })
	limits, stands := controlplane.DefaultLimits(), time.Now()
	for _, p := range []*controlplane.Policy{&limits.Session, &limits.Person, &limits.Network,
		&limits.Failures, &limits.SignIns} {
		p.Window = 24 * time.Hour
	}
	for _, f := range change {
		f(&limits)
	}
	limiter, err := edge.NewLimiter(edge.LimiterConfig{RedisURL: r.URL(), Limits: limits,
		Timeout: 10 * time.Second,
		Now:     func() time.Time { return stands }})
	s.must(err)
	t.Cleanup(limiter.Close)

	g, err := devstack.StartGitHub(t.Context(),
		devstack.GitHubConfig{ClientID: "app", Secret: "hunter2"})
	s.must(err)
	t.Cleanup(g.Stop)
	to, err := url.Parse(g.URL())
	s.must(err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	counted := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.github.Add(1)
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(counted.Close)
	client := &github.Client{ID: "app", Secret: "hunter2", WebURL: counted.URL, APIURL: counted.URL}

	dsn, statements := postgrestest.Counted(t, s.dsn)
	store, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn, MaxConns: 8})
	s.must(err)
	t.Cleanup(store.Close)
	config := s.dash.config
	config.Store, config.Limiter, config.GitHub, config.TrustedProxy = store, limiter, client, true
	s.dash, err = New(config)
	s.must(err)
	t.Cleanup(s.dash.SetStopping)
	s.server = httptest.NewServer(s.dash)
	t.Cleanup(s.server.Close)
	client.RedirectURL = s.server.URL + CallbackPath
	f.statements = statements
	return f
}

// statusCounts sends n requests and returns the number of responses by status.
func statusCounts(n int, do func(i int) response) map[int]int {
	got := map[int]int{}
	for i := range n {
		got[do(i).status]++
	}
	return got
}

// One session once loaded 400 pages in a quarter of a second.
func TestPageLimits(t *testing.T) {
	f := newLimitedSite(t, func(l *controlplane.Limits) { l.Person.Calls = 360 })
	const ip = "198.51.100.7"
	f.post("/login", nil, "X-Forwarded-For", ip).to("/domains")
	page := func(s *site) func(int) response {
		return func(int) response { return s.get("/domains", "X-Forwarded-For", ip) }
	}
	if got := statusCounts(400, page(f.site)); got[200] != 300 || got[429] != 100 {
		t.Errorf("statuses of 400 pages in one session = %v, want 300 times 200, then 429", got)
	}
	before := f.statements()
	a := page(f.site)(0).want(http.StatusTooManyRequests, "300 requests within a minute",
		"Wait a moment")
	if a.header.Get("Retry-After") == "" || f.statements() != before {
		t.Errorf("429 has Retry-After %q after %d statements, want a time and no statement",
			a.header.Get("Retry-After"), f.statements()-before)
	}
	f.post("/domains", url.Values{"name": {"a.example.com"}},
		"X-Forwarded-For", ip).want(http.StatusTooManyRequests)

	// Browsers cache static files, which are not counted.
	css := f.dash.assets.address["app.css"]
	if got := statusCounts(50, func(int) response {
		return f.get(css,
			"X-Forwarded-For", ip)
	}); got[200] != 50 {
		t.Errorf("statuses of 50 style sheets = %v, want 200 for each", got)
	}
	// Another session of the same user has the rest of the user's limit. Another user has a
	// separate limit.
	other := f.signedInAs(developer)
	if got := statusCounts(100, page(other)); got[200] != 60 || got[429] != 40 {
		t.Errorf("statuses of 100 pages in the user's other session = %v, want 60 times 200, then 429", got)
	}
	alice := f.signedInAs(controlplane.GitHubAccount{ID: 2, Login: "alice"})
	page(alice)(0).want(http.StatusOK)
}

// Lookups of invalid session cookies are limited, and the cookie is deleted. Users who are signed
// in on the same network are not affected.
func TestInvalidSessionLimit(t *testing.T) {
	f := newLimitedSite(t)
	const ip = "2001:db8::7"
	mine := f.signedInAs(developer)
	mine.get("/domains", "X-Forwarded-For", ip).want(http.StatusOK)
	before := f.statements()
	got := statusCounts(300, func(i int) response {
		a := f.get("/domains", "X-Forwarded-For", fmt.Sprintf("2001:db8::%x", i+1), "Cookie",
			"dcvaas_session="+controlplane.NewRandomSecret())
		if cookie := a.header.Get("Set-Cookie"); a.status == http.StatusSeeOther &&
			!strings.HasPrefix(cookie, "dcvaas_session=; ") {
			t.Errorf("Set-Cookie = %q, want the cookie deleted", cookie)
		}
		return a
	})
	if n := f.statements() - before; got[303] < 29 || got[303] > 30 || got[303]+got[429] != 300 ||
		n != int64(got[303]) {
		t.Errorf("statuses of 300 invalid sessions = %v with %d statements, want 30 times 303 with one each, then 429", got, n)
	}
	f.get("/domains", "X-Forwarded-For", ip, "Cookie", "dcvaas_session="+
		controlplane.NewRandomSecret()).
		want(http.StatusTooManyRequests, "invalid or expired credential", "Wait a minute")
	mine.get("/domains", "X-Forwarded-For", ip).want(http.StatusOK)

	// Lookups of invalid invitations are also limited; valid invitations do not count.
	_, secret, err := f.life.CreateInvitation(t.Context(), controlplane.System("test"), nil,
		f.org.ID, controlplane.RoleMember, 0)
	f.must(err)
	open := func(secret string) response {
		return f.get(controlplane.InvitationPath(secret), "X-Forwarded-For", "192.0.2.1")
	}
	if got := statusCounts(50, func(int) response { return open(secret) }); got[200] != 50 {
		t.Errorf("statuses of a valid invitation, 50 times = %v, want 200 each time", got)
	}
	if got := statusCounts(50,
		func(int) response { return open(controlplane.NewRandomSecret()) }); got[404] < 29 ||
		got[404] > 30 || got[404]+got[429] != 50 {
		t.Errorf("statuses of 50 invalid invitations = %v, want 30 times 404, then 429", got)
	}
}

func TestNetworkLimit(t *testing.T) {
	f := newLimitedSite(t)
	before := f.statements()
	if got := statusCounts(400, func(int) response {
		return f.get("/login", "X-Forwarded-For",
			"192.0.2.1")
	}); got[200] != 300 || got[429] != 100 || f.statements() != before {
		t.Errorf("statuses of 400 visits = %v with %d statements, want 300 times 200, then 429, without statements", got, f.statements()-before)
	}
	f.get("/login", "X-Forwarded-For", "192.0.2.2").want(http.StatusOK)
}

// 200 forged callbacks once caused 200 rows and 200 requests to GitHub.
func TestInvalidCallbackLimit(t *testing.T) {
	f := newLimitedSite(t)
	rows := func() int { return f.queryInt(`SELECT count(*) FROM used_states`) }
	const ip = "198.51.100.7"
	callback := func(b *site, state, ip string) response {
		return b.get(CallbackPath+"?"+url.Values{"code": {controlplane.NewRandomSecret()},
			"state": {state}}.Encode(), "X-Forwarded-For", ip)
	}
	// Without the cookie or with another state, the callback is rejected immediately.
	begun := f.newVisitor()
	begun.get("/login/github", "X-Forwarded-For", "192.0.2.1").want(http.StatusSeeOther)
	before := f.statements()
	for range 100 {
		callback(f.newVisitor(), controlplane.NewRandomSecret(),
			"192.0.2.1").want(http.StatusBadRequest, "started in another browser")
		callback(begun, controlplane.NewRandomSecret(), "192.0.2.1").want(http.StatusBadRequest,
			"started in another browser")
	}
	if n := f.statements() - before; n != 0 || f.github.Load() != 0 || rows() != 0 {
		t.Errorf("200 callbacks without a valid state caused %d statements, %d requests to GitHub, and %d rows, want none", n, f.github.Load(), rows())
	}

	// With its own cookie, the limit of sign-ins applies.
	got := statusCounts(100, func(int) response {
		b := f.newVisitor()
		to := b.get("/login/github", "X-Forwarded-For", ip)
		if to.status != http.StatusSeeOther {
			return to
		}
		u, err := url.Parse(to.header.Get("Location"))
		f.must(err)
		return callback(b, u.Query().Get("state"), ip)
	})
	if got[401] < 29 || got[401] > 30 || got[401]+got[429] != 100 ||
		f.github.Load() != int64(got[401]) || rows() != got[401] {
		t.Errorf("statuses of 100 forged sign-ins = %v with %d requests to GitHub and %d rows, want 30 times 401, then 429, with 30 each", got, f.github.Load(), rows())
	}
	f.get("/login/github", "X-Forwarded-For", ip).want(http.StatusTooManyRequests,
		"Too many sign-ins")
	callback(f.newVisitor(), "x", ip).want(http.StatusBadRequest) // still without a lookup

	// Users on other networks can sign in, more often than sign-ins may fail.
	for i := range 29 {
		b := f.newVisitor()
		to := b.get("/login/github", "X-Forwarded-For",
			"203.0.113.1").want(http.StatusSeeOther).header.Get("Location")
		b.get(b.authorizeAtGitHub(to, fmt.Sprint("&login=user-", i)), "X-Forwarded-For",
			"203.0.113.1").to("/domains")
	}
	// also the development sign-in
	f.post("/login", nil, "X-Forwarded-For", ip).want(http.StatusTooManyRequests)
	_, secret, err := f.life.CreateInvitation(t.Context(), controlplane.System("test"), nil,
		f.org.ID, controlplane.RoleMember, 0)
	f.must(err)
	f.newVisitor().post(controlplane.InvitationPath(secret)+"/github", nil,
		"X-Forwarded-For", ip).want(http.StatusTooManyRequests)
}

// queryInt returns the number that a query returns.
func (f *limitedSite) queryInt(sql string) int {
	f.t.Helper()
	var n int
	conn, err := pgx.Connect(f.t.Context(), f.dsn)
	f.must(err)
	defer func() { _ = conn.Close(context.Background()) }()
	f.must(conn.QueryRow(f.t.Context(), sql).Scan(&n))
	return n
}

// Without Redis, pages are served without limits, and a metric counts that.
func TestWithoutRedis(t *testing.T) {
	reg := prometheus.NewRegistry()
	limiter, err := edge.NewLimiter(edge.LimiterConfig{RedisURL: "redis://127.0.0.1:1",
		Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(limiter.Close)
	s := newSignedIn(t, func(c *Config) { c.Limiter = limiter })
	if got := statusCounts(350, func(int) response { return s.get("/domains") }); got[200] != 350 {
		t.Errorf("statuses of 350 pages without Redis = %v, want 200 for each", got)
	}
	families, err := reg.Gather()
	s.must(err)
	for _, m := range families {
		if m.GetName() == "dcvaas_rate_limiter_away_total" &&
			m.GetMetric()[0].GetCounter().GetValue() >= 350 {
			return
		}
	}
	t.Errorf("metrics = %v, want dcvaas_rate_limiter_away_total of at least 350", families)
}

// The development sign-in rejects other hosts, which DNS rebinding would use.
func TestDevSignInHost(t *testing.T) {
	s := newSite(t, func(c *Config) { c.PublicURL = "https://dcvaas.example.net" })
	post := func(host string) response {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, "/login", strings.NewReader(""))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Host = host
		w := httptest.NewRecorder()
		s.dash.ServeHTTP(w, r)
		return response{t, w.Code, w.Header(), w.Body.String(), w.Body.String()}
	}
	for _, host := range []string{"evil.example:8080", "127.0.0.1.evil.example", "10.1.2.3:8080",
		""} {
		if a := post(host); a.status != http.StatusMisdirectedRequest ||
			a.header.Get("Set-Cookie") != "" || !strings.Contains(a.body, "only on localhost") {
			t.Errorf("sign-in at host %q: status %d, Set-Cookie %q; want 421 and none", host,
				a.status, a.header.Get("Set-Cookie"))
		}
	}
	for _, host := range []string{"127.0.0.1:8080", "localhost:8080", "[::1]:8080",
		"dcvaas.example.net"} {
		if a := post(host); a.status != http.StatusSeeOther || a.header.Get("Set-Cookie") == "" {
			t.Errorf("sign-in at host %q: status %d, Set-Cookie %q; want 303 and a session", host,
				a.status, a.header.Get("Set-Cookie"))
		}
	}
}
