package postgres_test

import (
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// A due check is taken once, in batches, by any replica, and is due again after the lease.
func TestDueRenewalChecksAreTakenOnce(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, name := range []string{"a.example.com", "b.example.com", "c.example.com"} {
		d.certified(d.org, name, 90*day, postgres.RenewalWatch{Draw: 0.25, CheckAt: start})
	}
	d.certified(d.org, "later.example.com", 90*day,
		postgres.RenewalWatch{Draw: 0.25, CheckAt: start.Add(time.Second)})
	d.certified(d.org, "off.example.com", 90*day, postgres.RenewalWatch{CheckAt: start})
	d.exec(`UPDATE domains SET auto_renew = false WHERE name = 'off.example.com'`)
	var mu sync.Mutex
	taken := map[string]int{}
	stores := []*postgres.Store{d.Store, d.replica()}
	ask := func(s *postgres.Store, now time.Time) int {
		due, err := s.DueRenewalChecks(t.Context(), now, now.Add(10*time.Minute), 2)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, r := range due {
			taken[r.ARIID]++
			if r.OrgID != d.org || r.CA != "primary" || r.Draw != 0.25 ||
				!r.NotBefore.Equal(start) || !r.NotAfter.Equal(start.Add(90*day)) {
				t.Errorf("DueRenewalChecks returned %+v, want the certificate of its domain", r)
			}
		}
		return len(due)
	}
	atOnce(4, func(i int) { ask(stores[i%2], start) })
	for ask(d.Store, start) > 0 {
	}
	if len(taken) != 3 || taken["ari-a.example.com"] != 1 || taken["ari-b.example.com"] != 1 ||
		taken["ari-c.example.com"] != 1 {
		t.Errorf("taken: %v", taken)
	}
	if n := ask(d.Store, start.Add(9*time.Minute)); n != 1 { // the later one
		t.Errorf("%d within the lease", n)
	}
}

func TestRenewalInfoIsForTheCurrentCertificate(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, cert := d.certified(d.org, "example.com", 90*day,
		postgres.RenewalWatch{Draw: 0.5, CheckAt: start})
	r := postgres.RenewalCheck{OrgID: d.org, DomainID: dom.ID, CertificateID: cert.ID}
	window := controlplane.RenewalInfo{WindowStart: start.Add(50 * day),
		WindowEnd: start.Add(52 * day), CheckedAt: start, CheckAgainAt: start.Add(time.Hour)}
	d.must(d.SaveRenewalInfo(t.Context(), r, window))
	state := func() string {
		return value[string](d,
			`SELECT concat_ws(' ', extract(day FROM ari_start - $1), extract(day FROM ari_end - $1), extract(hour FROM ari_checked_at - $1), extract(hour FROM ari_check_at - $1)) FROM domains`, start)
	}
	if got := state(); got != "50 52 0 1" {
		t.Errorf("saved: %s", got)
	}
	// Renewal information without a window keeps the earlier window.
	d.must(d.SaveRenewalInfo(t.Context(), r,
		controlplane.RenewalInfo{CheckedAt: start.Add(time.Hour),
			CheckAgainAt: start.Add(2 * time.Hour)}))
	if got := state(); got != "50 52 1 2" {
		t.Errorf("without a window: %s", got)
	}
	for what, other := range map[string]postgres.RenewalCheck{
		"another certificate":  {OrgID: d.org, DomainID: dom.ID, CertificateID: "crt_x"},
		"another organization": {OrgID: "org_x", DomainID: dom.ID, CertificateID: cert.ID},
	} {
		d.must(d.SaveRenewalInfo(t.Context(), other, window))
		d.must(d.StopRenewalChecks(t.Context(), other))
		if got := state(); got != "50 52 1 2" {
			t.Errorf("for %s: state = %s, want it unchanged", what, got)
		}
	}
	d.must(d.StopRenewalChecks(t.Context(), r))
	if due, err := d.DueRenewalChecks(t.Context(), start.Add(99*day), start, 10); len(due) != 0 ||
		err != nil {
		t.Errorf("DueRenewalChecks after StopRenewalChecks = %+v, %v, want none", due, err)
	}
	// The next certificate starts with empty renewal information.
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.BeginRenewalWatch(t.Context(), d.org, dom.ID,
			postgres.RenewalWatch{Draw: 0.1, CheckAt: start.Add(3 * time.Hour)})
	}))
	if got := state(); got != "3" {
		t.Errorf("the next one: %q", got)
	}
}

// The checks are due at the interval of the RenewalWatch.
func TestQueueRehearsalsAtTheirInterval(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, _ := d.certified(d.org, "short.example.com", 6*day,
		postgres.RenewalWatch{RehearseAt: start, RehearseEvery: 12 * time.Hour})
	d.certified(d.org, "long.example.com", 90*day,
		postgres.RenewalWatch{RehearseAt: start.Add(time.Hour), RehearseEvery: day})
	if n, err := d.QueueRehearsals(t.Context(), start, 10, 0); n != 1 || err != nil {
		t.Fatalf("QueueRehearsals = %d, %v, want 1", n, err)
	}
	next := func() time.Time {
		return value[time.Time](d, `SELECT rehearse_at FROM domains WHERE id = $1`, dom.ID)
	}
	at := next()
	if !at.After(start) || at.After(start.Add(12*time.Hour)) {
		t.Errorf("after the first check, the next is due at %s, want within 12 hours of %s", at,
			start)
	}
	if n := value[int](d,
		`SELECT count(*) FROM jobs WHERE type = 'dns_check' AND queue = 'bulk' AND status = 'queued' AND run_at = $1`, start); n != 1 {
		t.Errorf("%d jobs", n)
	}
	// A check that is still open is not queued twice.
	if n, err := d.QueueRehearsals(t.Context(), start.Add(12*time.Hour), 10, 0); n != 2 ||
		err != nil {
		t.Fatalf("QueueRehearsals 12 hours later = %d, %v, want 2", n, err)
	}
	if n := value[int](d,
		`SELECT count(*) FROM jobs WHERE type = 'dns_check' AND status = 'queued'`); n != 2 {
		t.Errorf("%d jobs", n)
	}
	if _, err := d.QueueRehearsals(t.Context(), at.Add(12*time.Hour+time.Minute), 10,
		0); err != nil {
		t.Fatal(err)
	}
	if got := next(); got.Sub(at.Add(24*time.Hour)).Abs() > time.Millisecond {
		t.Errorf("after the check at its point, the next is due at %s, want %s", got,
			at.Add(24*time.Hour))
	}
}
