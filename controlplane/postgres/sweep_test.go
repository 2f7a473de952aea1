package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// due stores n domains that are due for renewal at start.
func (d *db) due(n int) []*controlplane.Domain {
	d.t.Helper()
	out := make([]*controlplane.Domain, n)
	for i := range out {
		out[i], _ = d.add(d.org, fmt.Sprintf("due%d.example.com", i))
		d.active(out[i], start.Add(time.Duration(i-n)*time.Second))
	}
	return out
}

const renewals = `SELECT count(*) FROM jobs WHERE type = 'renewal'`

// Concurrent sweeps create one job for each domain.
func TestQueueRenewalsConcurrently(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.due(60)
	stores := []*postgres.Store{d.Store, d.replica(), d.replica()}
	var total count
	atOnce(len(stores), func(i int) {
		for idle := 0; idle < 3; {
			n, err := stores[i].QueueRenewals(t.Context(), start, 7, time.Minute)
			if err != nil {
				t.Error(err)
			}
			if total.Add(int64(n)); n == 0 {
				idle++
			}
		}
	})
	if total.Load() != 60 {
		t.Errorf("%d renewals were counted", total.Load())
	}
	if n := value[int](d,
		`SELECT count(DISTINCT domain_id) FROM jobs WHERE type = 'renewal' AND status = 'queued' AND queue = 'bulk' AND id LIKE 'job_%'`); n != 60 {
		t.Errorf("%d domains have a job", n)
	}
	if n := value[int](d, renewals); n != 60 {
		t.Errorf("there are %d jobs", n)
	}
}

func TestQueueRenewalsInBatchesAndOrderOfUrgency(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.due(10)
	for _, want := range []int{4, 4, 2, 0} {
		if n, err := d.QueueRenewals(t.Context(), start, 4, 0); n != want || err != nil {
			t.Fatalf("a batch of %d, %v, want %d", n, err, want)
		}
		if want == 4 {
			if n := value[int](d,
				`SELECT count(*) FROM domains a JOIN domains b ON a.renewal_queued AND NOT b.renewal_queued AND a.renew_at > b.renew_at`); n != 0 {
				t.Error("something less urgent was taken first")
			}
		}
	}
}

// Overdue renewals are not delayed by the spread, and keep their order.
func TestQueueRenewalsKeepsTheOrderOfOverdueRenewals(t *testing.T) {
	t.Parallel()
	d := open(t)
	late := d.due(10)
	for i, dom := range late {
		d.active(dom, start.Add(time.Duration(i-20)*time.Minute))
	}
	if n, err := d.QueueRenewals(t.Context(), start, 100, 15*time.Minute); n != 10 || err != nil {
		t.Fatalf("QueueRenewals = %d, %v, want 10", n, err)
	}
	if n := value[int](d,
		`SELECT count(*) FROM jobs j JOIN domains d ON d.id = j.domain_id WHERE j.type = 'renewal' AND j.run_at = d.renew_at`); n != 6 {
		t.Errorf("%d of the 6 that are late run at their own time", n)
	}
	if n := value[int](d, `SELECT count(*) FROM jobs WHERE type = 'renewal' AND run_at >= $1`,
		start); n != 4 {
		t.Errorf("%d of the 4 others are put off", n)
	}
}

func TestQueueRenewalsIsSpread(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.due(60)
	const spread = 10 * time.Minute
	if n, err := d.QueueRenewals(t.Context(), start, 100, spread); n != 60 || err != nil {
		t.Fatalf("QueueRenewals = %d, %v, want 60", n, err)
	}
	if n := value[int](d, renewals+` AND run_at BETWEEN $1 AND $1::timestamptz + $2::interval`,
		start, spread); n != 60 {
		t.Errorf("%d of 60 jobs run within the spread", n)
	}
	if s := value[time.Duration](d,
		`SELECT max(run_at) - min(run_at) FROM jobs WHERE type = 'renewal'`); s < spread/2 {
		t.Errorf("the jobs lie within %s", s)
	}
}

func TestQueueRenewalsWithoutSpreadRunsAtOnce(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.due(3)
	if n, err := d.QueueRenewals(t.Context(), start, 100, 0); n != 3 || err != nil {
		t.Fatalf("QueueRenewals = %d, %v, want 3", n, err)
	}
	if n := value[int](d, renewals+` AND run_at <= $1 AND created_at = $1`, start); n != 3 {
		t.Errorf("%d of 3 jobs run at once", n)
	}
}

func TestQueueRenewalsTakesOnlyDueDomains(t *testing.T) {
	t.Parallel()
	d := open(t)
	for name, change := range map[string]func(*controlplane.Domain){
		"not due yet": func(dom *controlplane.Domain) {
			d.active(dom,
				start.Add(time.Microsecond))
		},
		"waiting for its CNAME": func(dom *controlplane.Domain) {
			d.active(dom, start)
			d.exec(`UPDATE domains SET status = 'pending_cname' WHERE id = $1`, dom.ID)
		},
		"renewal off": func(dom *controlplane.Domain) {
			dom.AutoRenew = false
			d.active(dom,
				start)
		},
		"never issued": func(*controlplane.Domain) {},
	} {
		dom, _ := d.add(d.org, strings.ReplaceAll(name, " ", "-")+".example.com")
		change(dom)
	}
	busy, _ := d.add(d.org, "busy.example.com")
	d.active(busy, start)
	open := d.newJobOf(busy, controlplane.JobStartIssuance)
	if n, err := d.QueueRenewals(t.Context(), start, 100, 0); n != 1 || err != nil {
		t.Errorf("%d were taken, %v", n, err)
	}
	if n := value[int](d, `SELECT count(*) FROM jobs WHERE slot = 'certificate'`); n != 1 {
		t.Errorf("beside open work there are %d jobs; %s was there", n, open.ID)
	}
}

// The daily scan finds a domain that is marked as queued and has no job.
func TestResetRenewals(t *testing.T) {
	t.Parallel()
	d := open(t)
	doms := d.due(4)
	if n, err := d.QueueRenewals(t.Context(), start, 100, 0); n != 4 || err != nil {
		t.Fatalf("QueueRenewals = %d, %v, want 4", n, err)
	}
	d.exec(`UPDATE jobs SET status = 'failed' WHERE type = 'renewal' AND domain_id = $1`,
		doms[0].ID)
	d.exec(`DELETE FROM jobs WHERE type = 'renewal' AND domain_id = $1`, doms[1].ID)
	// its certificate has expired
	d.exec(`UPDATE domains SET status = 'error' WHERE id = $1`, doms[1].ID)
	d.exec(`UPDATE domains SET auto_renew = false WHERE id = $1`, doms[2].ID)
	d.exec(`DELETE FROM jobs WHERE type = 'renewal' AND domain_id = $1`, doms[2].ID)
	if n, err := d.ResetRenewals(t.Context(), start); n != 2 || err != nil {
		t.Errorf("%d were reset, %v", n, err)
	}
	if n, err := d.QueueRenewals(t.Context(), start, 100, 0); n != 2 || err != nil {
		t.Errorf("then %d were queued, %v", n, err)
	}
	if n, err := d.ResetRenewals(t.Context(), start); n != 0 || err != nil {
		t.Errorf("a second time %d were reset, %v", n, err)
	}
}

func TestSweepChallengesRemovesWhatExpired(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, j := d.add(d.org, "example.com")
	c := d.claim(j, "w")
	o := d.order(c)
	for v, ttl := range map[string]time.Duration{"old": time.Minute, "live": time.Hour} {
		o.Values = txtAt(o, v)
		d.must(d.PublishChallenges(t.Context(), c, o, start.Add(ttl), start))
	}
	at := start.Add(time.Minute)
	if _, values, err := d.LookupTarget(t.Context(), dom.Target, at); len(values) != 1 ||
		values[0].Value != "live" || err != nil {
		t.Errorf("an expired value is answered: %+v, %v", values, err)
	}
	d.must(d.SweepChallenges(t.Context(), at))
	if v := value[string](d, `SELECT string_agg(value, ' ') FROM challenges`); v != "live" {
		t.Errorf("left: %s", v)
	}
}

// Checks that are due together are spread over the next interval, and keep their points in it.
func TestRehearsalsAreSpread(t *testing.T) {
	t.Parallel()
	const n, hours = 2400, 24
	d := open(t)
	d.fill(d.org, n, "rehearse_at, rehearse_every", "timestamptz '2026-02-27', '1 day'")
	for range 3 {
		if got, err := d.QueueRehearsals(t.Context(), start, n/2, 0); err != nil ||
			got != n/2 && got != 0 {
			t.Fatalf("QueueRehearsals = %d, %v, want %d", got, err, n/2)
		}
	}
	for hour := range hours {
		from := start.Add(time.Duration(hour) * time.Hour)
		got := value[int](d, `SELECT count(*) FROM domains WHERE rehearse_at > $1 AND rehearse_at <= $2`,
			from, from.Add(time.Hour))
		if got < n/hours/2 || got > 2*n/hours {
			t.Errorf("checks in hour %d = %d, want about %d", hour, got, n/hours)
		}
	}
	// Each is due again a day later. renew_at keeps the expected time.
	d.exec(`UPDATE domains SET renew_at = rehearse_at + interval '1 day'`)
	for hour := range hours {
		if _, err := d.QueueRehearsals(t.Context(),
			start.Add(time.Duration(hour+1)*time.Hour), n, 0); err != nil {
			t.Fatal(err)
		}
	}
	if moved := value[int](d, `SELECT count(*) FROM domains
		WHERE abs(extract(epoch FROM rehearse_at - renew_at)) > 0.001`); moved != 0 {
		t.Errorf("checks that are not due a day after the previous one = %d, want 0", moved)
	}
}

// An organization with a backlog does not delay the renewal information of another.
func TestRenewalChecksTakeTurns(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.fill(d.org, 300, "certificate_id, ari_check_at", "'crt_' || n, timestamptz '2026-02-27'")
	other := d.organization(10)
	d.fill(other, 5, "certificate_id, ari_check_at", "'crt_' || n, timestamptz '2026-02-28'")
	d.exec(`INSERT INTO certificates (id, org_id, domain_id, order_id, names, serial, issuer, ca, key_type, not_before, not_after, fingerprint_sha256, chain_pem)
		SELECT certificate_id || org_id, org_id, id, id, '{}', '', '', '', '', now(), now(), '', '' FROM domains`)
	d.exec(`UPDATE domains SET certificate_id = certificate_id || org_id`)
	due, err := d.DueRenewalChecks(t.Context(), start, start.Add(time.Hour), 20)
	if err != nil || len(due) != 20 {
		t.Fatalf("DueRenewalChecks = %d, %v, want 20", len(due), err)
	}
	turns := 0
	for _, r := range due {
		if r.OrgID == other {
			turns++
		}
	}
	if turns != 5 {
		t.Errorf("checks of the other organization in the first batch = %d, want all 5", turns)
	}
	total := len(due)
	for len(due) > 0 {
		if due, err = d.DueRenewalChecks(t.Context(), start, start.Add(time.Hour), 20); err != nil {
			t.Fatal(err)
		}
		total += len(due)
	}
	if total != 305 {
		t.Errorf("DueRenewalChecks returned %d checks in all, want each of 305 once", total)
	}
}
