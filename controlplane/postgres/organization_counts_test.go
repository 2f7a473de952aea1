package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// The certificates of an organization with many domains are counted at the first view, and then by
// Recount. Those of others are counted at each view.
func TestCountsOfALargeOrganization(t *testing.T) {
	t.Parallel()
	d := open(t)
	n := 0
	issue := func() {
		n++
		d.certified(d.org, fmt.Sprintf("d%d.example.com", n), 90*day, postgres.RenewalWatch{})
	}
	size := func(domains int) {
		d.exec(`UPDATE organizations SET domain_count = $2 WHERE id = $1`, d.org, domains)
	}
	want := func(when string, at time.Time, want int, counted time.Time) {
		t.Helper()
		o, err := d.Organization(t.Context(), d.org)
		d.must(err)
		got, err := d.Counts(t.Context(), o, at)
		if d.must(err); got.Certificates != want {
			t.Errorf("Counts %s: %d certificates, want %d", when, got.Certificates, want)
		}
		c, err := d.Calendar(t.Context(), o, at)
		d.must(err)
		listed := 0
		for _, w := range c.Weeks {
			listed += w.Count
		}
		if listed != want || !c.CountedAt.Equal(counted) {
			t.Errorf("Calendar %s: %d certificates, counted at %s, want %d, %s", when, listed,
				c.CountedAt, want, counted)
		}
	}
	recount := func(at time.Time, want int) {
		t.Helper()
		if n, err := d.Recount(t.Context(), at); n != want || err != nil {
			t.Errorf("Recount(%s) = %d, %v, want %d", at, n, err, want)
		}
	}
	now := postgres.CalendarStart(start).Add(24 * time.Hour)
	issue()
	size(controlplane.CountedLive)
	want("with few domains", now, 1, now)
	recount(now, 0)
	size(controlplane.CountedLive + 1)
	want("at the first view", now, 1, now)
	issue()
	later := now.Add(controlplane.RecountEvery)
	want("later", later, 1, now)
	recount(later, 0)
	later = later.Add(time.Second)
	recount(later, 1)
	want("after Recount", later, 2, later)
	issue()
	want("in the next week", now.Add(7*day), 3, now.Add(7*day))
	issue()
	want("long after Recount", now.Add(7*day+time.Hour+time.Second), 4,
		now.Add(7*day+time.Hour+time.Second))
	issue()
	size(controlplane.CountedLive)
	recount(now.Add(14*day), 0)
	want("with few domains again", now.Add(8*day), 5, now.Add(8*day))
	if n := value[int](d, `SELECT count(*) FROM organization_counts`); n != 0 {
		t.Errorf("%d rows of counts are left of an organization with few domains, want 0", n)
	}
}

func TestCalendarStart(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"2026-11-22T23:59:59Z": "2026-11-16",
		"2026-11-23T00:00:00Z": "2026-11-23", "2026-11-25T12:00:00+09:00": "2026-11-23"} {
		at, err := time.Parse(time.RFC3339, in)
		if got := postgres.CalendarStart(at).Format(time.DateOnly); err != nil || got != want {
			t.Errorf("CalendarStart(%s) = %s, want %s", in, got, want)
		}
	}
}
