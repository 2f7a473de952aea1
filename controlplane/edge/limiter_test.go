package edge_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// startRedis returns the URL of the test's own Redis.
func startRedis(t *testing.T) string {
	t.Helper()
	r, err := devstack.StartRedis(t.Context(), devstack.RedisConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop(context.WithoutCancel(t.Context())) })
	return r.URL()
}

// newLimiter returns a limiter without a Redis timeout and with a fixed clock.
func newLimiter(t *testing.T, redisURL string, change ...func(*edge.LimiterConfig)) *edge.Limiter {
	t.Helper()
	at := time.Now()
	c := edge.LimiterConfig{RedisURL: redisURL, Key: []byte("key"), Timeout: 10 * time.Second,
		Now: func() time.Time { return at }}
	for _, f := range change {
		f(&c)
	}
	l, err := edge.NewLimiter(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// few is a policy that does not recover during a test.
func few(calls int) controlplane.Policy {
	return controlplane.Policy{Name: "few", RateLimit: controlplane.RateLimit{Calls: calls,
		Window: 24 * time.Hour}, Code: "few", Message: "Few."}
}

// commands returns the number of scripts that Redis ran.
func commands(t *testing.T, redisURL string) int {
	t.Helper()
	opt, err := redis.ParseURL(redisURL)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(opt)
	defer func() { _ = c.Close() }()
	info, err := c.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(info) {
		if _, rest, ok := strings.Cut(line, "cmdstat_evalsha:calls="); ok {
			n, _ = strconv.Atoi(rest[:strings.IndexByte(rest, ',')])
		}
	}
	return n
}

func TestTake(t *testing.T) {
	t.Parallel()
	url := startRedis(t)
	reg := prometheus.NewRegistry()
	l := newLimiter(t, url, func(c *edge.LimiterConfig) { c.Registerer = reg })
	p := few(5)
	for i := range 5 {
		if v := l.Take(t.Context(), p, "a"); !v.Allowed || !v.Counted || v.Left != 4-i {
			t.Fatalf("Take %d = %+v, want it allowed with %d left", i+1, v, 4-i)
		}
	}
	before := commands(t, url)
	for range 1000 {
		if v := l.Take(t.Context(), p, "a"); v.Allowed || v.Retry <= 0 || v.Retry > 5*time.Hour {
			t.Fatalf("Take over the limit = %+v, want it denied for up to 24h/5", v)
		}
	}
	if n := commands(t, url) - before; n != 1 {
		t.Errorf("1000 requests over the limit made %d queries to Redis, want 1", n)
	}
	if n := count(t, reg, "dcvaas_rate_limited_total"); n != 1000 {
		t.Errorf("dcvaas_rate_limited_total = %v, want 1000", n)
	}
	if v := l.Take(t.Context(), p, "b"); !v.Allowed {
		t.Errorf("Take of another subject = %+v, want it allowed", v)
	}
	err := l.Check(t.Context(), p, "a")
	if e := controlplane.AsError(err); e.Kind != controlplane.KindRateLimited || e.Code != "few" ||
		!e.RetryAt.After(time.Now()) {
		t.Errorf("Check over the limit = %+v, want KindRateLimited few with RetryAt", e)
	}
	l.GiveBack(t.Context(), p, "a")
	if v := l.Take(t.Context(), p, "a"); !v.Allowed {
		t.Errorf("Take after GiveBack = %+v, want it allowed", v)
	}
	if v := l.Take(t.Context(), p, "a"); v.Allowed {
		t.Errorf("second Take after GiveBack = %+v, want it denied", v)
	}
}

// All processes count together, and their keys reveal no subjects.
func TestTakeInManyProcesses(t *testing.T) {
	t.Parallel()
	url := startRedis(t)
	var allowed atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		l := newLimiter(t, url)
		for range 4 {
			all.Go(func() {
				for range 25 {
					if l.Take(t.Context(), few(50), "203.0.113.7").Allowed {
						allowed.Add(1)
					}
				}
			})
		}
	}
	all.Wait()
	if n := allowed.Load(); n != 50 {
		t.Errorf("%d of 400 requests were allowed, want 50", n)
	}
	opt, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(opt)
	defer func() { _ = c.Close() }()
	keys, err := c.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) != 1 || strings.Contains(keys[0], "203.0.113.7") {
		t.Errorf("Redis has the keys %q (%v), want one without the address", keys, err)
	}
}

// Without Redis, whether it refuses connections or does not respond, requests pass immediately, and
// a metric counts them.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts connections and sends nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	for name, addr := range map[string]string{"refusing": "127.0.0.1:1",
		"silent": silent.Addr().String()} {
		reg := prometheus.NewRegistry()
		l := newLimiter(t, "redis://"+addr,
			func(c *edge.LimiterConfig) { c.Registerer, c.Timeout = reg, 0 })
		for range 50 {
			if v := l.Take(t.Context(), few(1), "a"); !v.Allowed || v.Counted {
				t.Fatalf("%s: Take = %+v, want it allowed and not counted", name, v)
			}
		}
		for i := range 50 {
			a, err := l.Try(t.Context(), fmt.Append(nil, i), "192.0.2.1")
			if err != nil {
				t.Fatalf("%s: Try = %v, want no error", name, err)
			}
			a.Failed(t.Context())
		}
		if n := count(t, reg, "dcvaas_rate_limiter_away_total"); n < 100 {
			t.Errorf("%s: dcvaas_rate_limiter_away_total = %v, want at least 100", name, n)
		}
	}
}

func count(t *testing.T, reg prometheus.Gatherer, name string) float64 {
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

func TestNilLimiter(t *testing.T) {
	t.Parallel()
	var l *edge.Limiter
	if v := l.Take(t.Context(), few(1), "a"); !v.Allowed {
		t.Errorf("Take = %+v, want it allowed", v)
	}
	a, err := l.Try(t.Context(), []byte("x"), "192.0.2.1")
	if err != nil {
		t.Fatalf("Try = %v, want no error", err)
	}
	a.Verified(t.Context(), edge.Caller{OrgID: "org"})
	a.Failed(t.Context())
	a.Unknown(t.Context())
	l.GiveBack(t.Context(), few(1), "a")
	l.Close()
}

// attempts makes n concurrent attempts with invalid credentials, and returns how many passed.
func attempts(t *testing.T, l *edge.Limiter, ip, name string, n int) int64 {
	t.Helper()
	var through atomic.Int64
	var all sync.WaitGroup
	for w := range 16 {
		all.Go(func() {
			for i := w; i < n; i += 16 {
				if a, err := l.Try(t.Context(), fmt.Append(nil, name, i), ip); err == nil {
					through.Add(1)
					a.Failed(t.Context())
				}
			}
		})
	}
	all.Wait()
	return through.Load()
}

func TestFailuresOfANetwork(t *testing.T) {
	t.Parallel()
	url := startRedis(t)
	limits := controlplane.DefaultLimits()
	limits.Failures = few(30)
	change := func(c *edge.LimiterConfig) { c.Limits = limits }
	l := newLimiter(t, url, change)
	ctx := t.Context()
	try := func(l *edge.Limiter, secret, ip string) *edge.Attempt {
		t.Helper()
		a, err := l.Try(ctx, []byte(secret), ip)
		if err != nil {
			t.Fatalf("Try(%s, %s) = %v, want no error", secret, ip, err)
		}
		return a
	}
	const ip = "2001:db8::1"
	// Valid credentials do not count, however many there are.
	for i := range 100 {
		try(l, fmt.Sprint("valid", i), ip).Verified(ctx, edge.Caller{OrgID: "org"})
		try(l, fmt.Sprint("unclear", i), ip).Unknown(ctx)
	}
	caller := edge.Caller{OrgID: "org", Tier: controlplane.TierPro, UserID: "usr"}
	try(l, "mine", ip).Verified(ctx, caller)

	// the last count to be given back stays, GCRA keeps no debt
	if n := attempts(t, l, ip, "wrong", 2000); n < 29 || n > 30 {
		t.Errorf("%d of 2000 wrong credentials were let through, want 30", n)
	}
	const neighbor = "2001:db8::ffff:1" // of the same /64
	_, err := l.Try(ctx, []byte("another"), neighbor)
	if e, ok := errors.AsType[*controlplane.Error](err); !ok || e.Code != "few" {
		t.Errorf("Try of a new credential behind the address = %v, want an error of the policy",
			err)
	}
	if a := try(l, "mine", neighbor); !a.Known || a.Caller != caller {
		t.Errorf("the verified credential is %+v, want it known as %+v", a, caller)
	}
	try(l, "another", "2001:db8:0:1::1").Unknown(ctx)

	// Another process, or this one after a restart, has no verified credentials yet.
	other := newLimiter(t, url, change)
	a := try(other, "mine", ip)
	if a.Known {
		t.Error("the other process knows the caller, want it to know only that there is one")
	}
	if _, err := other.Try(ctx, []byte("another"), ip); err == nil {
		t.Error("the other process lets a new credential through, want an error")
	}
	// It finds the credential revoked, which ends the exemption everywhere.
	a.Failed(ctx)
	if _, err := other.Try(ctx, []byte("mine"), ip); err == nil {
		t.Error("a revoked credential is let through by who found it revoked, want an error")
	}
	try(l, "mine", ip).Failed(ctx)
	if _, err := l.Try(ctx, []byte("mine"), ip); err == nil {
		t.Error("a revoked credential is let through, want an error")
	}
}
