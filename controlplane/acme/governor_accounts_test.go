package acme_test

import (
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// withAccounts gives the CA "own" (10 orders in 100 s) the accounts default, b, and c, which has 30
// orders in 100 s.
func withAccounts(cfg *acme.GovernorConfig) {
	cfg.RenewalReserve, cfg.OrganizationShare = -1, -1
	for i := range cfg.CAs {
		if cfg.CAs[i].Name == "own" {
			cfg.CAs[i].Accounts = []acme.AccountConfig{{Name: "default"}, {Name: "b"}, {Name: "c",
				NewOrders: &acme.Limit{Count: 30, Per: 100 * time.Second}}}
		}
	}
}

// ofAccounts returns a request that one of the accounts may get.
func ofAccounts(i int, accounts ...string) controlplane.QuotaRequest {
	return controlplane.QuotaRequest{CA: "own", Accounts: accounts,
		Names: []string{fmt.Sprintf("n%d.example", i)}, Waiter: fmt.Sprintf("w%d", i)}
}

// New orders go to the account with the most left, by several workers at the same time. When none
// has any left, they wait for the account that can place each of them first.
func TestGovernorSpreadsOrders(t *testing.T) {
	t.Parallel()
	bothRedis(t, func(t *testing.T, server *devstack.Redis) {
		c := newClock()
		workers := []*acme.Governor{governor(t, server, c, withAccounts),
			governor(t, server, c, withAccounts)}
		if d := reserve(t, workers[0], ofAccounts(0, "default", "b", "c")); d.Account != "c" {
			t.Errorf("first order at %q, want c, which has the most left", d.Account)
		}
		var mu sync.Mutex
		got := map[string]int{"c": 1}
		var wg sync.WaitGroup
		for i := range 49 {
			wg.Go(func() {
				d := reserve(t, workers[i%2], ofAccounts(i+1, "default", "b", "c"))
				mu.Lock()
				defer mu.Unlock()
				got[fmt.Sprintf("%s %v", d.Account, d.OK)]++
			})
		}
		wg.Wait()
		want := map[string]int{"c": 1, "c true": 29, "default true": 10, "b true": 10}
		if !maps.Equal(got, want) {
			t.Errorf("orders = %v, want %v", got, want)
		}

		// default and b have an order every 10 s, c every 3.3 s
		waits := map[string]int{}
		for i := range 10 {
			d := reserve(t, workers[0], ofAccounts(100+i, "default", "b", "c"))
			if d.OK || d.WaitUntil.Sub(c.now()) > 20*time.Second {
				t.Errorf("Reserve of waiting order %d = %+v, want a wait of 20 s at most", i, d)
			}
			waits[d.Account]++
		}
		if waits["c"] < 5 || waits["default"] < 1 || waits["b"] < 1 {
			t.Errorf("orders wait for %v, want in proportion to the limits", waits)
		}
		c.advance(21 * time.Second)
		for i := range 10 {
			if d := reserve(t, workers[1], ofAccounts(100+i, "default", "b", "c")); !d.OK {
				t.Errorf("Reserve of order %d after its wait = %+v, want OK", i, d)
			}
		}
	})
}

// An order that leaves an account's queue for another account does not keep its place.
func TestGovernorLeavesQueues(t *testing.T) {
	t.Parallel()
	c := newClock()
	g := governor(t, startRedis(t, true), c, withAccounts)
	until(t, g, func(i int) controlplane.QuotaRequest {
		q := ofAccounts(i, "default")
		q.Waiter = ""
		return q
	})
	if d := reserve(t, g, ofAccounts(500, "default")); d.OK || d.Account != "default" {
		t.Fatalf("Reserve = %+v, want a wait for the default account", d)
	}
	if d := reserve(t, g, ofAccounts(500, "default", "b")); !d.OK || d.Account != "b" {
		t.Errorf("Reserve with another account = %+v, want OK there", d)
	}
	if d := reserve(t, g, ofAccounts(501, "default")); d.WaitUntil.Sub(c.now()) != 10*time.Second {
		t.Errorf("wait of the next order = %s, want 10 s", d.WaitUntil.Sub(c.now()))
	}
}

// An order stays with its account if that can place it in time. The exemption of a replacement
// applies to that account only.
func TestGovernorStays(t *testing.T) {
	t.Parallel()
	c := newClock()
	g := governor(t, startRedis(t, true), c, func(cfg *acme.GovernorConfig) {
		withAccounts(cfg)
		cfg.CAs[2].Limits.ReplacesExempt = true
	})
	stay := func(i int, d time.Duration) controlplane.QuotaRequest {
		q := ofAccounts(i, "default", "b", "c")
		q.Account, q.Stay = "b", d
		return q
	}
	for i := range 10 {
		if d := reserve(t, g, stay(i, time.Minute)); !d.OK || d.Account != "b" {
			t.Fatalf("Reserve %d = %+v, want OK at b", i, d)
		}
	}
	if d := reserve(t, g, stay(20, 10*time.Second)); d.OK || d.Account != "b" ||
		d.WaitUntil.Sub(c.now()) != 10*time.Second {
		t.Errorf("Reserve = %+v, want a wait of 10 s for b", d)
	}
	if d := reserve(t, g, stay(21, 10*time.Second)); !d.OK || d.Account != "c" {
		t.Errorf("Reserve after a longer wait = %+v, want OK at the one with the most left", d)
	}
	replaces := stay(22, 0)
	replaces.Replaces = true
	if d := reserve(t, g, replaces); !d.OK || d.Account != "b" {
		t.Errorf("Reserve of a replacement = %+v, want it exempt at b", d)
	}
	for name, account := range map[string]string{"c": "c", "default": "default"} {
		count, d := until(t, g, func(i int) controlplane.QuotaRequest {
			q := replaces
			q.Account, q.Accounts = "b", []string{account}
			q.Names, q.Waiter = []string{fmt.Sprintf("x%d.example", i)}, ""
			return q
		})
		if count >= 1000 || d.Limit != controlplane.LimitNewOrders {
			t.Errorf("replacements at %s: %d, then %+v; want them counted", name, count, d)
		}
	}
}

// What a CA says about one account does not delay the orders of the others. What it says about
// names does.
func TestGovernorLearnsForOneAccount(t *testing.T) {
	t.Parallel()
	c := newClock()
	g := governor(t, startRedis(t, true), c, withAccounts)
	learn := func(i int, detail string) {
		t.Helper()
		q := ofAccounts(i)
		q.Account = "c"
		if err := g.Learn(t.Context(), q, refused(c, time.Hour, detail)); err != nil {
			t.Fatal(err)
		}
	}
	learn(1, "too many new orders recently")
	for i := range 20 {
		if d := reserve(t, g, ofAccounts(10+i, "default", "b", "c")); !d.OK || d.Account == "c" {
			t.Fatalf("Reserve %d = %+v, want OK at another account", i, d)
		}
	}
	learn(2, "something else")
	if d := reserve(t, g, ofAccounts(2, "default", "b")); d.OK ||
		d.Limit != controlplane.LimitByCA {
		t.Errorf("Reserve of the rejected names = %+v, want a pause of the names", d)
	}
	left, err := g.Left(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range left {
		if one.CA == "own" && one.Left >= 1 {
			t.Errorf("Left = %+v, want none at %s", left, one.Account)
		}
	}
}

// The default account keeps the counts of an installation that had only one account.
func TestGovernorKeepsTheCountsOfTheFirstAccount(t *testing.T) {
	t.Parallel()
	c := newClock()
	server := startRedis(t, true)
	before := governor(t, server, c, func(cfg *acme.GovernorConfig) {
		cfg.RenewalReserve, cfg.OrganizationShare = -1, -1
	})
	until(t, before, func(i int) controlplane.QuotaRequest {
		q := ofAccounts(i)
		q.Accounts = nil
		return q
	})
	g := governor(t, server, c, withAccounts)
	if d := reserve(t, g, ofAccounts(100, "default")); d.OK {
		t.Error("Reserve at the default account = OK, want its orders used up")
	}
	if d := reserve(t, g, ofAccounts(101, "default", "b")); !d.OK || d.Account != "b" {
		t.Errorf("Reserve = %+v, want OK at the new account", d)
	}
}
