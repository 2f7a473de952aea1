package postgres_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const defaultQueue, bulk, critical = controlplane.QueueDefault, controlplane.QueueBulk,
	controlplane.QueueCritical

// room returns a lane for each queue, with the given room.
func room(n int) []postgres.Lane {
	return []postgres.Lane{{Queue: critical, Room: n}, {Queue: defaultQueue, Room: n},
		{Queue: bulk, Room: n}}
}

// backlog stores n jobs of an organization that have been due since the given time, one millisecond
// apart. The domains have no delegations, whose triggers take longer than everything else.
func (d *db) backlog(org string, q controlplane.Queue, n int, since time.Time) {
	d.t.Helper()
	d.exec(`ALTER TABLE domains DISABLE TRIGGER domains_delegate`)
	defer d.exec(`ALTER TABLE domains ENABLE TRIGGER domains_delegate`)
	d.exec(`
		WITH names AS (
			SELECT i, md5($1 || $2 || i) AS hash FROM generate_series(1, $3::int) i
		), dom AS (
			INSERT INTO domains (id, org_id, name, cname_target, status) SELECT 'dom_' || hash, $1, hash || '.example.com', hash, 'active' FROM names
		)
		INSERT INTO jobs (id, org_id, domain_id, type, slot, queue, run_at)
		SELECT 'job_' || hash, $1, 'dom_' || hash, 'renewal', 'certificate', $2, $4::timestamptz + i * interval '1 millisecond' FROM names`, org, q, n, since)
}

// batch dispatches once and returns the dispatched jobs in order.
func (d *db) batch(s *postgres.Store, lanes []postgres.Lane) []controlplane.Job {
	d.t.Helper()
	var out []controlplane.Job
	n, err := s.DispatchDue(d.t.Context(), start, lanes,
		func(jobs []controlplane.Job) error { out = jobs; return nil })
	if err != nil {
		d.t.Error(err)
	}
	if n != len(out) {
		d.t.Errorf("%d jobs were counted, %d handed over", n, len(out))
	}
	return out
}

// perOrganization counts the jobs of a batch by organization.
func perOrganization(jobs []controlplane.Job) map[string]int {
	n := map[string]int{}
	for _, j := range jobs {
		n[j.OrgID]++
	}
	return n
}

// The next batch includes another organization's job, regardless of how much one organization has
// due.
func TestBatchIncludesEveryOrganization(t *testing.T) {
	t.Parallel()
	d := open(t)
	other := d.organization(10)
	for _, q := range []controlplane.Queue{critical, bulk} {
		d.backlog(d.org, q, 2000, start.Add(-time.Hour))
		d.backlog(other, q, 1, start.Add(-time.Second))
	}
	jobs := d.batch(d.Store, room(20))
	for _, q := range []controlplane.Queue{critical, bulk} {
		at := slices.IndexFunc(jobs, func(j controlplane.Job) bool {
			return j.OrgID == other &&
				j.Queue == q
		})
		if at < 0 || at > 3 {
			t.Errorf("in %s the other organization's job is number %d of %d", q, at, len(jobs))
		}
	}
	if n := perOrganization(d.batch(d.Store, room(20))); n[d.org] != 40 || len(n) != 1 {
		t.Errorf("with one organization left: %v", n)
	}
}

// The room is divided evenly, and each organization's oldest jobs go first.
func TestOrganizationsTakeTurns(t *testing.T) {
	t.Parallel()
	d := open(t)
	orgs := []string{d.org, d.organization(10), d.organization(10)}
	for i, org := range orgs {
		d.backlog(org, bulk, 100, start.Add(-time.Duration(i+1)*time.Hour))
	}
	lanes, total, last := room(10), map[string]int{}, map[string]time.Time{}
	for range 9 {
		jobs := d.batch(d.Store, lanes)
		if len(jobs) != 10 {
			t.Errorf("a batch of %d", len(jobs))
		}
		for i, j := range jobs {
			if total[j.OrgID]++; !j.RunAt.After(last[j.OrgID]) {
				t.Error("something younger went first")
			}
			if last[j.OrgID] = j.RunAt; i > 2 && jobs[i-3].OrgID != j.OrgID {
				t.Error("somebody's turn was left out")
			}
		}
	}
	for _, org := range orgs {
		if total[org] != 30 {
			t.Errorf("%v of 90 went out, by organization", slices.Collect(maps.Values(total)))
		}
	}
}

// If more organizations have due jobs than there is room for, each gets its first turn before any
// gets its second.
func TestEveryOrganizationGetsItsTurn(t *testing.T) {
	t.Parallel()
	d := open(t)
	const orgs = 23
	for range orgs {
		d.backlog(d.organization(10), bulk, 4, start.Add(-time.Hour))
	}
	lanes, total := room(5), map[string]int{}
	for range 2 * orgs / 5 {
		for org, n := range perOrganization(d.batch(d.Store, lanes)) {
			total[org] += n
		}
	}
	counts := slices.Sorted(maps.Values(total))
	if len(counts) != orgs || counts[0] < 1 || counts[orgs-1] > 2 {
		t.Errorf("jobs of each organization: %v, want 1 or 2 of each of %d", counts, orgs)
	}
}

// Many organizations without due jobs cost a batch little, and delay or starve no other.
func TestIdleOrganizationsDelayNoOther(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.exec(`INSERT INTO organizations (id, name) SELECT 'org_' || md5(i::text), 'x' FROM generate_series(1, 1200) i`)
	d.exec(`INSERT INTO domains (id, org_id, name, cname_target, status) SELECT 'dom_' || id, id, 'waits.example.com', md5(id), 'active' FROM organizations WHERE id <> $1`, d.org)
	d.exec(`INSERT INTO jobs (id, org_id, domain_id, type, slot, queue, run_at) SELECT 'job_' || id, org_id, id, 'renewal', 'certificate', 'bulk', $1::timestamptz FROM domains`, start.Add(time.Hour))
	other := d.organization(10)
	d.backlog(d.org, bulk, 200, start.Add(-time.Hour))
	d.backlog(other, bulk, 1, start.Add(-time.Second))
	lanes := room(10)
	for batch := 1; ; batch++ {
		n := perOrganization(d.batch(d.Store, lanes))
		if n[other] == 1 {
			break
		}
		if n[d.org] != 10 || batch == 4 {
			t.Fatalf("batch %d: %v", batch, n)
		}
	}
}

// Replicas that dispatch a backlog concurrently dispatch every job, and none twice.
func TestReplicasShareABacklog(t *testing.T) {
	t.Parallel()
	d := open(t)
	other := d.organization(10)
	d.backlog(d.org, bulk, 300, start.Add(-time.Hour))
	d.backlog(d.org, critical, 300, start.Add(-time.Hour))
	d.backlog(other, bulk, 30, start.Add(-time.Minute))
	replicas := []*postgres.Store{d.Store, d.replica(), d.replica()}
	var mu sync.Mutex
	seen := map[string]int{}
	atOnce(len(replicas), func(i int) {
		lanes := room(20)
		for idle := 0; idle < 3; {
			jobs := d.batch(replicas[i], lanes)
			mu.Lock()
			for _, j := range jobs {
				seen[j.ID]++
			}
			mu.Unlock()
			if len(jobs) == 0 {
				idle++
			}
		}
	})
	if len(seen) != 630 {
		t.Errorf("%d of 630 jobs were dispatched", len(seen))
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s was dispatched %d times", id, n)
		}
	}
}

// The number of blocks that a batch reads does not grow with the due jobs of one organization, nor
// with the jobs that were added after its statements were planned.
func TestBatchCostDoesNotGrowWithBacklog(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(*db){
		"never analyzed": func(*db) {},
		"analyzed empty": func(d *db) { d.exec(`VACUUM ANALYZE jobs`) },
		"analyzed without work": func(d *db) {
			d.backlog(d.organization(10), bulk, 1000, start)
			d.exec(`UPDATE jobs SET status = 'succeeded'`)
			d.exec(`VACUUM ANALYZE jobs`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			before(d)
			explain := d.PlanDispatch(t.Context(), t)
			blocks := func() int {
				t.Helper()
				plan, err := explain(start, room(20))
				d.must(err)
				return d.blocks(plan)
			}
			for range 9 {
				d.backlog(d.organization(10), bulk, 20, start.Add(-time.Hour))
			}
			d.backlog(d.org, bulk, 100, start.Add(-2*time.Hour))
			few := blocks()
			d.backlog(d.org, defaultQueue, 20_000, start.Add(-3*time.Hour))
			if many := blocks(); few == 0 || many > 3*few {
				t.Errorf("%d blocks with a hundred due, %d with twenty thousand", few, many)
			}
		})
	}
}

// blocks returns the number of blocks that a plan has read.
func (d *db) blocks(plan string) int {
	d.t.Helper()
	if strings.Contains(plan, "Seq Scan on jobs") {
		d.t.Errorf("it reads the whole table:\n%s", plan)
	}
	total := 0
	for line := range strings.Lines(plan) {
		var hit int
		if _, buffers, ok := strings.Cut(line, "Buffers: shared hit="); ok {
			_, err := fmt.Sscan(buffers, &hit)
			d.must(err)
			total += hit
		}
	}
	return total
}
