package postgres_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// uses returns the names and targets of the delegations of an organization, each with the number of
// domains that use it.
func (d *db) uses(org string) string {
	d.t.Helper()
	return value[string](d, `SELECT coalesce(string_agg(concat_ws(' ', g.name, g.target,
			(SELECT count(*) FROM domain_delegations u WHERE u.delegation_id = g.id)), ', ' ORDER BY g.name), '')
		FROM delegations g JOIN targets t ON t.label = g.target AND t.org_id = g.org_id WHERE g.org_id = $1`, org)
}

func label(c string) string { return strings.Repeat(c, 32) }

// A domain has the delegations of all of its names. One that several domains use ends with its last
// use, unless it is pinned. The name servers are notified of the targets, not of the domains.
func TestDelegationsFollowTheNamesOfDomains(t *testing.T) {
	t.Parallel()
	d := open(t)
	z := newZone()
	_, stop := d.follow(z)
	defer stop()
	z.until(t, "commit")
	dom, j, a := newDomain(d.org, "example.com")
	dom.AdditionalNames = []string{"*.example.org", "www.example.com"}
	dom.Targets = map[string]string{"example.org": label("o"), "www.example.com": label("w")}
	if ok, err := d.AddDomain(t.Context(), dom, j, a); err != nil || !ok {
		t.Fatalf("AddDomain = %v, %v, want true", ok, err)
	}
	want := "example.com " + dom.Target + " 1, example.org " + label("o") + " 1, www.example.com " +
		label("w") + " 1"
	if got := d.uses(d.org); got != want {
		t.Errorf("after the addition: %s, want %s", got, want)
	}
	got, err := d.Domain(t.Context(), d.org, dom.ID)
	d.must(err)
	for name, want := range map[string]string{"*.example.org": label("o"), "example.com": dom.Target,
		"*.example.com": dom.Target, "www.example.com": label("w")} {
		if target := got.TargetOf(name); target != want {
			t.Errorf("TargetOf(%s) = %s, want %s", name, target, want)
		}
	}
	if !slices.Equal(got.AdditionalNames, dom.AdditionalNames) {
		t.Errorf("AdditionalNames = %q, want %q", got.AdditionalNames, dom.AdditionalNames)
	}

	www, j, a := newDomain(d.org, "www.example.com")
	www.Target = label("w")
	if ok, err := d.AddDomain(t.Context(), www, j, a); err != nil || !ok {
		t.Fatalf("AddDomain = %v, %v, want true", ok, err)
	}
	got.AdditionalNames = []string{"www.example.com", "mail.example.com"}
	got.Targets = map[string]string{"www.example.com": label("w"), "mail.example.com": label("m")}
	d.must(d.SaveDomain(t.Context(), got, start))
	want = "example.com " + dom.Target + " 1, mail.example.com " + label("m") + " 1, www.example.com " +
		label("w") + " 2"
	if got := d.uses(d.org); got != want {
		t.Errorf("after the update: %s, want %s", got, want)
	}
	z.until(t, "-t "+label("o"))

	d.exec(`UPDATE delegations SET pinned = true WHERE name = 'mail.example.com'`)
	d.must(d.DeleteDomain(t.Context(), d.org, dom.ID))
	want = "mail.example.com " + label("m") + " 0, www.example.com " + label("w") + " 1"
	if got := d.uses(d.org); got != want {
		t.Errorf("after the deletion: %s, want %s", got, want)
	}
	for _, line := range z.until(t, "-t "+dom.Target) {
		if line == "-t "+label("m") || line == "-t "+label("w") {
			t.Errorf("the name servers were told %q, but it is still used", line)
		}
	}
	for target, want := range map[string]bool{label("m"): true, label("w"): true,
		label("o"): false, dom.Target: false} {
		if got, _, err := d.LookupTarget(t.Context(), target, start); got != want || err != nil {
			t.Errorf("LookupTarget(%s) = %v, %v, want %v", target, got, err, want)
		}
	}
}

// Two organizations have a delegation of the same name, with different targets.
func TestDelegationsOfOrganizationsAreSeparate(t *testing.T) {
	t.Parallel()
	d := open(t)
	other := d.organization(5)
	first, _ := d.add(d.org, "example.com")
	second, _ := d.add(other, "example.com")
	d.must(d.DeleteDomain(t.Context(), d.org, first.ID))
	if got := d.uses(d.org); got != "" {
		t.Errorf("the first organization has %s, want nothing", got)
	}
	if got, want := d.uses(other), "example.com "+second.Target+" 1"; got != want {
		t.Errorf("the second organization has %s, want %s", got, want)
	}
}

// A deleted organization leaves neither delegations nor targets, pinned or not.
func TestRemoveOrganizationRemovesDelegations(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, name := range []string{"a.example.com", "b.example.com", "c.example.com"} {
		d.add(d.org, name)
	}
	d.exec(`UPDATE delegations SET pinned = true WHERE name = 'b.example.com'`)
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.EndOrganization(t.Context(), d.org, start)
	}))
	for more := true; more; {
		var err error
		more, err = d.RemoveOrganization(t.Context(), d.org, 1)
		d.must(err)
	}
	for _, table := range []string{"organizations", "domains", "domain_delegations", "delegations",
		"targets"} {
		if n := value[int](d, `SELECT count(*) FROM `+table); n != 0 {
			t.Errorf("%d rows of %s are left", n, table)
		}
	}
}

// The delegations of existing domains keep their targets. The previous version adds and deletes
// domains meanwhile and afterwards.
func TestMigrationToDelegations(t *testing.T) {
	t.Parallel()
	d := open(t)
	sqlDB := stdlib.OpenDB(*must(pgx.ParseConfig(d.dsn)))
	defer func() { _ = sqlDB.Close() }()
	p := must(goose.NewProvider(goose.DialectPostgres, sqlDB, os.DirFS("migrations")))
	must(p.DownTo(t.Context(), 39))
	add := func(id, name, c string) {
		d.exec(`INSERT INTO domains (id, org_id, name, cname_target, status) VALUES ($1, $2, $3, $4, 'active')`,
			id, d.org, name, label(c))
	}
	for _, c := range []string{"a", "b", "c"} {
		add("dom_"+c, c+".example.com", c)
	}
	d.exec(`INSERT INTO acme_orders (id, org_id, domain_id, job_id, ca, step, names, target, key_type, csr)
		VALUES ('ord_a', $1, 'dom_a', 'job_a', 'ca', 'published', '{a.example.com}', $2, 'ec256', '')`, d.org,
		label("a"))
	d.exec(`INSERT INTO challenges (target, value, org_id, domain_id, order_id, expires_at)
		VALUES ($2, 'v', $1, 'dom_a', 'ord_a', $3)`, d.org, label("a"), start.Add(time.Hour))
	must(d.Migrate(t.Context()))
	add("dom_d", "d.example.com", "d")
	d.exec(`DELETE FROM domains WHERE id = 'dom_b'`)
	want := "a.example.com " + label("a") + " 1, c.example.com " + label("c") + " 1, d.example.com " +
		label("d") + " 1"
	if got := d.uses(d.org); got != want {
		t.Errorf("after the migration: %s, want %s", got, want)
	}
	if _, values, err := d.LookupTarget(t.Context(), label("a"), start); err != nil ||
		len(values) != 1 {
		t.Errorf("LookupTarget = %v, %v, want one challenge", values, err)
	}
	o, err := d.Order(t.Context(), d.org, "ord_a")
	if err != nil || o.Step != controlplane.StepPublished {
		t.Errorf("Order = %+v, %v, want the same order", o, err)
	}
}
