package lifecycle_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// many inserts n active domains whose renewal is due now.
func (w *world) many(n int) {
	w.t.Helper()
	w.exec(`ALTER TABLE domains DISABLE TRIGGER USER`)
	w.exec(`INSERT INTO domains (id, org_id, name, cname_target, status, certificate_id, expires_at, renew_at)
		SELECT 'dom_' || lpad(i::text, 26, '0'), $1, 'd' || i || '.example.com', md5(i::text), 'active', 'crt_x', $2::timestamptz + interval '30 days', $2
		FROM generate_series(1, $3::int) i`, w.org, start, n)
	w.exec(`ALTER TABLE domains ENABLE TRIGGER USER`)
}

// Concurrent sweeps add one job per domain, also in several batches.
func TestConcurrentSweepsQueueEachRenewalOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.many(1100)
	var total atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			n, err := w.Sweep(t.Context())
			if err != nil {
				t.Error(err)
			}
			total.Add(int64(n))
		})
	}
	wg.Wait()
	if n := value[int](w,
		`SELECT count(DISTINCT domain_id) FROM jobs WHERE type = 'renewal' AND queue = 'bulk' AND run_at = $1`, start); n != 1100 || total.Load() != 1100 {
		t.Errorf("%d domains have a job, and %d were counted", n, total.Load())
	}
	if n, err := w.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("another Sweep = %d, %v, want 0", n, err)
	}
}

func TestSweepSpreadsByItsConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *lifecycle.Config) { c.SweepSpread = 0 })
	w.many(50)
	if n, err := w.Sweep(t.Context()); n != 50 || err != nil {
		t.Fatalf("Sweep = %d, %v, want 50", n, err)
	}
	if n := value[int](w,
		`SELECT count(*) FROM jobs WHERE run_at BETWEEN $1 AND $1::timestamptz + interval '1 minute'`, start); n != 50 {
		t.Errorf("%d of 50 jobs are due within a minute", n)
	}
	if s := value[time.Duration](w,
		`SELECT max(run_at) - min(run_at) FROM jobs`); s < 20*time.Second {
		t.Errorf("jobs are spread over %s", s)
	}
}

func TestDailyScanFindsLostRenewals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.many(3)
	if n, err := w.Sweep(t.Context()); n != 3 || err != nil {
		t.Fatalf("Sweep = %d, %v, want 3", n, err)
	}
	w.exec(`DELETE FROM jobs WHERE domain_id LIKE '%1'`)
	if n, err := w.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("Sweep = %d, %v, want 0", n, err)
	}
	if n, err := w.DailyScan(t.Context()); n != 1 || err != nil {
		t.Errorf("DailyScan = %d, %v", n, err)
	}
	if n, err := w.DailyScan(t.Context()); n != 0 || err != nil {
		t.Errorf("second DailyScan = %d, %v, want 0", n, err)
	}
}

// A renewal replaces the certificate when it is issued, and not before.
func TestRenewalReplacesTheCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	w.clock.set(*d.RenewAt)
	if n, err := w.Sweep(t.Context()); n != 1 || err != nil {
		t.Fatalf("Sweep = %d, %v, want 1", n, err)
	}
	started, proceed := w.blocked()
	j := w.job(d, controlplane.JobRenewal)
	done := make(chan error, 1)
	go func() { done <- w.RunJob(t.Context(), j.ID, j.Generation) }()
	soon(t, "the renewal to start", started)
	if now := w.domain(d); now.CertificateID != d.CertificateID ||
		now.Status != controlplane.DomainActive {
		t.Errorf("domain = %+v, want it active with its certificate", now)
	}
	close(proceed)
	must(t, soon(t, "the renewal", done))
	now := w.domain(d)
	if now.CertificateID == d.CertificateID || now.RenewAt.Sub(*d.RenewAt) != 60*day {
		t.Errorf("domain = %+v, want a new certificate, renewed 60 days later", now)
	}
	if n := w.count(d.ID, controlplane.ActionRenewed); n != 1 {
		t.Errorf("%d renewals in the log, want 1", n)
	}
	if n, err := w.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("another Sweep = %d, %v, want 0", n, err)
	}
}

func TestNextScanIsMidnightUTC(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"2026-03-01T00:00:00Z":      "2026-03-02T00:00:00Z",
		"2026-03-01T23:59:59Z":      "2026-03-02T00:00:00Z",
		"2026-03-01T23:30:00-05:00": "2026-03-03T00:00:00Z",
		"2026-12-31T12:00:00+14:00": "2026-12-31T00:00:00Z",
	} {
		at, err := time.Parse(time.RFC3339, in)
		must(t, err)
		if got := lifecycle.NextScan(at).Format(time.RFC3339); got != want {
			t.Errorf("NextScan(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestTidyRemovesExpiredRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	w.exec(`INSERT INTO acme_orders (id, org_id, domain_id, job_id, ca, step, names, target, key_type, csr) SELECT 'ord_x', org_id, id, '', '', 'published', '{}', cname_target, '', '' FROM domains`)
	w.exec(`INSERT INTO challenges (target, value, org_id, domain_id, order_id, expires_at) SELECT cname_target, v, org_id, id, 'ord_x', $1::timestamptz + (v || ' minutes')::interval FROM domains, unnest('{1,3}'::text[]) v`, start)
	w.clock.add(2 * time.Minute)
	must(t, w.Tidy(t.Context()))
	if v := value[string](w, `SELECT string_agg(value, ' ') FROM challenges`); v != "3" {
		t.Errorf("challenges of %s = %q", d.Name, v)
	}
}
