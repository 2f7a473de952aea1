package postgres_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

func TestListJobsCertificatesAndTokensPageByPage(t *testing.T) {
	t.Parallel()
	d := open(t)
	other, _ := d.add(d.org, "other.example.com")
	dom, j := d.add(d.org, "example.com")
	d.finish(j)
	order := d.order(d.claim(d.newJobOf(dom, controlplane.JobStartIssuance), "w"))
	for i := range 23 {
		at := start.Add(time.Duration(i/4) * time.Second)
		job := newJob(dom, controlplane.JobDNSCheck)
		job.CreatedAt = at
		added, ok, err := d.AddJob(t.Context(), job)
		if err != nil || !ok {
			t.Fatalf("AddJob = %v, %v, want true", ok, err)
		}
		d.finish(added)
		order.ID = controlplane.NewID(controlplane.PrefixOrder)
		c := newCertificate(order)
		c.CreatedAt = at
		d.must(d.InTx(t.Context(),
			func(tx *postgres.Tx) error { return tx.AddCertificate(t.Context(), c, "") }))
		d.must(d.AddToken(t.Context(),
			&controlplane.Token{ID: controlplane.NewID(controlplane.PrefixToken), OrgID: d.org,
				Name: "t", Scopes: controlplane.Scopes(), CreatedAt: at},
			controlplane.HashSecret(fmt.Sprint(i))))
	}
	walk := func(what string, want int, read func(after *postgres.Cursor) ([]string,
		*postgres.Cursor, error)) {
		t.Helper()
		var all []string
		var after *postgres.Cursor
		for {
			ids, next, err := read(after)
			d.must(err)
			all = append(all, ids...)
			if after = next; next == nil {
				break
			}
		}
		sorted := slices.Clone(all)
		slices.Sort(sorted)
		if len(all) != want || len(slices.Compact(sorted)) != want {
			t.Errorf("%s: %d rows, %d different, want %d", what, len(all),
				len(slices.Compact(sorted)), want)
		}
	}
	walkJobs := func(what string, want int, f postgres.JobFilter) {
		walk(what, want, func(after *postgres.Cursor) ([]string, *postgres.Cursor, error) {
			f.After, f.Limit = after, 7
			items, next, err := d.ListJobs(t.Context(), d.org, f)
			return ids(items, func(j controlplane.Job) string { return j.ID }), next, err
		})
	}
	walkJobs("jobs", 26, postgres.JobFilter{})
	walkJobs("jobs of a domain", 25, postgres.JobFilter{DomainID: dom.ID})
	walkJobs("jobs of another domain", 1, postgres.JobFilter{DomainID: other.ID})
	walkJobs("jobs of the domains of a token", 26,
		postgres.JobFilter{DomainIDs: []string{dom.ID, other.ID}})
	walkJobs("jobs of no domain", 0, postgres.JobFilter{DomainIDs: []string{}})
	walkJobs("jobs that succeeded", 24, postgres.JobFilter{Status: controlplane.JobSucceeded})
	walkJobs("jobs of a type", 1, postgres.JobFilter{Type: controlplane.JobStartIssuance})
	walk("certificates", 23, func(after *postgres.Cursor) ([]string, *postgres.Cursor, error) {
		items, next, err := d.ListCertificates(t.Context(), d.org,
			postgres.CertificateFilter{DomainID: dom.ID, DomainIDs: []string{dom.ID}, After: after,
				Limit: 7})
		return ids(items, func(c controlplane.Certificate) string { return c.ID }), next, err
	})
	walk("tokens", 23, func(after *postgres.Cursor) ([]string, *postgres.Cursor, error) {
		items, next, err := d.ListTokens(t.Context(), d.org, "", after, 7)
		return ids(items, func(t controlplane.Token) string { return t.ID }), next, err
	})
}
