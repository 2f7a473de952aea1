package postgres_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// A page deep in a list of 10,000 is read through an index, and no more than its rows and their
// delegations.
func TestListDomainsReadsByIndex(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.exec(`ALTER TABLE domains DISABLE TRIGGER USER`)
	d.exec(`INSERT INTO domains (id, org_id, name, cname_target, status, created_at, expires_at)
		SELECT 'dom_' || lpad(i::text, 26, '0'), $1, 'd' || i || '.example.com', md5(i::text), 'active', $2::timestamptz + i * interval '1 second', $2::timestamptz + i * interval '1 minute'
		FROM generate_series(1, 10000) i`, d.org, start)
	d.exec(`INSERT INTO organizations (id, name) VALUES ('org_other', 'x')`)
	d.exec(`INSERT INTO domains (id, org_id, name, cname_target, status)
		SELECT 'dom_o' || lpad(i::text, 25, '0'), 'org_other', 'd' || i || '.example.com', md5('o' || i), 'active' FROM generate_series(1, 10000) i`)
	d.delegate()
	d.exec(`VACUUM ANALYZE domains, delegations`)
	for _, sort := range []string{"-created_at", "created_at", "name", "-name", "expires_at",
		"-expires_at"} {
		filter := postgres.DomainFilter{Sort: sort, Limit: 50}
		_, next, err := d.ListDomains(t.Context(), d.org, filter)
		d.must(err)
		deep := *next
		switch strings.TrimPrefix(sort, "-") {
		case "created_at":
			deep.Key = start.Add(5000 * time.Second).Format(time.RFC3339)
		case "expires_at":
			deep.Key = start.Add(5000 * time.Minute).Format(time.RFC3339)
		case "name":
			deep.Key = "d5000.example.com"
		}
		for _, filter.After = range []*postgres.Cursor{nil, &deep} {
			plan, err := d.ExplainDomains(t.Context(), d.org, filter)
			d.must(err)
			if strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Bitmap") {
				t.Errorf("%s does not read by index:\n%s", sort, plan)
			}
			// A name is unique, so "then by id" sorts groups of one.
			if strings.Contains(plan, "->  Sort") || strings.Contains(sort, "created_at") &&
				strings.Contains(plan, "Sort") {
				t.Errorf("%s sorts:\n%s", sort, plan)
			}
			if n := blocks(plan); n > 400 {
				t.Errorf("%s touches %d blocks for 51 rows:\n%s", sort, n, plan)
			}
		}
	}
}

// blocks returns how many blocks of tables and indexes a plan has accessed.
func blocks(plan string) int {
	total := 0
	line := regexp.MustCompile(`Buffers: .*`).FindString(plan) // the topmost includes what is below
	for _, m := range regexp.MustCompile(`(?:hit|read)=(\d+)`).FindAllStringSubmatch(line, -1) {
		n, _ := strconv.Atoi(m[1])
		total += n
	}
	return total
}
