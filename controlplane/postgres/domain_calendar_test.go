package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

func TestEndingWeeks(t *testing.T) {
	t.Parallel()
	d := open(t)
	other := d.organization(10)
	n := 0
	holds := func(org string, ends, renews time.Duration, auto bool) {
		n++
		dom, _ := d.add(org, fmt.Sprintf("d%d.example.com", n))
		d.exec(`UPDATE domains SET certificate_id = 'crt_x', expires_at = $2, renew_at = $3, last_issued_at = $4, auto_renew = $5 WHERE id = $1`,
			dom.ID, start.Add(ends), start.Add(renews), start.Add(ends-90*day), auto)
	}
	holds(d.org, 80*day, 50*day, true)
	holds(d.org, 81*day, 51*day, true)
	holds(d.org, 20*day, 2*time.Hour, true) // failed and postponed: late
	holds(d.org, 20*day, 2*time.Hour, false)
	holds(d.org, -3*day, -time.Hour, true)
	holds(d.org, 7*day-time.Second, 500*day, true)
	holds(d.org, 400*day, 300*day, true)
	holds(other, 80*day, 50*day, true)
	d.add(d.org, "none.example.com")
	dom, _ := d.add(d.org, "held.example.com")
	d.exec(`UPDATE domains SET certificate_id = 'crt_x', expires_at = $2, last_issued_at = $3 WHERE id = $1`, dom.ID, start.Add(7*day), start.Add(-time.Hour))

	got, err := d.EndingWeeks(t.Context(), d.org, start, start, 26)
	d.must(err)
	show := func(w postgres.EndingWeek) string {
		renews := "never"
		if w.Renews != nil {
			renews = fmt.Sprint(*w.Renews)
		}
		return fmt.Sprintf("%d in %d, renewed %s, ended %v, late %v", w.Count, w.Ends, renews,
			w.Ended, w.Late)
	}
	want := []string{
		"1 in 0, renewed 0, ended true, late true",
		"1 in 0, renewed 26, ended false, late true",
		"1 in 1, renewed never, ended false, late false",
		"1 in 2, renewed 0, ended false, late true",
		"1 in 2, renewed never, ended false, late false",
		"2 in 11, renewed 7, ended false, late false",
		"1 in 26, renewed 26, ended false, late false",
	}
	if len(got) != len(want) {
		t.Fatalf("%d groups, want %d: %+v", len(got), len(want), got)
	}
	for i := range want {
		if show(got[i]) != want[i] {
			t.Errorf("group %d: %s, want %s", i, show(got[i]), want[i])
		}
	}
}

// The statement and the rule agree on which renewals are late.
func TestEndingWeeksAgreeWithTheRule(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, _ := d.add(d.org, "example.com")
	for _, life := range []time.Duration{6 * day, 10*day - time.Second, 10 * day, 45 * day,
		90 * day} {
		late := controlplane.RenewalLateAt(start, start.Add(life))
		d.exec(`UPDATE domains SET certificate_id = 'crt_x', expires_at = $2, last_issued_at = $3, renew_at = $2 WHERE id = $1`, dom.ID, start.Add(life), start)
		for _, off := range []time.Duration{-time.Second, time.Second} {
			got, err := d.EndingWeeks(t.Context(), d.org, late.Add(off), start, 26)
			d.must(err)
			if len(got) != 1 || got[0].Late != (off > 0) {
				t.Errorf("%s into a life of %s: %+v", late.Add(off).Sub(start), life, got)
			}
		}
	}
}

// The few failed jobs are read through their index.
func TestListFailedJobsReadsByIndex(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, _ := d.add(d.org, "example.com")
	d.exec(`INSERT INTO jobs (id, org_id, domain_id, type, slot, status, queue, created_at)
		SELECT 'job_' || lpad(i::text, 26, '0'), $1, $2, 'dns_check', 'check', CASE WHEN i % 2000 = 0 THEN 'failed' ELSE 'succeeded' END, 'bulk', $3::timestamptz + i * interval '1 second'
		FROM generate_series(1, 20000) i`, d.org, dom.ID, start)
	d.exec(`VACUUM ANALYZE jobs`)
	filter := postgres.JobFilter{Status: controlplane.JobFailed, Limit: 50}
	if items, _, err := d.ListJobs(t.Context(), d.org, filter); err != nil || len(items) != 10 {
		t.Errorf("%d jobs, %v", len(items), err)
	}
	plan, err := d.ExplainJobs(t.Context(), d.org, filter)
	d.must(err)
	if n := blocks(plan); n > 50 {
		t.Errorf("it touches %d blocks for 10 rows:\n%s", n, plan)
	}
}

func TestReplacedCertificate(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, first := d.certified(d.org, "example.com", 90*day, postgres.RenewalWatch{})
	d.exec(`UPDATE certificates SET replaced_by = 'crt_next' WHERE id = $1`, first.ID)
	for _, tt := range []struct{ org, domain, id, want string }{
		{d.org, dom.ID, "crt_next", first.ID}, {d.org, dom.ID, first.ID, ""},
		{d.organization(1), dom.ID, "crt_next", ""},
	} {
		if got, err := d.ReplacedCertificate(t.Context(), tt.org, tt.domain, tt.id); err != nil ||
			got != tt.want {
			t.Errorf("ReplacedCertificate(%s, %s, %s) = %q, %v, want %q", tt.org, tt.domain, tt.id,
				got, err, tt.want)
		}
	}
}
