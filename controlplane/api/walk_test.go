package api

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

var full = flag.Bool("api.full", false, "walk 100,000 domains rather than 2,000")

// Paging through many domains during concurrent additions and deletions returns every remaining
// domain exactly once.
func TestWalkWhileOthersWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := 2000
	if *full {
		n = 100_000
	}
	// Even ones stay; odd ones can be deleted. Many share a creation time or an expiry.
	w.exec(`ALTER TABLE domains DISABLE TRIGGER domains_delegate`) // it takes most of the time
	w.exec(`INSERT INTO domains (id, org_id, name, cname_target, status, created_at, expires_at)
		SELECT 'dom_' || lpad(i::text, 26, '0'), $1, md5(i::text) || '.example.com', substr(md5(i::text), 1, 32), 'active',
			now() - (i / 7) * interval '1 second', CASE WHEN i % 3 > 0 THEN now() + (i % 90) * interval '1 day' END
		FROM generate_series(0, $2 - 1) i`, w.org, n)
	w.exec(`ALTER TABLE domains ENABLE TRIGGER domains_delegate`)
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() { w.churn(ctx, n) })
	var walking sync.WaitGroup
	for _, sort := range []string{"-created_at", "name", "expires_at"} {
		walking.Go(func() {
			seen := make(map[string]bool)
			query := url.Values{"limit": {"200"}, "sort": {sort}}
			for {
				a := w.do("GET", "/api/domains?"+query.Encode(), nil)
				if a.status != 200 {
					t.Errorf("GET /api/domains?sort=%s = %d: %s, want 200", sort, a.status, a.body)
					return
				}
				for _, id := range a.ids() {
					if seen[id] {
						t.Errorf("%s: %s came twice", sort, id)
					}
					seen[id] = true
				}
				if a.json["has_more"] == false {
					break
				}
				query.Set("cursor", a.string("next_cursor"))
			}
			for i := 0; i < n; i += 2 {
				if id := fmt.Sprintf("dom_%026d", i); !seen[id] {
					t.Errorf("%s: %s was missed", sort, id)
				}
			}
		})
	}
	walking.Wait()
	stop()
	writing.Wait()
	if gone, come := w.count(`SELECT $1 - count(*) FROM domains WHERE id < 'dom_1'`, n),
		w.count(`SELECT count(*) FROM domains WHERE id >= 'dom_1'`); gone == 0 || come == 0 {
		t.Errorf("meanwhile %d went and %d came", gone, come)
	}
}

// churn deletes odd ones of the first n domains and adds others at any position of every order,
// until ctx is canceled.
func (w *world) churn(ctx context.Context, n int) {
	conn, err := pgx.Connect(ctx, w.dsn)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for i := 0; ctx.Err() == nil; i++ {
		_, err := conn.Exec(ctx,
			`WITH gone AS (DELETE FROM domains WHERE org_id = $1 AND id = 'dom_' || lpad($2::int::text, 26, '0'))
			INSERT INTO domains (id, org_id, name, cname_target, status, created_at, expires_at)
			SELECT 'dom_1' || lpad($3::int::text, 25, '0'), $1, md5('new' || $3::int) || '.example.com', md5('new' || $3::int), 'active',
				now() - random() * interval '15 minutes', now() + random() * interval '90 days'`,
			w.org, rand.IntN(n/2)*2+1, i)
		if err != nil && ctx.Err() == nil {
			w.t.Error(err)
			return
		}
	}
}
