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

// floodable is a site that counts requests in a Redis of the test's own, with limits that do
// not recover while the test runs, and takes the client's address from a header.
type floodable struct {
	*site
	github     *atomic.Int64 // requests that GitHub has got
	statements func() int64  // that the dashboard has sent to Postgres
}

func newFloodable(t *testing.T, change ...func(*controlplane.Limits)) *floodable {
	t.Helper()
	s := newSite(t)
	f := &floodable{site: s, github: new(atomic.Int64)}
	r, err := devstack.StartRedis(t.Context(), devstack.RedisConfig{})
	s.must(err)
	t.Cleanup(func() { _ = r.Stop(context.WithoutCancel(t.Context())) })
	limits, stands := controlplane.DefaultLimits(), time.Now()
	for _, p := range []*controlplane.Policy{&limits.Session, &limits.Person, &limits.Network, &limits.Failures, &limits.SignIns} {
		p.Window = 24 * time.Hour
	}
	for _, f := range change {
		f(&limits)
	}
	limiter, err := edge.NewLimiter(edge.LimiterConfig{RedisURL: r.URL(), Limits: limits, Timeout: 10 * time.Second,
		Now: func() time.Time { return stands }})
	s.must(err)
	t.Cleanup(limiter.Close)

	g, err := devstack.StartGitHub(t.Context(), devstack.GitHubConfig{ClientID: "app", Secret: "hunter2"})
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

// statusCounts makes n requests and returns how many had each status.
func statusCounts(n int, do func(i int) answer) map[int]int {
	got := map[int]int{}
	for i := range n {
		got[do(i).status]++
	}
	return got
}

// The finding: 400 pages in a quarter of a second.
func TestPagesAreLimited(t *testing.T) {
	f := newFloodable(t, func(l *controlplane.Limits) { l.Person.Calls = 360 })
	const ip = "198.51.100.7"
	f.post("/login", nil, "X-Forwarded-For", ip).to("/domains")
	page := func(s *site) func(int) answer {
		return func(int) answer { return s.get("/domains", "X-Forwarded-For", ip) }
	}
	if got := statusCounts(400, page(f.site)); got[200] != 300 || got[429] != 100 {
		t.Errorf("400 pages of a session: %v, want 300 times 200, and 429", got)
	}
	before := f.statements()
	a := page(f.site)(0).want(http.StatusTooManyRequests, "300 requests within a minute", "Wait a moment")
	if a.header.Get("Retry-After") == "" || f.statements() != before {
		t.Errorf("429 has Retry-After %q and cost %d statements, want a time and none", a.header.Get("Retry-After"), f.statements()-before)
	}
	f.post("/domains", url.Values{"name": {"a.example.com"}}, "X-Forwarded-For", ip).want(http.StatusTooManyRequests)

	// What a page consists of is kept by browsers, and not counted.
	css := f.dash.assets.address["app.css"]
	if got := statusCounts(50, func(int) answer { return f.get(css, "X-Forwarded-For", ip) }); got[200] != 50 {
		t.Errorf("50 style sheets: %v, want 200 for each", got)
	}
	// The person's other session has what is left to the person; another person all of theirs.
	other := f.again(developer)
	if got := statusCounts(100, page(other)); got[200] != 60 || got[429] != 40 {
		t.Errorf("100 pages of the same person's other session: %v, want 60 times 200, and 429", got)
	}
	alice := f.again(controlplane.GitHubAccount{ID: 2, Login: "alice"})
	page(alice)(0).want(http.StatusOK)
}

// Cookies of no session are not looked up without limit, and a browser is made to forget one.
// Who is signed in behind the same address does not notice.
func TestWrongSessions(t *testing.T) {
	f := newFloodable(t)
	const ip = "2001:db8::7"
	mine := f.again(developer)
	mine.get("/domains", "X-Forwarded-For", ip).want(http.StatusOK)
	before := f.statements()
	got := statusCounts(300, func(i int) answer {
		a := f.get("/domains", "X-Forwarded-For", fmt.Sprintf("2001:db8::%x", i+1), "Cookie", "dcvaas_session="+controlplane.NewRandomSecret())
		if cookie := a.header.Get("Set-Cookie"); a.status == http.StatusSeeOther && !strings.HasPrefix(cookie, "dcvaas_session=; ") {
			t.Errorf("Set-Cookie %q, want the cookie removed", cookie)
		}
		return a
	})
	if n := f.statements() - before; got[303] < 29 || got[303] > 30 || got[303]+got[429] != 300 || n != int64(got[303]) {
		t.Errorf("300 wrong sessions: %v with %d statements, want 30 times 303 with one each, and 429", got, n)
	}
	f.get("/domains", "X-Forwarded-For", ip, "Cookie", "dcvaas_session="+controlplane.NewRandomSecret()).
		want(http.StatusTooManyRequests, "invalid or expired credential", "Wait a minute")
	mine.get("/domains", "X-Forwarded-For", ip).want(http.StatusOK)

	// So are the secrets of invitations, of which a valid one uses nothing up.
	_, secret, err := f.life.CreateInvitation(t.Context(), controlplane.System("test"), nil, f.org.ID, controlplane.RoleMember, 0)
	f.must(err)
	open := func(secret string) answer {
		return f.get(controlplane.InvitationPath(secret), "X-Forwarded-For", "192.0.2.1")
	}
	if got := statusCounts(50, func(int) answer { return open(secret) }); got[200] != 50 {
		t.Errorf("a valid invitation 50 times: %v, want 200 each time", got)
	}
	if got := statusCounts(50, func(int) answer { return open(controlplane.NewRandomSecret()) }); got[404] < 29 || got[404] > 30 || got[404]+got[429] != 50 {
		t.Errorf("50 wrong invitations: %v, want 30 times 404, and 429", got)
	}
}

func TestVisitsWithoutSession(t *testing.T) {
	f := newFloodable(t)
	before := f.statements()
	if got := statusCounts(400, func(int) answer { return f.get("/login", "X-Forwarded-For", "192.0.2.1") }); got[200] != 300 || got[429] != 100 || f.statements() != before {
		t.Errorf("400 visits: %v with %d statements, want 300 times 200, and 429, with none", got, f.statements()-before)
	}
	f.get("/login", "X-Forwarded-For", "192.0.2.2").want(http.StatusOK)
}

// The finding: 200 bogus callbacks, each a row and a request to GitHub.
func TestBogusCallbacks(t *testing.T) {
	f := newFloodable(t)
	rows := func() int { return f.number(`SELECT count(*) FROM used_states`) }
	const ip = "198.51.100.7"
	callback := func(b *site, state, ip string) answer {
		return b.get(CallbackPath+"?"+url.Values{"code": {controlplane.NewRandomSecret()}, "state": {state}}.Encode(), "X-Forwarded-For", ip)
	}
	// Without the cookie, or with another's state, it stops at once.
	begun := f.browser()
	begun.get("/login/github", "X-Forwarded-For", "192.0.2.1").want(http.StatusSeeOther)
	before := f.statements()
	for range 100 {
		callback(f.browser(), controlplane.NewRandomSecret(), "192.0.2.1").want(http.StatusBadRequest, "did not begin in this browser")
		callback(begun, controlplane.NewRandomSecret(), "192.0.2.1").want(http.StatusBadRequest, "did not begin in this browser")
	}
	if n := f.statements() - before; n != 0 || f.github.Load() != 0 || rows() != 0 {
		t.Errorf("200 callbacks without their state: %d statements, %d requests to GitHub, %d rows; want none", n, f.github.Load(), rows())
	}

	// With its own cookie, as often as it begins.
	got := statusCounts(100, func(int) answer {
		b := f.browser()
		to := b.get("/login/github", "X-Forwarded-For", ip)
		if to.status != http.StatusSeeOther {
			return to
		}
		u, err := url.Parse(to.header.Get("Location"))
		f.must(err)
		return callback(b, u.Query().Get("state"), ip)
	})
	if got[401] < 29 || got[401] > 30 || got[401]+got[429] != 100 || f.github.Load() != int64(got[401]) || rows() != got[401] {
		t.Errorf("100 bogus sign-ins: %v, %d requests to GitHub, %d rows; want 30 times 401, and 429, with 30 each", got, f.github.Load(), rows())
	}
	f.get("/login/github", "X-Forwarded-For", ip).want(http.StatusTooManyRequests, "Too many sign-ins")
	callback(f.browser(), "x", ip).want(http.StatusBadRequest) // still without a look

	// Elsewhere people sign in, more of them than may fail.
	for i := range 29 {
		b := f.browser()
		to := b.get("/login/github", "X-Forwarded-For", "203.0.113.1").want(http.StatusSeeOther).header.Get("Location")
		b.get(b.choose(to, fmt.Sprint("&login=user-", i)), "X-Forwarded-For", "203.0.113.1").to("/domains")
	}
	f.post("/login", nil, "X-Forwarded-For", ip).want(http.StatusTooManyRequests) // the development sign-in, too
	_, secret, err := f.life.CreateInvitation(t.Context(), controlplane.System("test"), nil, f.org.ID, controlplane.RoleMember, 0)
	f.must(err)
	f.browser().post(controlplane.InvitationPath(secret)+"/github", nil, "X-Forwarded-For", ip).want(http.StatusTooManyRequests)
}

// number returns the one number that a query finds.
func (f *floodable) number(sql string) int {
	f.t.Helper()
	var n int
	conn, err := pgx.Connect(f.t.Context(), f.dsn)
	f.must(err)
	defer func() { _ = conn.Close(context.Background()) }()
	f.must(conn.QueryRow(f.t.Context(), sql).Scan(&n))
	return n
}

// Without Redis pages are served, and a metric says that nothing is limited.
func TestPagesWithoutRedis(t *testing.T) {
	reg := prometheus.NewRegistry()
	limiter, err := edge.NewLimiter(edge.LimiterConfig{RedisURL: "redis://127.0.0.1:1", Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(limiter.Close)
	s := newSignedIn(t, func(c *Config) { c.Limiter = limiter })
	if got := statusCounts(350, func(int) answer { return s.get("/domains") }); got[200] != 350 {
		t.Errorf("350 pages without Redis: %v, want 200 for each", got)
	}
	families, err := reg.Gather()
	s.must(err)
	for _, m := range families {
		if m.GetName() == "dcvaas_rate_limiter_away_total" && m.GetMetric()[0].GetCounter().GetValue() >= 350 {
			return
		}
	}
	t.Errorf("the metrics are %v, want dcvaas_rate_limiter_away_total of at least 350", families)
}

// A page of another site that has its name resolve here is let in by no click.
func TestDevelopmentSignInChecksTheHost(t *testing.T) {
	s := newSite(t, func(c *Config) { c.PublicURL = "https://dcvaas.example.net" })
	post := func(host string) answer {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, "/login", strings.NewReader(""))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Host = host
		w := httptest.NewRecorder()
		s.dash.ServeHTTP(w, r)
		return answer{t, w.Code, w.Header(), w.Body.String(), w.Body.String()}
	}
	for _, host := range []string{"evil.example:8080", "127.0.0.1.evil.example", "10.1.2.3:8080", ""} {
		if a := post(host); a.status != http.StatusMisdirectedRequest || a.header.Get("Set-Cookie") != "" || !strings.Contains(a.body, "only at an address of this machine") {
			t.Errorf("sign-in at host %q: status %d, Set-Cookie %q; want 421 and none", host, a.status, a.header.Get("Set-Cookie"))
		}
	}
	for _, host := range []string{"127.0.0.1:8080", "localhost:8080", "[::1]:8080", "dcvaas.example.net"} {
		if a := post(host); a.status != http.StatusSeeOther || a.header.Get("Set-Cookie") == "" {
			t.Errorf("sign-in at host %q: status %d, Set-Cookie %q; want 303 and a session", host, a.status, a.header.Get("Set-Cookie"))
		}
	}
}
