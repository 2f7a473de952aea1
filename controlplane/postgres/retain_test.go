package postgres_test

import (
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// Finished jobs are removed by their status and age, in batches. Open jobs and those of deliveries
// stay.
func TestRemoveJobsOfAnOrganization(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, _ := d.add(d.org, "example.com")
	d.exec(`INSERT INTO jobs (id, org_id, domain_id, type, slot, status, queue, updated_at)
		SELECT 'job_' || n, $1, $2, 'renewal', 'x' || n, (ARRAY['succeeded', 'failed', 'queued'])[1 + n % 3], 'bulk',
			$3::timestamptz - n * interval '1 day'
		FROM generate_series(0, 59) n`, d.org, dom.ID, start)
	before := start.Add(-30 * day)
	for _, want := range []int{8, 1, 0} {
		if n, err := d.RemoveJobs(t.Context(), controlplane.JobSucceeded, before,
			8); n != want || err != nil {
			t.Errorf("RemoveJobs of succeeded jobs = %d, %v, want %d", n, err, want)
		}
	}
	if n, err := d.RemoveJobs(t.Context(), controlplane.JobFailed, start.Add(-59*day),
		8); n != 0 || err != nil {
		t.Errorf("RemoveJobs of failed jobs = %d, %v, want 0", n, err)
	}
	if n := value[int](d, `SELECT count(*) FROM jobs WHERE id LIKE 'job\__' OR id LIKE 'job\___'`); n != 51 {
		t.Errorf("jobs = %d, want the 51 others", n)
	}
}

// The key and the CSR of an order are removed when it ends, and those that an earlier version kept
// are removed later.
func TestOrderSecretsOfAnOrganization(t *testing.T) {
	t.Parallel()
	d := open(t)
	_, j := d.add(d.org, "example.com")
	o := d.order(d.claim(j, "w"))
	const secrets = `SELECT count(*) FROM acme_orders WHERE csr <> '' OR sealed_key IS NOT NULL`
	if n, err := d.RemoveOrderSecrets(t.Context(), 10); n != 0 || err != nil {
		t.Errorf("RemoveOrderSecrets during an order = %d, %v, want 0", n, err)
	}
	d.exec(`UPDATE acme_orders SET csr = 'csr', sealed_key = 'key'`)
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.CloseOrder(t.Context(), o, controlplane.StepFailed, "x", "y", start)
	}))
	if n := value[int](d, secrets); n != 0 {
		t.Errorf("orders with secrets after CloseOrder = %d, want 0", n)
	}
	d.exec(`UPDATE acme_orders SET csr = 'csr', sealed_key = 'key'`)
	if n, err := d.RemoveOrderSecrets(t.Context(), 10); n != 1 || err != nil {
		t.Errorf("RemoveOrderSecrets = %d, %v, want 1", n, err)
	}
	if n := value[int](d, secrets); n != 0 {
		t.Errorf("orders with secrets = %d, want 0", n)
	}
}

// Orders are removed by the time at which they ended, in batches. An order in progress stays.
func TestRemoveOrdersOfAnOrganization(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, step := range []string{"stored", "failed", "set-aside"} {
		_, j := d.add(d.org, step+".example.com")
		d.exec(`UPDATE acme_orders SET step = $1, updated_at = $2 WHERE id = $3`, step, start,
			d.order(d.claim(j, "w")).ID)
	}
	for _, c := range []struct {
		before time.Time
		want   int
	}{{start, 0}, {start.Add(time.Second), 1}, {start.Add(time.Second), 1},
		{start.Add(time.Second), 0}} {
		if n, err := d.RemoveOrders(t.Context(), c.before, 1); n != c.want || err != nil {
			t.Errorf("RemoveOrders before %s = %d, %v, want %d", c.before, n, err, c.want)
		}
	}
	if got := value[string](d, `SELECT string_agg(step, ',') FROM acme_orders`); got != "set-aside" {
		t.Errorf("orders = %s, want the one in progress", got)
	}
}

// The key of a certificate that was replaced is removed 30 days later, or when it expires,
// whichever is first.
func TestRemoveKeysOfAnOrganization(t *testing.T) {
	t.Parallel()
	for life, want := range map[time.Duration]time.Duration{90 * day: 30 * day, 6 * day: 6 * day} {
		d := open(t)
		dom, old := d.certified(d.org, "example.com", life, postgres.RenewalWatch{})
		_, next := d.certified(d.org, "next.example.com", life, postgres.RenewalWatch{})
		d.exec(`UPDATE certificates SET sealed_key = 'key', created_at = $1`, start)
		removed := func(at time.Duration, want int) {
			t.Helper()
			if n, err := d.RemoveKeys(t.Context(), start.Add(at), 10); n != want || err != nil {
				t.Errorf("RemoveKeys after %s with a life of %s = %d, %v, want %d", at, life, n, err,
					want)
			}
		}
		removed(99*day, 0)
		d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
			return tx.ReplaceCertificate(t.Context(), d.org, old.ID, next.ID)
		}))
		removed(want-time.Second, 0)
		removed(want, 1)
		removed(want, 0)
		c, err := d.Certificate(t.Context(), d.org, old.ID)
		d.must(err)
		if c.HasKey() || c.KeyRemovedAt == nil || !c.KeyRemovedAt.Equal(start.Add(want)) {
			t.Errorf("Certificate = %+v, want no key, and when it was removed", c)
		}
		if c, err = d.Certificate(t.Context(), d.org, next.ID); err != nil || !c.HasKey() {
			t.Errorf("Certificate of %s = %+v, %v, want its key", dom.Name, c, err)
		}
		// The previous version replaces a certificate without determining the time.
		d.exec(`UPDATE certificates SET sealed_key = 'key', key_until = NULL WHERE id = $1`, old.ID)
		removed(want-time.Second, 0)
		removed(want, 1)
	}
}

// A check in bulk that found nothing new leaves no row, unless somebody has asked for it.
func TestUnrecordedOutcomeOfAnOrganization(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{false, true} {
		d := open(t)
		_, j := d.add(d.org, "example.com")
		d.exec(`UPDATE jobs SET queue = 'bulk'`)
		c := d.claim(j, "w")
		if asked {
			if _, started, err := d.ExpediteJob(t.Context(), d.org, j.ID, start); started ||
				err != nil {
				t.Fatalf("ExpediteJob of a running job = %v, %v, want false", started, err)
			}
		}
		ok, err := d.Conclude(t.Context(), c, postgres.Conclusion{Domain: c.Domain,
			Outcome: postgres.Unrecorded(map[string]any{"delegated": true})}, start)
		if !ok || err != nil {
			t.Fatalf("Conclude = %v, %v, want true", ok, err)
		}
		want := ""
		if asked {
			want = "succeeded"
		}
		if got := value[string](d, `SELECT coalesce(string_agg(status, ','), '') FROM jobs`); got != want {
			t.Errorf("jobs after Unrecorded, asked for %v: %q, want %q", asked, got, want)
		}
		if n := value[int](d, `SELECT count(*) FROM domains WHERE claimed_by = ''`); n != 1 {
			t.Error("the domain was not released")
		}
	}
}

// Before a domain is deleted, its old jobs are removed in batches, without the newest thousand,
// those in progress, and those of other domains.
func TestRemoveJobsOfADomain(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, _ := d.add(d.org, "example.com")
	other, _ := d.add(d.org, "other.example.com")
	d.exec(`INSERT INTO jobs (id, org_id, domain_id, type, slot, status, queue, created_at)
		SELECT 'job_' || n || id, org_id, id, 'dns_check', 'old', CASE n WHEN 7 THEN 'queued' ELSE 'succeeded' END, 'bulk',
			'2026-01-01'::timestamptz + n * interval '1 second' FROM domains, generate_series(1, 1025) n`)
	for _, want := range []int{20, 4, 0} {
		if n, err := d.RemoveJobsOf(t.Context(), d.org, dom.ID, 20); n != want || err != nil {
			t.Errorf("RemoveJobsOf = %d, %v, want %d", n, err, want)
		}
	}
	const jobs = `SELECT count(*) FROM jobs WHERE domain_id = $1 AND slot = 'old'`
	if n, o := value[int](d, jobs, dom.ID), value[int](d, jobs, other.ID); n != 1001 || o != 1025 {
		t.Errorf("jobs = %d, and %d of another domain, want 1001 and 1025", n, o)
	}
	if n := value[int](d, jobs+` AND status = 'queued'`, dom.ID); n != 1 {
		t.Errorf("jobs in progress = %d, want 1", n)
	}
}

// A sweep after a pause removes more rows than one statement, and no others.
func TestSweepOfManyRows(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.exec(`INSERT INTO used_states (hash, expires_at)
		SELECT sha256(int4send(n)), $1::timestamptz + n * interval '1 second' FROM generate_series(-10002, 5) n`, start)
	d.must(d.SweepSignIns(t.Context(), start))
	if n := value[int](d, `SELECT count(*) FROM used_states`); n != 5 {
		t.Errorf("states after the sweep = %d, want the 5 that have not expired", n)
	}
}
