package postgres_test

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// An organization counts its delegations, however they are added and removed.
func TestDelegationsAreCounted(t *testing.T) {
	t.Parallel()
	d := open(t)
	want := func(when string, n int) {
		t.Helper()
		o, err := d.Organization(t.Context(), d.org)
		d.must(err)
		if o.Delegations != n {
			t.Errorf("%s: Delegations = %d, want %d", when, o.Delegations, n)
		}
	}
	dom, j, a := newDomain(d.org, "example.com")
	dom.AdditionalNames = []string{"example.org", "www.example.com"}
	dom.Targets = map[string]string{"example.org": label("o"), "www.example.com": label("w")}
	if ok, err := d.AddDomain(t.Context(), dom, j, a); err != nil || !ok {
		t.Fatalf("AddDomain = %v, %v, want true", ok, err)
	}
	want("after a domain with three names", 3)
	d.add(d.organization(5), "example.com")
	want("after a domain of another organization", 3)
	www, j, a := newDomain(d.org, "www.example.com")
	www.Target = label("w")
	if ok, err := d.AddDomain(t.Context(), www, j, a); err != nil || !ok {
		t.Fatalf("AddDomain = %v, %v, want true", ok, err)
	}
	want("after a domain of a known name", 3)
	d.exec(`UPDATE delegations SET pinned = true WHERE name = 'example.org'`)
	d.must(d.DeleteDomain(t.Context(), d.org, dom.ID))
	want("after the deletion of the first domain", 2)
	d.exec(`DELETE FROM delegations WHERE name = 'example.org'`)
	want("after the deletion of the pinned one", 1)
}

// The delegations of existing organizations are counted, also those that are added meanwhile.
func TestMigrationCountsDelegations(t *testing.T) {
	t.Parallel()
	d := open(t)
	sqlDB := stdlib.OpenDB(*must(pgx.ParseConfig(d.dsn)))
	defer func() { _ = sqlDB.Close() }()
	p := must(goose.NewProvider(goose.DialectPostgres, sqlDB, os.DirFS("migrations")))
	must(p.DownTo(t.Context(), 42))
	other := value[string](d, `INSERT INTO organizations (id, name, subscription_tier)
		VALUES ('org_other', 'Other', 'free') RETURNING id`)
	add := func(org, id, c string) {
		d.exec(`INSERT INTO domains (id, org_id, name, cname_target, status) VALUES ($1, $2, $3, $4, 'active')`,
			id, org, c+".example.com", label(c))
	}
	add(d.org, "dom_a", "a")
	add(d.org, "dom_b", "b")
	add(other, "dom_c", "c")
	must(d.Migrate(t.Context()))
	add(other, "dom_d", "d")
	d.exec(`DELETE FROM domains WHERE id = 'dom_a'`)
	for org, want := range map[string]int{d.org: 1, other: 2} {
		o, err := d.Organization(t.Context(), org)
		d.must(err)
		if o.Delegations != want {
			t.Errorf("Delegations of %s = %d, want %d", o.Name, o.Delegations, want)
		}
	}
}
