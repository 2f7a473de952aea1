package edge_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

func TestLookups(t *testing.T) {
	t.Parallel()
	limits := controlplane.DefaultLimits()
	limits.OrganizationLookups.Calls, limits.PersonLookups.Calls, limits.AllLookups.Calls = 10, 15,
		40
	l := newLimiter(t, startRedis(t), func(c *edge.LimiterConfig) { c.Limits = limits })
	var asked atomic.Int64
	now := time.Now()
	s := edge.NewLookups(l, func() time.Time { return now },
		func(_ context.Context, login string) (controlplane.GitHubAccount, error) {
			asked.Add(1)
			if login == "nobody" || !controlplane.IsLogin(login) {
				return controlplane.GitHubAccount{},
					controlplane.Invalid("/login", "login-unknown", "x", "y")
			}
			return controlplane.GitHubAccount{ID: 1, Login: login}, nil
		})
	next := 0
	through := func(org, user string, n int) int {
		t.Helper()
		found := 0
		for range n {
			next++
			_, err := s.LookUp(t.Context(), org, user, fmt.Sprint("login-", next))
			if err == nil {
				found++
			} else if !controlplane.HasCode(err, "too-many-lookups") ||
				controlplane.AsError(err).RetryAt.IsZero() {
				t.Fatalf("LookUp = %v, want too-many-lookups with RetryAt", err)
			}
		}
		return found
	}
	if n := through("org_1", "", 20); n != 10 {
		t.Errorf("%d lookups of one organization passed, want 10", n)
	}
	// A user who deletes an organization and creates another keeps their count.
	if n := through("org_2", "usr_1", 10) + through("org_3", "usr_1", 10); n != 15 {
		t.Errorf("%d lookups of one person passed, want 15", n)
	}
	if n := through("org_4", "", 20) + through("org_5", "", 20); n != 15 {
		t.Errorf("%d lookups of two more organizations passed, want the 15 that are left of 40", n)
	}
	if n := asked.Load(); n != 40 {
		t.Errorf("GitHub got %d requests, want 40", n)
	}
	// Found accounts are cached for five minutes.
	for range 100 {
		if _, err := s.LookUp(t.Context(), "org_1", "", "LOGIN-1"); err != nil {
			t.Fatalf("LookUp of a login that was found = %v, want no error", err)
		}
	}
	if n := asked.Load(); n != 40 {
		t.Errorf("GitHub got %d requests, want 40 as before", n)
	}
	now = now.Add(5 * time.Minute)
	if _, err := s.LookUp(t.Context(), "org_1", "", "login-1"); !controlplane.HasCode(err,
		"too-many-lookups") {
		t.Errorf("LookUp after five minutes = %v, want too-many-lookups", err)
	}
}

// Failed lookups are not cached, and one organization has at most a quarter of the limit.
func TestLookupsByDefault(t *testing.T) {
	t.Parallel()
	var asked int
	s := edge.NewLookups(nil, time.Now, func(context.Context, string) (controlplane.GitHubAccount,
		error) {
		asked++
		return controlplane.GitHubAccount{},
			controlplane.Invalid("/login", "login-unknown", "x", "y")
	})
	for range 3 {
		if _, err := s.LookUp(t.Context(), "org_1", "", "nobody"); !controlplane.HasCode(err,
			"login-unknown") {
			t.Fatalf("LookUp = %v, want login-unknown", err)
		}
	}
	if asked != 3 {
		t.Errorf("GitHub got %d requests, want 3", asked)
	}
	l := controlplane.DefaultLimits()
	if most := l.AllLookups.Calls / 4; l.OrganizationLookups.Calls > most ||
		l.PersonLookups.Calls > most || l.AllLookups.Window != l.OrganizationLookups.Window {
		t.Errorf("an organization has %d lookups and a person %d, want at most a quarter of %d",
			l.OrganizationLookups.Calls, l.PersonLookups.Calls, l.AllLookups.Calls)
	}
}
