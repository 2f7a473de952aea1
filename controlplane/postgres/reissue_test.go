package postgres_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// The cost of a sweep depends on the orders that are due, not on the number of domains.
func TestQueueReissuesReadsByIndex(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.exec(`ALTER TABLE domains DISABLE TRIGGER USER`)
	d.exec(`INSERT INTO domains (id, org_id, name, cname_target, status, certificate_id)
		SELECT 'dom_' || lpad(i::text, 26, '0'), $1, 'd' || i || '.example.com', md5(i::text), 'active', 'crt_x'
		FROM generate_series(1, 10000) i`, d.org)
	d.exec(`UPDATE domains SET options_revision = 2, reissue_at = $1::timestamptz + right(id, 4)::int % 2 * interval '1 hour'
		WHERE right(id, 4)::int % 2000 < 4`, start)
	d.exec(`VACUUM ANALYZE domains`)
	again := start.Add(2 * time.Hour)
	plan, err := d.ExplainReissues(t.Context(), start, again, 500)
	d.must(err)
	if !strings.Contains(plan, "domains_reissue") || strings.Contains(plan, "Seq Scan on domains") {
		t.Errorf("QueueReissues does not read by index:\n%s", plan)
	}
	// The rest are the rows that it writes, with their indexes and constraints.
	if n := blocks(plan); n > 1000 {
		t.Errorf("QueueReissues touches %d blocks for 10 domains:\n%s", n, plan)
	}
	if due, added, err := d.QueueReissues(t.Context(), start, again, 500); due != 10 ||
		added != 10 || err != nil {
		t.Errorf("QueueReissues = %d, %d, %v, want 10 domains and 10 jobs", due, added, err)
	}
	if due, added, err := d.QueueReissues(t.Context(), start, again, 500); due != 0 || added != 0 ||
		err != nil {
		t.Errorf("another QueueReissues = %d, %d, %v, want none", due, added, err)
	}
}

// The migration sets the revisions of options and certificates equal, so an upgrade orders nothing.
// What an older version of the program writes afterwards is accepted, and orders nothing either.
func TestMigrationToRevisions(t *testing.T) {
	t.Parallel()
	d := open(t)
	sqlDB := stdlib.OpenDB(*must(pgx.ParseConfig(d.dsn)))
	defer func() { _ = sqlDB.Close() }()
	p := must(goose.NewProvider(goose.DialectPostgres, sqlDB, os.DirFS("migrations")))
	must(p.DownTo(t.Context(), 26))
	older := func(suffix string) {
		for _, sql := range []string{
			`INSERT INTO domains (id, org_id, name, cname_target, status, certificate_id) VALUES ('dom_` + suffix + `', $1, '` + suffix + `.example.com', md5('` + suffix + `'), 'active', 'crt_` + suffix + `')`,
			`INSERT INTO acme_orders (id, org_id, domain_id, job_id, ca, step, names, target, key_type, csr) VALUES ('ord_` + suffix + `', $1, 'dom_` + suffix + `', '', '', 'published', '{}', '', '', '')`,
			`INSERT INTO certificates (id, org_id, domain_id, order_id, names, serial, issuer, ca, key_type, not_before, not_after, fingerprint_sha256, chain_pem)
				VALUES ('crt_` + suffix + `', $1, 'dom_` + suffix + `', 'ord_` + suffix + `', '{}', '', '', '', '', now(), now(), '', '')`,
		} {
			if _, err := sqlDB.ExecContext(t.Context(), sql, d.org); err != nil {
				t.Fatalf("Exec(%s) = %v", sql, err)
			}
		}
	}
	older("before")
	must(d.Migrate(t.Context()))
	older("after")
	for _, suffix := range []string{"before", "after"} {
		dom := must(d.Domain(t.Context(), d.org, "dom_"+suffix))
		cert := must(d.Certificate(t.Context(), d.org, "crt_"+suffix))
		order := must(d.Order(t.Context(), d.org, "ord_"+suffix))
		if dom.OptionsRevision != 1 || dom.CertificateRevision != 1 || dom.IsOutdated() ||
			dom.ReissueAt != nil || cert.OptionsRevision != 1 || order.OptionsRevision != 0 {
			t.Errorf("%s: domain = %+v, certificate = %+v, order = %+v, want revisions 1, 1, and 0",
				suffix, dom, cert, order)
		}
	}
	if due, added, err := d.QueueReissues(t.Context(), time.Now(), time.Now(), 10); due != 0 ||
		added != 0 || err != nil {
		t.Errorf("QueueReissues = %d, %d, %v, want none", due, added, err)
	}
}
