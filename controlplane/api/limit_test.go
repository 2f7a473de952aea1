package api

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// limited makes an API count calls in the test's own Redis, however slow the machine is.
func limited(t testing.TB) func(*Config) {
	t.Helper()
	r, err := devstack.StartRedis(t.Context(), devstack.RedisConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop(t.Context()) })
	return func(c *Config) {
		c.Limiter = newLimiter(t, edge.LimiterConfig{RedisURL: r.URL(), Timeout: 10 * time.Second})
	}
}

func newLimiter(t testing.TB, c edge.LimiterConfig) *edge.Limiter {
	t.Helper()
	l, err := edge.NewLimiter(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func (w *world) newTier(tier controlplane.Tier) string {
	w.t.Helper()
	o, err := w.service.CreateOrganization(w.t.Context(), controlplane.System("test"),
		lifecycle.NewOrganization{Name: string(tier), Tier: tier})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.newToken(o.ID, lifecycle.NewToken{Scopes: controlplane.Scopes()})
}

// Measured by a client: a free organization can make 100 calls in a burst and then as many as
// recover, without effect on other organizations.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limited(t))
	free, other := as(w.newTier(controlplane.TierFree)), as(w.newTier(controlplane.TierFree))
	began := time.Now()
	var passed, refused atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				switch a := w.do("GET", "/api/delegation?name=example.com", nil, free); a.status {
				case http.StatusOK:
					passed.Add(1)
				case http.StatusTooManyRequests:
					refused.Add(1)
				default:
					t.Errorf("call = %d: %s, want 200 or 429", a.status, a.body)
				}
			}
		})
	}
	all.Wait()
	// One call recovers every 600 ms.
	if most := 101 + int64(time.Since(began)/(600*time.Millisecond)); passed.Load() < 100 ||
		passed.Load() > most || passed.Load()+refused.Load() != 160 {
		t.Errorf("%d calls passed and %d were rejected in %v", passed.Load(), refused.Load(),
			time.Since(began))
	}
	a := w.do("GET", "/api/delegation?name=example.com", nil, free)
	for a.status == http.StatusOK {
		a = w.do("GET", "/api/delegation?name=example.com", nil, free)
	}
	a.problem(429, "rate-limited")
	if a.header.Get("Retry-After") != "1" ||
		a.header.Get("RateLimit-Policy") != `"organization";q=100;w=60` ||
		a.header.Get("RateLimit") != `"organization";r=0;t=1` {
		t.Errorf("headers of rate-limited = %v, want Retry-After 1 and the limit of the plan",
			a.header)
	}
	if at, err := time.Parse(time.RFC3339, a.string("retry_at")); err != nil ||
		time.Until(at) > time.Second {
		t.Errorf("retry_at %s", a.string("retry_at"))
	}
	// A rejected call is not executed and does not use up its idempotency key.
	call := func(n int) *answer {
		return w.do("POST", "/api/domains",
			map[string]any{"name": fmt.Sprintf("a%d.example.com", n)}, free,
			key(fmt.Sprint("k", n)))
	}
	n := 1
	for call(n).status != http.StatusTooManyRequests { // one came back before the call was made
		n++
	}
	call(n).problem(429, "rate-limited")
	time.Sleep(1300 * time.Millisecond)
	call(n).is(201)

	b := w.do("GET", "/api/delegation?name=example.com", nil, other).is(200)
	if b.header.Get("RateLimit") != `"organization";r=99;t=1` {
		t.Errorf("the other organization: %v", b.header)
	}
	for tier, calls := range map[controlplane.Tier]int{controlplane.TierPro: 1000,
		controlplane.TierAgency: 5000} {
		got := w.do("GET", "/api/organization", nil, as(w.newTier(tier))).is(200)
		if want := `"organization";q=` + strconv.Itoa(calls) +
			";w=60"; got.header.Get("RateLimit-Policy") != want {
			t.Errorf("%s: RateLimit-Policy = %q, want %q", tier, got.header.Get("RateLimit-Policy"),
				want)
		}
		if got.json["rate_limit"].(map[string]any)["requests"] != float64(calls) {
			t.Errorf("%s: organization = %s, want rate_limit.requests %d", tier, got.body, calls)
		}
	}
	if h := w.do("GET", "/livez", nil, anonymous).is(200).header; h.Get("RateLimit") != "" {
		t.Errorf("health checks are limited: %v", h)
	}
}

// A call without the scope counts; a call without a token counts for no organization.
func TestWhatCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limited(t))
	secret := as(w.newTokenElsewhere([]controlplane.Scope{"jobs:read"}))
	w.do("GET", "/api/domains", nil, secret).problem(403, "scope-missing")
	if h := w.do("GET", "/api/jobs", nil,
		secret).is(200).header; !strings.Contains(h.Get("RateLimit"), ";r=98;") {
		t.Errorf("RateLimit = %q, want 98 remaining calls", h.Get("RateLimit"))
	}
	if h := w.do("GET", "/api/jobs", nil,
		anonymous).is(401).header; h.Get("RateLimit-Policy") != "" {
		t.Errorf("RateLimit-Policy without authentication = %q, want none",
			h.Get("RateLimit-Policy"))
	}
}

// Without Redis, whether it refuses connections or does not respond, calls pass immediately and a
// metric counts them. When it is back, calls are counted again.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts connections and never responds
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	for name, addr := range map[string]string{"refusing": "127.0.0.1:1",
		"silent": silent.Addr().String()} {
		reg := prometheus.NewRegistry()
		w := newWorld(t, func(c *Config) {
			c.Limiter = newLimiter(t, edge.LimiterConfig{RedisURL: "redis://" + addr,
				Registerer: reg})
		})
		free := as(w.newTier(controlplane.TierFree))
		began := time.Now()
		for range 150 {
			if h := w.do("GET", "/api/delegation?name=example.com", nil,
				free).is(200).header; h.Get("RateLimit") != "" {
				t.Fatalf("%s: RateLimit = %q, want none", name, h.Get("RateLimit"))
			}
		}
		// One call per second waits 50 ms; with Redis's default timeout the test would take
		// minutes.
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%s: 150 calls took %v", name, took)
		}
		if n := counted(t, reg, "dcvaas_rate_limiter_away_total"); n < 150 {
			t.Errorf("%s: metric = %v", name, n)
		}
	}
}

func counted(t *testing.T, reg prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return 0
}

func TestRedisComesBack(t *testing.T) {
	t.Parallel()
	port, err := devstack.PortOr(0)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *Config) {
		c.Limiter = newLimiter(t, edge.LimiterConfig{RedisURL: "redis://default:known@127.0.0.1:" +
			strconv.Itoa(port), Timeout: time.Second})
	})
	free := as(w.newTier(controlplane.TierFree))
	w.do("GET", "/api/delegation?name=example.com", nil, free).is(200)
	r, err := devstack.StartRedis(t.Context(), devstack.RedisConfig{Port: port, Password: "known"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop(t.Context()) })
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if w.do("GET", "/api/delegation?name=example.com", nil,
			free).is(200).header.Get("RateLimit") != "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("calls are not counted again")
		}
	}
}

func TestOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.newDomain(w.org, "one.example.com")
	a := w.do("GET", "/api/organization", nil).is(200)
	domains := a.json["domains"].(map[string]any)
	if a.string("id") != w.org || a.string("name") != "Test" || a.string("tier") != "free" ||
		domains["used"] != 1.0 || domains["limit"] != 1000.0 {
		t.Errorf("organization = %s, want %s on free with 1 of 1000 domains", a.body, w.org)
	}
	pro := w.do("GET", "/api/organization", nil, as(w.newTier(controlplane.TierPro))).is(200)
	if domains := pro.json["domains"].(map[string]any); domains["used"] != 0.0 ||
		domains["limit"] != 15.0 {
		t.Errorf("pro organization = %s, want 0 of 15 domains", pro.body)
	}
}
