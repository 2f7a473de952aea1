package soak

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// orders returns how many orders were placed, and the minimum.
func (w *world) orders() (made, minimum int) {
	for _, a := range w.cas {
		made += a.tally.orders
	}
	rows, err := w.own.Query(w.t.Context(),
		`SELECT d.name, d.profile, min(c.created_at) AS first FROM domains d JOIN certificates c ON c.domain_id = d.id GROUP BY d.name, d.profile`)
	must(w.t, err)
	type domain struct {
		Name, Profile string
		First         time.Time
	}
	domains, err := pgx.CollectRows(rows, pgx.RowToStructByName[domain])
	must(w.t, err)
	for _, d := range domains {
		minimum += w.scenario.fewest(w.dns.subjects[d.Name], d.First)
	}
	return made, minimum
}

// fewest returns the least number of orders that keep a domain's certificate valid from the first
// one on, if each renewal is as late as the rule allows.
func (s *scenario) fewest(d *subject, first time.Time) int {
	n := 1
	for at := first; ; n++ {
		next := dueAt(at.Add(-backdated), lives[d.profile])
		if call := s.call(d, at, next); !call.IsZero() {
			next = call
		}
		if !next.Before(s.end) {
			return n
		}
		at = next
	}
}

// call returns the first time after from and before to at which the domain's CA requested an
// immediate renewal, or the zero time.
func (s *scenario) call(d *subject, from, to time.Time) time.Time {
	for _, f := range s.faults {
		if f.kind == renewNow && d.ca == "primary" && f.from.After(from) && f.from.Before(to) &&
			s.forced(d.name, f.from).Equal(f.from) {
			return f.from
		}
	}
	return time.Time{}
}

func TestFewest(t *testing.T) {
	t.Parallel()
	s := scenario{end: start.Add(400 * day),
		faults: []fault{{renewNow, span{start.Add(10 * day), start.Add(10 * day)}}}}
	called, spared := "a.example", "b.example"
	for pick(called, 0, 3) != 0 {
		called = "a" + called
	}
	for pick(spared, 0, 3) == 0 {
		spared = "b" + spared
	}
	for _, tt := range []struct {
		name, profile, ca string
		want              int
	}{
		// after 60, 120, … 360 days, each an hour earlier
		{spared, "classic", "primary", 1 + 6},
		// the backup never requests renewals
		{called, "classic", "backup", 1 + 6},
		{spared, "tlsserver", "primary", 1 + 13},         // after 30, … 390
		{spared, "shortlived", "primary", 1 + 400*24/71}, // every three days, less an hour
		{called, "classic", "primary", 1 + 1 + 6},        // after 10, and 70, … 370
		// three until day 9, one on day 10, and every 71 hours from then on
		{called, "shortlived", "primary", 1 + 3 + 1 + 390*24/71},
	} {
		if got := s.fewest(&subject{name: tt.name, profile: tt.profile, ca: tt.ca},
			start); got != tt.want {
			t.Errorf("fewest(%s, %s, %s) = %d, want %d", tt.name, tt.profile, tt.ca, got, tt.want)
		}
	}
}
