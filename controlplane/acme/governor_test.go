package acme_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// clock is a clock that tests advance.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) { c.set(c.now().Add(d)) }

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

// bothRedis runs a test with a Redis server and with the embedded one.
func bothRedis(t *testing.T, test func(t *testing.T, server *devstack.Redis)) {
	for name, embedded := range map[string]bool{"child": false, "embedded": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, startRedis(t, embedded))
		})
	}
}

func startRedis(t testing.TB, embedded bool) *devstack.Redis {
	t.Helper()
	server, err := devstack.StartRedis(context.Background(),
		devstack.RedisConfig{Embedded: embedded})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	return server
}

func redisClient(t testing.TB, server *devstack.Redis) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	options.PoolSize = 64
	return redis.NewClient(options)
}

// governor returns a Governor for "letsencrypt", "free" without limits, and "own" with configured
// ones, without margin.
func governor(
	t testing.TB, server *devstack.Redis, c *clock, change func(*acme.GovernorConfig),
) *acme.Governor {
	t.Helper()
	client := redisClient(t, server)
	t.Cleanup(func() { _ = client.Close() })
	cfg := acme.GovernorConfig{Redis: client, Now: c.now, Timeout: 20 * time.Second, Margin: -1,
		CAs: []acme.CA{
			{Name: "letsencrypt", DirectoryURL: letsEncrypt},
			{Name: "free", DirectoryURL: "https://free.test/dir"},
			{Name: "own", DirectoryURL: "https://own.test/dir",
				Limits: &acme.Limits{NewOrdersPerAccount: acme.Limit{Count: 10,
					Per: 100 * time.Second}}},
		}}
	if change != nil {
		change(&cfg)
	}
	g, err := acme.NewGovernor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// reserve calls Reserve and fails the test on an error.
func reserve(
	t testing.TB, g *acme.Governor, q controlplane.QuotaRequest,
) controlplane.QuotaDecision {
	t.Helper()
	d, err := g.Reserve(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	if d.Bypassed {
		t.Fatal("Reserve bypassed Redis")
	}
	if d.OK != (d.Limit == "") || d.OK != d.WaitUntil.IsZero() || d.OK != (d.Message == "") {
		t.Fatalf("Reserve = %+v, want either OK or WaitUntil", d)
	}
	return d
}

// until counts how many orders are permitted at once, and returns the first decision to wait.
func until(
	t testing.TB, g *acme.Governor, request func(i int) controlplane.QuotaRequest,
) (int, controlplane.QuotaDecision) {
	t.Helper()
	for i := range 1000 {
		if d := reserve(t, g, request(i)); !d.OK {
			return i, d
		}
	}
	return 1000, controlplane.QuotaDecision{}
}

func TestGovernorLimits(t *testing.T) {
	t.Parallel()
	const week = 7 * 24 * time.Hour
	different := func(q controlplane.QuotaRequest) func(int) controlplane.QuotaRequest {
		return func(i int) controlplane.QuotaRequest {
			q := q
			q.Names = []string{fmt.Sprintf("www.d%d.example", i)}
			return q
		}
	}
	subdomains := func(i int) controlplane.QuotaRequest {
		return controlplane.QuotaRequest{CA: "letsencrypt",
			Names: []string{fmt.Sprintf("h%d.example.co.uk", i),
				fmt.Sprintf("*.h%d.example.co.uk", i)}}
	}
	same := func(i int) controlplane.QuotaRequest {
		names := []string{"EXAMPLE.com", "*.example.com"}
		if i%2 == 1 {
			slices.Reverse(names)
		}
		return controlplane.QuotaRequest{CA: "letsencrypt", Names: names}
	}
	tests := []struct {
		name    string
		request func(int) controlplane.QuotaRequest
		pace    bool
		want    int // 1000: never limited
		limit   string
		wait    time.Duration
	}{
		{"new orders", different(controlplane.QuotaRequest{CA: "letsencrypt"}), false, 225,
			controlplane.LimitNewOrders, 36 * time.Second},
		{"renewals", different(controlplane.QuotaRequest{CA: "letsencrypt", Renewal: true}), false,
			300, controlplane.LimitNewOrders, 36 * time.Second},
		{"renewals with replaces",
			different(controlplane.QuotaRequest{CA: "letsencrypt", Renewal: true, Replaces: true}),
			false, 1000, "", 0},
		{"pace of renewals", different(controlplane.QuotaRequest{CA: "letsencrypt", Renewal: true,
			Replaces: true}), true, 15, controlplane.LimitPace, 50 * time.Millisecond},
		{"pace", different(controlplane.QuotaRequest{CA: "letsencrypt"}), true, 20,
			controlplane.LimitPace, 50 * time.Millisecond},
		{"registered domain", subdomains, false, 50, controlplane.LimitRegisteredDomain, week / 50},
		{"duplicates", same, false, 5, controlplane.LimitDuplicates, week / 5},
		{"a CA without limits", different(controlplane.QuotaRequest{CA: "free"}), true, 1000,
			"", 0},
		{"configured limits", different(controlplane.QuotaRequest{CA: "own", Renewal: true}), true,
			10, controlplane.LimitNewOrders, 10 * time.Second},
		{"replaces without exemption", different(controlplane.QuotaRequest{CA: "own", Renewal: true,
			Replaces: true}), true, 10, controlplane.LimitNewOrders, 10 * time.Second},
	}
	bothRedis(t, func(t *testing.T, server *devstack.Redis) {
		for _, tt := range tests {
			c := newClock()
			if err := server.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			g := governor(t, server, c, func(cfg *acme.GovernorConfig) {
				if !tt.pace {
					limits, _ := acme.DefaultLimits(letsEncrypt)
					limits.Pace = acme.Limit{}
					cfg.CAs[0].Limits = &limits
				}
			})
			n, d := until(t, g, tt.request)
			if n != tt.want || d.Limit != tt.limit {
				t.Errorf("%s: %d orders before limit %q, want %d before %q", tt.name, n, d.Limit,
					tt.want, tt.limit)
				continue
			}
			if d.Limit == "" {
				continue
			}
			if got := d.WaitUntil.Sub(c.now()); (got - tt.wait).Abs() > time.Millisecond {
				t.Errorf("%s: wait = %s, want %s", tt.name, got, tt.wait)
			}
			// The rejection took no token: one is available at the returned time, and not before.
			c.set(d.WaitUntil.Add(-10 * time.Millisecond))
			if d := reserve(t, g, tt.request(n)); d.OK {
				t.Errorf("%s: Reserve before WaitUntil = OK, want a wait", tt.name)
			}
			c.set(d.WaitUntil)
			if d := reserve(t, g, tt.request(n)); !d.OK {
				t.Errorf("%s: Reserve at WaitUntil = %+v, want OK", tt.name, d)
			}
			if d := reserve(t, g, tt.request(n+1)); d.OK {
				t.Errorf("%s: Reserve gave two orders one token", tt.name)
			}
		}
	})
}

// TestGovernorShare has one organization order as much as possible: it leaves half of the
// unreserved orders to others, makes no other organization wait, and continues as the limit
// refills.
func TestGovernorShare(t *testing.T) {
	t.Parallel()
	bothRedis(t, func(t *testing.T, server *devstack.Redis) {
		c := newClock()
		g := governor(t, server, c, func(cfg *acme.GovernorConfig) {
			limits, _ := acme.DefaultLimits(letsEncrypt)
			limits.Pace = acme.Limit{}
			cfg.CAs[0].Limits = &limits
		})
		n := 0
		order := func(org, waiter string) controlplane.QuotaRequest {
			n++
			return controlplane.QuotaRequest{CA: "letsencrypt", Org: org, Waiter: waiter,
				Names: []string{fmt.Sprintf("www.d%d.example", n)}}
		}
		from := func(org string) func(int) controlplane.QuotaRequest {
			return func(int) controlplane.QuotaRequest { return order(org, "") }
		}
		// 300 orders, of which 75 are reserved for due renewals. Half of the other 225 are left.
		first, d := until(t, g, from("noisy"))
		if first != 113 || d.Limit != controlplane.LimitShare ||
			!strings.Contains(d.Message, "share") {
			t.Fatalf("noisy organization: %d orders, then %+v; want 113, then LimitShare", first, d)
		}
		start := c.now()
		for i := range 50 {
			d := reserve(t, g, order("noisy", fmt.Sprintf("noisy%d", i)))
			if want := time.Duration(i+1) * 36 * time.Second; d.OK ||
				d.WaitUntil.Sub(start) != want {
				t.Fatalf("noisy organization, job %d: wait = %s, want %s", i,
					d.WaitUntil.Sub(start), want)
			}
		}
		// Organizations within their share do not wait behind it.
		if got, _ := until(t, g, from("quiet")); got != 56 {
			t.Errorf("quiet organization: %d orders at once, want its share of 56", got)
		}
		if got, d := until(t, g, from("second")); got != 56 || d.Limit != controlplane.LimitShare {
			t.Errorf("second quiet organization: %d orders, then %+v; want 56", got, d)
		}
		if d := reserve(t, g, order("third", "third")); d.OK ||
			d.Limit != controlplane.LimitNewOrders {
			t.Errorf("third organization: Reserve = %+v, want a wait for LimitNewOrders", d)
		}
		renewal := order("noisy", "")
		renewal.Renewal = true
		if got, _ := until(t, g, func(int) controlplane.QuotaRequest {
			n++
			renewal.Names = []string{fmt.Sprintf("www.d%d.example", n)}
			return renewal
		}); got != 75 {
			t.Errorf("permitted due renewals = %d, want the 75 reserved for them", got)
		}
	})
}

// TestGovernorShareGoesOn has a single organization order as fast as the limit refills.
func TestGovernorShareGoesOn(t *testing.T) {
	t.Parallel()
	bothRedis(t, func(t *testing.T, server *devstack.Redis) {
		c := newClock()
		g := governor(t, server, c, func(cfg *acme.GovernorConfig) {
			cfg.CAs[2].Limits = &acme.Limits{NewOrdersPerAccount: acme.Limit{Count: 100,
				Per: 100 * time.Minute}}
		})
		end, got := c.now().Add(24*time.Hour), 0
		for i := 0; c.now().Before(end); i++ {
			q := controlplane.QuotaRequest{CA: "own", Org: "alone", Waiter: "job",
				Names: []string{fmt.Sprintf("www.d%d.example", i)}}
			d := reserve(t, g, q)
			if !d.OK {
				c.set(d.WaitUntil)
				continue
			}
			got++
		}
		if want := 24 * 60; got < want {
			t.Errorf("orders in a day = %d, want the limit of %d", got, want)
		}
	})
}

// TestGovernorAllOrNothing exhausts one limit and finds the others unchanged.
func TestGovernorAllOrNothing(t *testing.T) {
	t.Parallel()
	bothRedis(t, func(t *testing.T, server *devstack.Redis) {
		g := governor(t, server, newClock(), func(cfg *acme.GovernorConfig) {
			cfg.CAs[2].Limits = &acme.Limits{NewOrdersPerAccount: acme.Limit{Count: 10,
				Per: time.Hour}, DuplicateCertificates: acme.Limit{Count: 2, Per: time.Hour}}
		})
		request := func(name string) controlplane.QuotaRequest {
			return controlplane.QuotaRequest{CA: "own", Names: []string{name}, Renewal: true}
		}
		if n, d := until(t, g,
			func(int) controlplane.QuotaRequest { return request("a.example") }); n != 2 ||
			d.Limit != controlplane.LimitDuplicates {
			t.Fatalf("%d orders, then %+v; want the failed authorizations' limit", n, d)
		}
		for range 50 {
			reserve(t, g, request("a.example"))
		}
		if n, _ := until(t, g,
			func(i int) controlplane.QuotaRequest {
				return request(fmt.Sprintf("b%d.example", i))
			}); n != 8 {
			t.Errorf("remaining orders = %d, want 8", n)
		}
	})
}

// An order for names under several registered domains takes a token of each, and gets each back.
func TestGovernorCountsAllRegisteredDomains(t *testing.T) {
	t.Parallel()
	bothRedis(t, func(t *testing.T, server *devstack.Redis) {
		g := governor(t, server, newClock(), func(cfg *acme.GovernorConfig) {
			cfg.CAs[2].Limits = &acme.Limits{CertificatesPerRegisteredDomain: acme.Limit{Count: 5,
				Per: time.Hour}}
		})
		request := func(order string, names ...string) controlplane.QuotaRequest {
			return controlplane.QuotaRequest{CA: "own", Names: names, Renewal: true, OrderID: order}
		}
		both := request("ord_both", "a.example", "*.a.example", "www.a.example", "x.b.example")
		if d := reserve(t, g, both); !d.OK {
			t.Fatalf("Reserve = %+v, want OK", d)
		}
		left := func(name string) int {
			n, d := until(t, g,
				func(i int) controlplane.QuotaRequest { return request("", name) })
			if d.Limit != controlplane.LimitRegisteredDomain || !strings.Contains(d.Message, name) {
				t.Errorf("Reserve(%s) = %+v, want the limit of its registered domain", name, d)
			}
			return n
		}
		if a := left("a.example"); a != 4 {
			t.Errorf("orders left for a.example = %d, want 4", a)
		}
		waiting := request("ord_waits", "b.example", "a.example")
		if d := reserve(t, g, waiting); d.OK || !strings.Contains(d.Message, "a.example") {
			t.Errorf("Reserve(%q) = %+v, want a wait for a.example", waiting.Names, d)
		}
		if err := g.Refund(t.Context(), both, true); err != nil {
			t.Fatal(err)
		}
		if a, b := left("a.example"), left("b.example"); a != 1 || b != 5 {
			t.Errorf("orders left after a refund = %d and %d, want 1 and 5", a, b)
		}
	})
}

// TestGovernorQueue has many orders wait: each gets a separate time, keeps it when it calls again,
// and is not overtaken.
func TestGovernorQueue(t *testing.T) {
	t.Parallel()
	bothRedis(t, func(t *testing.T, server *devstack.Redis) {
		c := newClock()
		g := governor(t, server, c, func(cfg *acme.GovernorConfig) { cfg.RenewalReserve = -1 })
		request := func(waiter string) controlplane.QuotaRequest {
			return controlplane.QuotaRequest{CA: "own", Names: []string{waiter + ".example"},
				Waiter: waiter}
		}
		until(t, g, func(int) controlplane.QuotaRequest { return request("") })
		start := c.now()
		for i := range 100 {
			d := reserve(t, g, request(fmt.Sprintf("w%d", i)))
			if want := time.Duration(i+1) * 10 * time.Second; d.WaitUntil.Sub(start) != want {
				t.Fatalf("waiter %d: wait = %s, want %s", i, d.WaitUntil.Sub(start), want)
			}
		}
		c.advance(5 * time.Second)
		if d := reserve(t, g, request("w70")); d.WaitUntil.Sub(start) != 710*time.Second {
			t.Errorf("second call of w70: wait = %s, want 11m50s", d.WaitUntil.Sub(start))
		}
		impatient := request("impatient")
		impatient.Patience = time.Minute
		if d := reserve(t, g, impatient); d.WaitUntil.Sub(start) != 1010*time.Second {
			t.Errorf("impatient waiter: wait = %s", d.WaitUntil.Sub(start))
		}
		if d := reserve(t, g, request("late")); d.WaitUntil.Sub(start) != 1010*time.Second {
			t.Errorf("the impatient waiter kept a place: the next wait = %s",
				d.WaitUntil.Sub(start))
		}
		c.set(start.Add(20 * time.Second)) // two tokens, for w0 and w1
		if reserve(t, g, request("newcomer")).OK {
			t.Error("Reserve of a new order = OK before the waiting ones")
		}
		if !reserve(t, g, request("w1")).OK || !reserve(t, g, request("w0")).OK ||
			reserve(t, g, request("w2")).OK {
			t.Error("Reserve at 20 s: want OK for w0 and w1, a wait for w2")
		}
		// w2 to w5 never return; one minute after their time they lose their places.
		c.set(start.Add(60*time.Second + 61*time.Second))
		for i := 6; i < 12; i++ {
			if !reserve(t, g, request(fmt.Sprintf("w%d", i))).OK {
				t.Errorf("Reserve(w%d) waits for orders that do not return", i)
			}
		}
	})
}

func TestGovernorRefund(t *testing.T) {
	t.Parallel()
	bothRedis(t, func(t *testing.T, server *devstack.Redis) {
		c := newClock()
		g := governor(t, server, c, func(cfg *acme.GovernorConfig) {
			cfg.CAs[2].Limits = &acme.Limits{NewOrdersPerAccount: acme.Limit{Count: 4,
				Per: time.Hour}, DuplicateCertificates: acme.Limit{Count: 2, Per: time.Hour}}
		})
		request := func(order string, names ...string) controlplane.QuotaRequest {
			return controlplane.QuotaRequest{CA: "own", Names: names, Renewal: true, OrderID: order}
		}
		left := func(probe string) (n int) { // reserves until limited, then refunds all
			for ; reserve(t, g, request(fmt.Sprintf("%s%d", probe, n),
				fmt.Sprintf("%s%d.example", probe, n))).OK; n++ {
			}
			for i := range n {
				if err := g.Refund(t.Context(),
					request(fmt.Sprintf("%s%d", probe, i), fmt.Sprintf("%s%d.example", probe, i)),
					false); err != nil {
					t.Fatal(err)
				}
			}
			return n
		}
		one := request("o1", "one.example")
		for range 5 {
			if !reserve(t, g, one).OK {
				t.Fatal("Reserve of a counted order = wait, want OK")
			}
		}
		if n := left("a"); n != 3 {
			t.Errorf("remaining after one order = %d, want 3", n)
		}
		for range 3 {
			if err := g.Refund(t.Context(), one, false); err != nil {
				t.Fatal(err)
			}
		}
		if n := left("b"); n != 4 {
			t.Errorf("remaining after three refunds of one order = %d, want 4", n)
		}
		for i := range 2 {
			q := request(fmt.Sprintf("o%d", i), "two.example")
			if !reserve(t, g, q).OK {
				t.Fatal("Reserve = wait, want OK")
			}
			if err := g.Refund(t.Context(), q, true); err != nil {
				t.Fatal(err)
			}
		}
		if n := left("c"); n != 2 {
			t.Errorf("remaining after two orders that reached the CA = %d, want 2", n)
		}
		if d := reserve(t, g, request("o5", "two.example")); !d.OK {
			t.Errorf("Reserve = %+v, want OK: no certificate was issued", d)
		}

		// An order that took no token refunds none, even if it replaced no certificate in the end.
		le := func(order string, replaces bool) controlplane.QuotaRequest {
			return controlplane.QuotaRequest{CA: "letsencrypt", Names: []string{"three.example"},
				Renewal: true, OrderID: order, Replaces: replaces}
		}
		for i := range 5 {
			reserve(t, g, le(fmt.Sprint("counted", i), false))
		}
		reserve(t, g, le("exempt", true))
		if err := g.Refund(t.Context(), le("exempt", false), false); err != nil {
			t.Fatal(err)
		}
		if reserve(t, g, le("more", false)).OK {
			t.Error("Refund returned a token that was not taken")
		}
		if err := g.Refund(t.Context(), le("counted0", false), false); err != nil ||
			!reserve(t, g, le("more", false)).OK {
			t.Errorf("Refund did not return the token: %v", err)
		}
	})
}

// refused returns the verdict of a CA that rejected an order because of a limit.
func refused(c *clock, after time.Duration, detail string) controlplane.Verdict {
	v := controlplane.Verdict{Class: controlplane.VerdictRateLimited,
		Problem: json.RawMessage(fmt.Sprintf(
			`{"type":"urn:ietf:params:acme:error:rateLimited","detail":%q}`, detail))}
	if after > 0 {
		v.RetryAt = c.now().Add(after)
	}
	return v
}

func TestGovernorLearns(t *testing.T) {
	t.Parallel()
	le := func(names ...string) controlplane.QuotaRequest {
		return controlplane.QuotaRequest{CA: "letsencrypt", Names: names, Renewal: true}
	}
	free := func(names ...string) controlplane.QuotaRequest {
		return controlplane.QuotaRequest{CA: "free", Names: names}
	}
	tests := []struct {
		name          string
		detail        string
		q             controlplane.QuotaRequest
		after         time.Duration
		hit, spared   []controlplane.QuotaRequest
		limit         string
		least, mostly time.Duration // bounds of the wait of the limited requests
	}{
		{"new orders",
			"too many new orders (300) from this account in the last 3h0m0s, retry after …",
			le("a.example"), time.Hour,
			[]controlplane.QuotaRequest{le("a.example"), le("b.example")}, nil,
			controlplane.LimitNewOrders, time.Hour, time.Hour},
		{"registered domain",
			`too many certificates (50) already issued for "example.com" in the last 168h0m0s`,
			le("a.example.com"), time.Hour,
			[]controlplane.QuotaRequest{le("b.example.com")},
			[]controlplane.QuotaRequest{le("example.net")}, controlplane.LimitRegisteredDomain,
			time.Hour, time.Hour},
		{"duplicates",
			"too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s", le("a.example.com"), time.Hour,
			[]controlplane.QuotaRequest{le("a.example.com")},
			[]controlplane.QuotaRequest{le("b.example.com")}, controlplane.LimitDuplicates,
			time.Hour, time.Hour},
		{"failed authorizations",
			`too many failed authorizations (5) for "a.example.com" in the last 1h0m0s`,
			le("a.example.com"), 12 * time.Minute,
			[]controlplane.QuotaRequest{le("a.example.com"), le("*.a.example.com")},
			[]controlplane.QuotaRequest{le("b.example.com")},
			controlplane.LimitFailedAuthorizations, 12 * time.Minute, 12 * time.Minute},
		{"registered domain, one of several",
			`too many certificates (50) already issued for "example.com" in the last 168h0m0s`,
			le("a.example.com", "example.net", "b.my-example.com"), time.Hour,
			[]controlplane.QuotaRequest{le("b.example.com")},
			[]controlplane.QuotaRequest{le("example.net"), le("my-example.com")},
			controlplane.LimitRegisteredDomain, time.Hour, time.Hour},
		{"failed authorizations, one of several",
			`too many failed authorizations (5) for "a.example.com" in the last 1h0m0s`,
			le("a.example.com", "www.a.example.com", "example.net"), 12 * time.Minute,
			[]controlplane.QuotaRequest{le("*.a.example.com")},
			[]controlplane.QuotaRequest{le("www.a.example.com"), le("example.net")},
			controlplane.LimitFailedAuthorizations, 12 * time.Minute, 12 * time.Minute},
		{"failed authorizations, unknown which of several",
			`too many failed authorizations (5)`,
			le("a.example.com", "example.net"), 12 * time.Minute,
			[]controlplane.QuotaRequest{le("example.net", "a.example.com")},
			[]controlplane.QuotaRequest{le("a.example.com"), le("example.net"),
				le("a.example.com", "example.net", "example.org")},
			controlplane.LimitByCA, 12 * time.Minute, 15 * time.Minute},
		{"unnamed limit: only its names", "Service busy; retry later.", free("a.example"),
			time.Hour, []controlplane.QuotaRequest{free("a.example")},
			[]controlplane.QuotaRequest{free("b.example"), le("a.example")},
			controlplane.LimitByCA, time.Hour, 75 * time.Minute},
		{"unnamed limit: at most a day", "slow down", free("a.example"), 30 * 24 * time.Hour,
			[]controlplane.QuotaRequest{free("a.example")},
			[]controlplane.QuotaRequest{free("b.example")}, controlplane.LimitByCA, 24 * time.Hour,
			25 * time.Hour},
		{"no time given", "slow down", free("a.example"), 0,
			[]controlplane.QuotaRequest{free("a.example")},
			[]controlplane.QuotaRequest{free("b.example")},
			controlplane.LimitByCA, time.Minute, 75 * time.Second},
		{"known limit: at most its period",
			`too many failed authorizations (5) for "a.example.com" in the last 1h0m0s`,
			le("a.example.com"), 30 * 24 * time.Hour,
			[]controlplane.QuotaRequest{le("a.example.com")},
			[]controlplane.QuotaRequest{le("b.example.com")},
			controlplane.LimitFailedAuthorizations, time.Hour, time.Hour},
		{"limit that is not counted", "too many new orders", free("a.example"), 10 * time.Second,
			[]controlplane.QuotaRequest{free("a.example"), free("b.example")}, nil,
			controlplane.LimitByCA, 10 * time.Second, 13 * time.Second},
	}
	bothRedis(t, func(t *testing.T, server *devstack.Redis) {
		for _, tt := range tests {
			if err := server.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			c := newClock()
			g := governor(t, server, c, nil)
			if err := g.Learn(t.Context(), tt.q, refused(c, tt.after, tt.detail)); err != nil {
				t.Fatal(err)
			}
			for _, q := range tt.spared {
				if d := reserve(t, g, q); !d.OK {
					t.Errorf("%s: Reserve(%v) = %+v, want OK", tt.name, q.Names, d)
				}
			}
			var last time.Time
			for _, q := range tt.hit {
				d := reserve(t, g, q)
				if wait := d.WaitUntil.Sub(c.now()); d.OK || d.Limit != tt.limit ||
					wait < tt.least || wait > tt.mostly+time.Millisecond {
					t.Errorf("%s: Reserve(%v) = %+v after %s, want a wait within the bounds",
						tt.name, q.Names, d, wait)
				}
				last = d.WaitUntil
			}
			c.set(last)
			if d := reserve(t, g, tt.hit[len(tt.hit)-1]); !d.OK {
				t.Errorf("%s: Reserve after the wait = %+v, want OK", tt.name, d)
			}
		}
	})
}

// TestGovernorPauseGrows has a CA reject orders for unrelated names repeatedly without naming a
// limit: the account's pauses grow.
func TestGovernorPauseGrows(t *testing.T) {
	t.Parallel()
	bothRedis(t, func(t *testing.T, server *devstack.Redis) {
		c := newClock()
		g := governor(t, server, c, nil)
		rejected := []controlplane.QuotaRequest{{CA: "free", Names: []string{"a.example.com"}},
			{CA: "free", Names: []string{"a.example.net"}},
			{CA: "free", Names: []string{"a.example.org"}}}
		other := controlplane.QuotaRequest{CA: "free", Names: []string{"b.example"}}
		for _, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute,
			8 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
			v := controlplane.Verdict{Class: controlplane.VerdictRateLimited,
				RetryAt: c.now().Add(24 * time.Hour)}
			for _, q := range append(rejected, rejected...) { // concurrent rejections count as one
				if err := g.Learn(t.Context(), q, v); err != nil {
					t.Fatal(err)
				}
			}
			d := reserve(t, g, other)
			if wait := d.WaitUntil.Sub(c.now()); wait < want || wait > want*5/4+time.Second {
				t.Errorf("account's wait = %s, want %s or slightly more", wait, want)
			}
			c.set(d.WaitUntil)
			if !reserve(t, g, other).OK {
				t.Error("Reserve after the wait = wait, want OK")
			}
		}
	})
}

// TestGovernorUnrelatedNames states which rejections without a named limit hold the account.
func TestGovernorUnrelatedNames(t *testing.T) {
	t.Parallel()
	const apart = 5 * time.Minute
	tests := map[string]struct {
		names  [][]string
		apart  time.Duration
		detail string
		held   bool
	}{
		"one name, often":       {[][]string{{"a.example"}, {"a.example"}, {"a.example"}, {"a.example"}}, 0, "", false},
		"names of one domain":   {[][]string{{"a.example"}, {"www.a.example"}, {"*.a.example"}}, 0, "", false},
		"two domains":           {[][]string{{"a.example"}, {"b.example"}}, 0, "", false},
		"three domains":         {[][]string{{"a.example"}, {"b.example"}, {"c.example"}}, 0, "", true},
		"three, over long":      {[][]string{{"a.example"}, {"b.example"}, {"c.example"}}, apart + time.Second, "", false},
		"three, within reach":   {[][]string{{"a.example"}, {"b.example"}, {"c.example"}}, apart - time.Second, "", true},
		"three in one order":    {[][]string{{"a.example", "b.example", "c.example"}}, 0, "", false},
		"orders that overlap":   {[][]string{{"a.example", "b.example"}, {"b.example", "c.example"}, {"c.example", "d.example"}}, 0, "", false},
		"private suffixes":      {[][]string{{"a.github.io"}, {"b.github.io"}, {"c.github.io"}}, 0, "", true},
		"the account's limit":   {[][]string{{"a.example"}}, 0, "too many new orders recently", true},
		"a limit of the domain": {[][]string{{"a.example"}}, 0, "already issued for a.example", false},
	}
	bothRedis(t, func(t *testing.T, server *devstack.Redis) {
		for name, tt := range tests {
			if err := server.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			c := newClock()
			g := governor(t, server, c, nil)
			for i, names := range tt.names {
				if i > 0 {
					c.advance(tt.apart)
				}
				q := controlplane.QuotaRequest{CA: "free", Names: names}
				if err := g.Learn(t.Context(), q, refused(c, time.Hour, tt.detail)); err != nil {
					t.Fatal(err)
				}
			}
			d := reserve(t, g, controlplane.QuotaRequest{CA: "free", Names: []string{"z.example"}})
			if d.OK == tt.held {
				t.Errorf("%s: Reserve of another name = %+v, want held = %v", name, d, tt.held)
			}
			if wait := d.WaitUntil.Sub(c.now()); tt.held && wait > 75*time.Second {
				t.Errorf("%s: the account is held for %s, want about a minute", name, wait)
			}
		}
	})
}

// TestGovernorShowsWhatTheCASaid shows the CA's text with a pause of the names it is about.
func TestGovernorShowsWhatTheCASaid(t *testing.T) {
	t.Parallel()
	bothRedis(t, func(t *testing.T, server *devstack.Redis) {
		c := newClock()
		g := governor(t, server, c, nil)
		const text = "free rate-limited the request: no more, see https://ca.test/limits."
		v := refused(c, time.Hour, "no more, see https://ca.test/limits")
		v.Message = text
		for _, name := range []string{"a.example", "b.example", "c.example"} {
			q := controlplane.QuotaRequest{CA: "free", Names: []string{name}}
			if err := g.Learn(t.Context(), q, v); err != nil {
				t.Fatal(err)
			}
			if d := reserve(t, g, q); d.OK || d.Message != text {
				t.Errorf("Reserve(%s) = %+v, want the CA's text", name, d)
			}
		}
		d := reserve(t, g, controlplane.QuotaRequest{CA: "free", Names: []string{"z.example"}})
		if d.OK || d.Message == "" || strings.Contains(d.Message, "ca.test") {
			t.Errorf("Reserve(z.example) = %+v, want no text about other names", d)
		}
	})
}

// TestGovernorCount counts an order that was exempt as a replacement, after the CA rejected the
// replacement: once, and so that it can be refunded.
func TestGovernorCount(t *testing.T) {
	t.Parallel()
	bothRedis(t, func(t *testing.T, server *devstack.Redis) {
		c := newClock()
		g := governor(t, server, c, nil)
		q := controlplane.QuotaRequest{CA: "letsencrypt", Names: []string{"a.example.com"},
			Renewal: true, Replaces: true}
		for i := range 5 {
			q.OrderID = fmt.Sprintf("ord_%d", i)
			if d := reserve(t, g, q); !d.OK {
				t.Fatalf("Reserve(%s) = %+v, want OK", q.OrderID, d)
			}
			for range 2 {
				if err := g.Count(t.Context(), q); err != nil {
					t.Fatal(err)
				}
			}
			c.advance(time.Second)
		}
		next := controlplane.QuotaRequest{CA: "letsencrypt", Names: q.Names, OrderID: "ord_next"}
		if d := reserve(t, g, next); d.OK || d.Limit != controlplane.LimitDuplicates {
			t.Errorf("Reserve after 5 orders = %+v, want the limit of duplicates", d)
		}
		if err := g.Refund(t.Context(), q, true); err != nil {
			t.Fatal(err)
		}
		if d := reserve(t, g, next); !d.OK {
			t.Errorf("Reserve after a refund = %+v, want OK", d)
		}
	})
}

func TestGovernorFailedAuthorizations(t *testing.T) {
	t.Parallel()
	bothRedis(t, func(t *testing.T, server *devstack.Redis) {
		c := newClock()
		g := governor(t, server, c, nil)
		q := controlplane.QuotaRequest{CA: "letsencrypt", Names: []string{"a.example.com",
			"*.a.example.com"}, Renewal: true, Replaces: true}
		for i := range 5 {
			if !reserve(t, g, q).OK {
				t.Fatalf("Reserve after %d failures = wait, want OK", i)
			}
			if err := g.AuthorizationFailed(t.Context(), q); err != nil {
				t.Fatal(err)
			}
			c.advance(time.Second)
		}
		d := reserve(t, g, q)
		if wait := d.WaitUntil.Sub(c.now()); d.OK ||
			d.Limit != controlplane.LimitFailedAuthorizations || wait > 12*time.Minute ||
			wait < 11*time.Minute {
			t.Errorf("Reserve after 5 failures = %+v with a wait of %s", d, wait)
		}
		other := q
		other.Account = "another"
		if !reserve(t, g, other).OK {
			t.Error("Reserve of another account = wait, want OK")
		}
	})
}

// TestGovernorWithoutRedis stops Redis: orders are permitted, and Observe receives the error.
func TestGovernorWithoutRedis(t *testing.T) {
	t.Parallel()
	server := startRedis(t, true)
	var mu sync.Mutex
	bypassed := 0
	g := governor(t, server, newClock(), func(cfg *acme.GovernorConfig) {
		cfg.Timeout = 200 * time.Millisecond
		cfg.Observe = func(ca string, d controlplane.QuotaDecision, err error) {
			mu.Lock()
			defer mu.Unlock()
			if d.Bypassed && err != nil && ca == "own" {
				bypassed++
			}
		}
	})
	q := controlplane.QuotaRequest{CA: "own", Names: []string{"a.example"}, OrderID: "o1"}
	reserve(t, g, q)
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		d, err := g.Reserve(t.Context(),
			controlplane.QuotaRequest{CA: "own", Names: []string{"a.example"}})
		if err != nil || !d.OK || !d.Bypassed {
			t.Fatalf("order %d: %+v, %v", i, d, err)
		}
	}
	if bypassed != 20 {
		t.Errorf("bypassed decisions = %d, want 20", bypassed)
	}
	if g.Refund(t.Context(), q, false) == nil ||
		g.AuthorizationFailed(t.Context(),
			controlplane.QuotaRequest{CA: "letsencrypt", Names: q.Names}) == nil {
		t.Error("AuthorizationFailed without Redis = nil, want an error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if d, err := g.Reserve(ctx, q); err == nil || d.OK {
		t.Errorf("Reserve with a canceled context = %+v, %v; want its error", d, err)
	}
	if d, err := g.Reserve(t.Context(), controlplane.QuotaRequest{CA: "unknown"}); err == nil ||
		d.OK {
		t.Errorf("Reserve at an unconfigured CA = %+v, %v; want an error", d, err)
	}
}

func TestGovernorForgets(t *testing.T) {
	t.Parallel()
	bothRedis(t, func(t *testing.T, server *devstack.Redis) {
		g := governor(t, server, newClock(), nil)
		request := func(i int) controlplane.QuotaRequest {
			return controlplane.QuotaRequest{CA: "own",
				Names: []string{fmt.Sprintf("d%d.example", i)}, Waiter: fmt.Sprint(i),
				OrderID: fmt.Sprint(i)}
		}
		before, _ := until(t, g, request)
		if err := server.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if after, _ := until(t, g, request); after != before {
			t.Errorf("orders after Redis lost its data = %d, want %d", after, before)
		}
		client := redisClient(t, server)
		defer client.Close()
		for _, key := range client.Keys(t.Context(), "*").Val() {
			if ttl := client.PTTL(t.Context(), key).Val(); ttl <= 0 {
				t.Errorf("key %s has no expiry", key)
			}
		}
	})
}

func TestLimitOf(t *testing.T) {
	t.Parallel()
	for detail, want := range map[string]string{
		"too many new orders (300) from this account in the last 3h0m0s, retry after 2026-03-01 12:00:00 UTC: see https://letsencrypt.org/docs/rate-limits/#new-orders-per-account":                                            controlplane.LimitNewOrders,
		`too many certificates (50) already issued for "example.com" in the last 168h0m0s, retry after 2026-03-01 12:00:00 UTC: see https://letsencrypt.org/docs/rate-limits/#new-certificates-per-registered-domain`:          controlplane.LimitRegisteredDomain,
		`too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, retry after 2026-03-01: see https://letsencrypt.org/docs/rate-limits/#new-certificates-per-exact-set-of-identifiers`: controlplane.LimitDuplicates,
		`too many certificates (5) already issued for this exact set of domains in the last 168 hours`:                                                                                                                         controlplane.LimitDuplicates,
		`too many failed authorizations (5) for "example.com" in the last 1h0m0s, retry after 2026-03-01 12:00:00 UTC: see https://letsencrypt.org/docs/rate-limits/#authorization-failures-per-identifier-per-account`:        controlplane.LimitFailedAuthorizations,
		"too many new registrations (10) from this IP address": "",
		"Service busy; retry later.":                           "",
		"":                                                     "",
	} {
		raw, _ := json.Marshal(map[string]string{"detail": detail})
		if got := acme.LimitOf(raw); got != want {
			t.Errorf("LimitOf(%q) = %q, want %q", detail, got, want)
		}
	}
	if got := acme.LimitOf(json.RawMessage("<html>")); got != "" {
		t.Errorf("LimitOf(HTML) = %q, want none", got)
	}
	sub := json.RawMessage(`{"detail":"several","subproblems":[{"detail":"too many new orders"}]}`)
	if got := acme.LimitOf(sub); got != controlplane.LimitNewOrders {
		t.Errorf("LimitOf(subproblem) = %q, want LimitNewOrders", got)
	}
}

// BenchmarkReserve decides on orders with Let's Encrypt's limits: five buckets, permitted and
// limited.
func BenchmarkReserve(b *testing.B) {
	for _, embedded := range []bool{false, true} {
		for _, waiting := range []int{0, 10_000} {
			b.Run(fmt.Sprintf("embedded=%v/waiting=%d", embedded, waiting), func(b *testing.B) {
				g := governor(b, startRedis(b, embedded), newClock(),
					func(cfg *acme.GovernorConfig) {
						limits, _ := acme.DefaultLimits(letsEncrypt)
						limits.Pace.Count *= 1000
						if waiting == 0 {
							limits.NewOrdersPerAccount.Count = 1 << 30
						}
						cfg.CAs[0].Limits = &limits
					})
				request := func(i int) controlplane.QuotaRequest {
					return controlplane.QuotaRequest{CA: "letsencrypt",
						Names: []string{fmt.Sprintf("d%d.example", i)}, Waiter: fmt.Sprint(i)}
				}
				for i := range waiting {
					reserve(b, g, request(i))
				}
				var n int
				var mu sync.Mutex
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						mu.Lock()
						n++
						q := request(n % max(waiting, b.N))
						mu.Unlock()
						reserve(b, g, q)
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
			})
		}
	}
}
