package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// A filter that matches few or none of a large organization's rows reads by its index.
func TestFiltersOfALargeOrganization(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.exec(`ALTER TABLE domains DISABLE TRIGGER USER`)
	d.exec(`ALTER TABLE jobs DISABLE TRIGGER USER`)
	d.fill(d.org, 10000, "created_at, labels, expires_at",
		`now() - n * interval '1 minute', CASE WHEN n = 7 THEN '{"team": "seven"}' ELSE '{}' END::jsonb, now() + n * interval '1 minute'`)
	d.exec(`UPDATE domains SET status = 'error' WHERE name = 'd7.example.com'`)
	d.exec(`INSERT INTO jobs (id, org_id, domain_id, type, slot, status, queue, created_at)
		SELECT 'job_' || md5(id), org_id, id, 'renewal', 'certificate', 'succeeded', 'bulk', created_at FROM domains`)
	d.delegate()
	d.exec(`UPDATE domains SET additional_names = '{*.seven.example.org}', targets = '{"seven.example.org": "77777777777777777777777777777777"}' WHERE name = 'd7.example.com'`)
	d.exec(`INSERT INTO targets VALUES (repeat('7', 32), $1)`, d.org)
	d.exec(`INSERT INTO delegations (id, org_id, name, target) VALUES ('dlg_7', $1, 'seven.example.org', repeat('7', 32))`, d.org)
	d.exec(`INSERT INTO domain_delegations SELECT id, 'dlg_7' FROM domains WHERE name = 'd7.example.com'`)
	d.exec(`VACUUM ANALYZE domains, delegations, domain_delegations`)
	d.exec(`VACUUM ANALYZE jobs`)
	soonest := time.Now().Add(30 * time.Second)
	for _, c := range []struct {
		index string
		f     postgres.DomainFilter
	}{
		{"domains_status", postgres.DomainFilter{Status: controlplane.DomainError}},
		{"domains_labels_org", postgres.DomainFilter{Label: "team=seven"}},
		{"domains_labels_org", postgres.DomainFilter{Label: "team"}},
		{"domains_expiry", postgres.DomainFilter{ExpiresBefore: &soonest}},
	} {
		index, f := c.index, c.f
		f.Limit = 50
		plan, err := d.ExplainDomains(t.Context(), d.org, f)
		d.must(err)
		if n := blocks(plan); !strings.Contains(plan, index) || n > 50 {
			t.Errorf("the filter does not read by %s, and touches %d blocks:\n%s", index, n, plan)
		}
	}
	for index, f := range map[string]postgres.JobFilter{
		"jobs_unfinished": {Status: controlplane.JobQueued},
		"jobs_failed":     {Status: controlplane.JobFailed},
		"jobs_rare":       {Type: controlplane.JobRevocation},
	} {
		f.Limit = 50
		plan, err := d.ExplainJobs(t.Context(), d.org, f)
		d.must(err)
		if n := blocks(plan); !strings.Contains(plan, index) || n > 50 {
			t.Errorf("the filter does not read by %s, and touches %d blocks:\n%s", index, n, plan)
		}
	}
	for query, want := range map[string]int{"d77.EXAMPLE": 1, "d777": 11, "absent": 0,
		"seven.example": 1, "*.seven": 1, "EXAMPLE.org": 1, "example": 50, ".": 50,
		"zq": 0, "_": 0, "77": 50, "n.": 1, ".s": 0, ".e": 50, "ev": 1, "se": 1, "rg": 1} {
		for range 7 { // a prepared statement gets another plan after five executions
			got, _, err := d.ListDomains(t.Context(), d.org,
				postgres.DomainFilter{Query: query, Limit: 50})
			if d.must(err); len(got) != want {
				t.Errorf("ListDomains(%q) = %d domains, want %d", query, len(got), want)
			}
		}
	}
	for _, text := range []string{"d77.example", "absent", "seven.example", "example", ".",
		"zq", "q.", ".q", "ex"} {
		plan, err := d.ExplainPart(t.Context(), d.org, text)
		d.must(err)
		if n := blocks(plan); n > 120 {
			t.Errorf("the part %q of a name touches %d blocks:\n%s", text, n, plan)
		}
	}
	plan, err := d.ExplainDomains(t.Context(), d.org,
		postgres.DomainFilter{Name: "*.seven.example.org", Limit: 50})
	d.must(err)
	if n := blocks(plan); n > 50 {
		t.Errorf("the filter by name touches %d blocks:\n%s", n, plan)
	}

}

// The statement of a list is not prepared for any arguments: how many rows it reads depends on the
// size of the organization. No statement is compiled or runs in parallel.
func TestPlansAreForTheArguments(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		for range 8 {
			if _, _, err := tx.ListCertificates(t.Context(), d.org, postgres.CertificateFilter{
				DomainID: "dom_of_certificates", Limit: 50}); err != nil {
				return err
			}
		}
		settings, err := tx.Settings(t.Context())
		if want := (postgres.Settings{Jit: "off", Workers: "0"}); settings != want || err != nil {
			t.Errorf("settings and prepared lists = %+v, %v, want %+v", settings, err, want)
		}
		return nil
	}))
}
