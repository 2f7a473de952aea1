package postgres_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// A domain is stored with the state of its summary, for which it is found and counted.
func TestAttentionIsStored(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, _ := d.add(d.org, "example.com")
	count := func() int {
		t.Helper()
		c, _, err := d.CountDomains(t.Context(), d.org, postgres.DomainFilter{})
		d.must(err)
		page, _, err := d.ListDomains(t.Context(), d.org,
			postgres.DomainFilter{Attention: true, Limit: 5})
		d.must(err)
		if len(page) != c.Attention {
			t.Errorf("%d domains listed, want the %d that are counted", len(page), c.Attention)
		}
		return c.Attention
	}
	for _, c := range []struct {
		reason controlplane.Reason
		want   int
	}{{controlplane.CauseCNAMEMissing, 0}, {controlplane.CauseCNAMEMismatch, 1},
		{controlplane.CauseCNAMEMissing, 0}} {
		dom.SetCondition(controlplane.Condition{Type: controlplane.DNSReady,
			Status: controlplane.ConditionFalse, Reason: c.reason, NextCheckAt: &start})
		d.must(d.SaveDomain(t.Context(), dom, start))
		if got := count(); got != c.want {
			t.Errorf("%d domains need attention with %s, want %d", got, c.reason, c.want)
		}
	}
}

func TestCountDomains(t *testing.T) {
	t.Parallel()
	d := open(t)
	const active = postgres.DomainsCounted + 5
	d.fill(d.org, active, "created_at, labels, summary_state",
		`now(), CASE WHEN n % 100 = 7 THEN '{"team": "web"}' ELSE '{}' END::jsonb, CASE WHEN n % 1000 = 7 THEN 'at_risk' ELSE 'active' END`)
	d.exec(`UPDATE domains SET status = 'error', summary_state = 'blocked' WHERE name LIKE 'd10_.example.com'`)
	d.exec(`UPDATE domains SET status = 'issuing' WHERE name = 'd3.example.com'`)
	d.delegate()
	d.exec(`UPDATE organizations SET domain_count = $2 WHERE id = $1`, d.org, active)
	d.exec(`VACUUM ANALYZE domains, delegations, domain_delegations`)
	const beyond = postgres.DomainsCounted + 1
	for _, c := range []struct {
		filter         postgres.DomainFilter
		all, attention int
		failed, active int
	}{
		{postgres.DomainFilter{}, beyond, 20, 10, active - 11},
		{postgres.DomainFilter{Status: controlplane.DomainError, Attention: true}, beyond, 20, 10,
			active - 11},
		{postgres.DomainFilter{Label: "team=web"}, 100, 11, 1, 99},
		{postgres.DomainFilter{Query: "d10"}, 117, 11, 10, 107},
		{postgres.DomainFilter{Query: "d10", Label: "team"}, 2, 2, 1, 1},
		{postgres.DomainFilter{Query: "absent"}, 0, 0, 0, 0},
	} {
		got, complete, err := d.CountDomains(t.Context(), d.org, c.filter)
		d.must(err)
		if !complete || got.All != c.all || got.Attention != c.attention ||
			got.ByStatus[controlplane.DomainError] != c.failed ||
			got.ByStatus[controlplane.DomainActive] != min(c.active, beyond) {
			t.Errorf("CountDomains(%+v) = %+v, %v, want %+v", c.filter, got, complete, c)
		}
	}
	if got, complete, err := d.CountDomains(t.Context(), d.org,
		postgres.DomainFilter{Query: "example"}); err != nil || complete || got.All != beyond {
		t.Errorf("CountDomains(example) = %+v, %v, %v, want %d, incomplete", got, complete, err,
			beyond)
	}
	plan, err := d.ExplainDomains(t.Context(), d.org,
		postgres.DomainFilter{Attention: true, Sort: "expires_at", Limit: 50})
	d.must(err)
	if n := blocks(plan); !strings.Contains(plan, "domains_attention") || n > 200 {
		t.Errorf("the filter does not read by domains_attention, and touches %d blocks:\n%s", n,
			plan)
	}
}

// The page before a domain is the one that a reader came from.
func TestListDomainsBackwards(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.fill(d.org, 25, "created_at, expires_at",
		`now() - n * interval '1 minute', CASE WHEN n < 20 THEN now() + n % 4 * interval '1 hour' END`)
	d.delegate()
	names := func(page []controlplane.Domain) (all []string) {
		for _, one := range page {
			all = append(all, one.Name)
		}
		return all
	}
	for _, sort := range []string{"created_at", "-created_at", "name", "-name", "expires_at",
		"-expires_at"} {
		f := postgres.DomainFilter{Sort: sort, Limit: 10}
		first, next, err := d.ListDomains(t.Context(), d.org, f)
		d.must(err)
		f.After = next
		second, next, err := d.ListDomains(t.Context(), d.org, f)
		d.must(err)
		f.After = next
		third, _, err := d.ListDomains(t.Context(), d.org, f)
		d.must(err)
		back := postgres.DomainFilter{Sort: sort, Limit: 10, Before: f.DomainPosition(third[0])}
		page, before, err := d.ListDomains(t.Context(), d.org, back)
		d.must(err)
		if !slices.Equal(names(page), names(second)) || before == nil {
			t.Errorf("%s: page before the third = %q, %v, want %q", sort, names(page), before,
				names(second))
		}
		back.Before = before
		page, before, err = d.ListDomains(t.Context(), d.org, back)
		d.must(err)
		if !slices.Equal(names(page), names(first)) || before != nil {
			t.Errorf("%s: page before the second = %q, %v, want %q", sort, names(page), before,
				names(first))
		}
	}
}
