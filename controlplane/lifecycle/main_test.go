package lifecycle_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

const (
	zone = "acme.example.net"
	day  = 24 * time.Hour
)

var (
	start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	alice = controlplane.Actor{Type: controlplane.ActorUser,
		ID: "usr_alice", IP: "192.0.2.7", RequestID: "req-1"}
)

// world is a Service on a real database, with a clock, a doctor, and a CA that the test controls.
type world struct {
	*lifecycle.Service
	t      *testing.T
	org    string
	clock  *clock
	doctor *doctor
	ca     *issuer
	sealer *seal.Sealer
	dsn    string

	mu  sync.Mutex
	own *pgx.Conn
}

// newWorld returns a world in which every domain is delegated and every order succeeds.
func newWorld(t *testing.T, change ...func(*lifecycle.Config)) *world {
	t.Helper()
	keyset, err := seal.New()
	must(t, err)
	now := &clock{now: start}
	w := &world{t: t, clock: now, doctor: &doctor{clock: now}, dsn: postgrestest.DSN(t)}
	w.sealer, err = seal.Open(keyset)
	must(t, err)
	w.ca = &issuer{clock: now, sealer: w.sealer, names: []string{"primary", "backup"}}
	store, err := postgres.Open(t.Context(), postgres.Config{DSN: w.dsn, MaxConns: 8})
	must(t, err)
	t.Cleanup(store.Close)
	c := lifecycle.Config{Store: store, Zone: zone, TargetKey: []byte("0123456789abcdef"),
		Issuer: w.ca, Doctor: w.doctor, Sealer: w.sealer,
		Visible: func(context.Context, string, []string) error { return nil }, Now: now.Now,
		SweepSpread: -1,
		Rand:        func() float64 { return 0 }}
	for _, fn := range change {
		fn(&c)
	}
	w.Service, err = lifecycle.New(c)
	must(t, err)
	w.org = w.organization(100)
	return w
}

func (w *world) organization(limit int) string {
	w.t.Helper()
	o, err := w.CreateOrganization(w.t.Context(), controlplane.System("test"),
		lifecycle.NewOrganization{Name: "Example", Tier: controlplane.TierPro, DomainLimit: &limit})
	must(w.t, err)
	return o.ID
}

// add adds a domain with the default options, modified by change.
func (w *world) add(name string, change ...func(*controlplane.Options)) *controlplane.Domain {
	w.t.Helper()
	in := lifecycle.NewDomain{Name: name,
		Options: controlplane.Options{AutoIssue: true, AutoRenew: true}}
	for _, fn := range change {
		fn(&in.Options)
	}
	d, err := w.AddDomain(w.t.Context(), alice, w.org, in)
	must(w.t, err)
	return d
}

// active adds a domain and issues its certificate.
func (w *world) active(name string, change ...func(*controlplane.Options)) *controlplane.Domain {
	w.t.Helper()
	d := w.add(name, change...)
	w.run(d, controlplane.JobDNSCheck)
	w.run(d, controlplane.JobStartIssuance)
	if d = w.domain(d); d.Status != controlplane.DomainActive {
		w.t.Fatalf("status of %s = %s (%s), want active", name, d.Status, d.StatusReason)
	}
	return d
}

func (w *world) domain(d *controlplane.Domain) *controlplane.Domain {
	w.t.Helper()
	got, err := w.Store.Domain(w.t.Context(), d.OrgID, d.ID)
	must(w.t, err)
	return got
}

// job returns the domain's newest job of the type.
func (w *world) job(d *controlplane.Domain, kind controlplane.JobType) *controlplane.Job {
	w.t.Helper()
	jobs, _, err := w.Store.ListJobs(w.t.Context(), d.OrgID,
		postgres.JobFilter{DomainID: d.ID, Type: kind, Limit: 1})
	must(w.t, err)
	if len(jobs) == 0 {
		w.t.Fatalf("%s has no %s job", d.Name, kind)
	}
	return &jobs[0]
}

func (w *world) jobs(d *controlplane.Domain, kind controlplane.JobType) int {
	w.t.Helper()
	jobs, _, err := w.Store.ListJobs(w.t.Context(), d.OrgID,
		postgres.JobFilter{DomainID: d.ID, Type: kind, Limit: 100})
	must(w.t, err)
	return len(jobs)
}

// run runs the domain's newest job of the type once, as the queue would, and returns the job after
// it.
func (w *world) run(d *controlplane.Domain, kind controlplane.JobType) *controlplane.Job {
	w.t.Helper()
	j, _ := w.try(d, kind)
	return j
}

// try is run with the error that the queue receives.
func (w *world) try(d *controlplane.Domain, kind controlplane.JobType) (*controlplane.Job, error) {
	w.t.Helper()
	j := w.job(d, kind)
	err := w.RunJob(w.t.Context(), j.ID, j.Generation)
	again, jerr := w.Store.Job(w.t.Context(), d.OrgID, j.ID)
	must(w.t, jerr)
	return again, err
}

// runDue is run, after moving the clock to the job's time.
func (w *world) runDue(d *controlplane.Domain, kind controlplane.JobType) *controlplane.Job {
	w.t.Helper()
	j, _ := w.tryDue(d, kind)
	return j
}

// tryDue is try, after moving the clock to the job's time.
func (w *world) tryDue(
	d *controlplane.Domain, kind controlplane.JobType,
) (*controlplane.Job, error) {
	w.t.Helper()
	if at := w.job(d, kind).RunAt; at.After(w.clock.Now()) {
		w.clock.set(at)
	}
	return w.try(d, kind)
}

// events returns the logged actions of the object, oldest first.
func (w *world) events(id string) []string {
	w.t.Helper()
	var out []string
	for _, e := range w.entries(w.org, id) {
		out = append(out, e.Action)
	}
	return out
}

// entries returns the audit entries of the object, in the order of the log.
func (w *world) entries(orgID, id string) []controlplane.AuditEntry {
	w.t.Helper()
	entries, _, err := w.Store.ListLog(w.t.Context(), orgID,
		postgres.LogFilter{EntityID: id, Limit: 1000})
	must(w.t, err)
	slices.SortFunc(entries,
		func(a, b controlplane.AuditEntry) int { return cmp.Compare(a.Seq, b.Seq) })
	return entries
}

func (w *world) count(id, action string) int {
	w.t.Helper()
	n := 0
	for _, a := range w.events(id) {
		if a == action {
			n++
		}
	}
	return n
}

// last returns the newest audit entry of the object.
func (w *world) last(id string) controlplane.AuditEntry {
	w.t.Helper()
	entries := w.entries(w.org, id)
	if len(entries) == 0 {
		w.t.Fatalf("%s has no audit entries", id)
	}
	return entries[len(entries)-1]
}

func (w *world) do(fn func(*pgx.Conn) error) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.own == nil {
		c, err := pgx.Connect(w.t.Context(), w.dsn)
		must(w.t, err)
		w.t.Cleanup(func() { _ = c.Close(context.Background()) })
		w.own = c
	}
	must(w.t, fn(w.own))
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	w.do(func(c *pgx.Conn) error { _, err := c.Exec(w.t.Context(), sql, args...); return err })
}

// value returns the single value that a query selects.
func value[T any](w *world, sql string, args ...any) (v T) {
	w.t.Helper()
	w.do(func(c *pgx.Conn) error { return c.QueryRow(w.t.Context(), sql, args...).Scan(&v) })
	return v
}

// clock is a clock that only the test advances.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) set(t time.Time) { c.mu.Lock(); defer c.mu.Unlock(); c.now = t }

func (c *clock) add(d time.Duration) { c.set(c.Now().Add(d)) }

// doctor returns the code that the test sets. The zero value finds every delegation verified.
type doctor struct {
	caa     []controlplane.CAAFinding
	clock   *clock
	mu      sync.Mutex
	code    string
	codes   map[string]string                    // by name, instead of code
	caaOf   map[string][]controlplane.CAAFinding // by name, instead of caa
	clearOf map[string]controlplane.Certified    // by name; default: both
	err     error
	panic   string
	checked int // names

	rehearsed int           // calls of RehearseNames
	reuses    time.Duration // age of the answers that RehearseNames reuses
	during    func()        // called once, during the next check
}

func (d *doctor) finds(code string) { d.mu.Lock(); defer d.mu.Unlock(); d.code, d.err = code, nil }

// findsAt sets what is found at one name; CauseOK by default.
func (d *doctor) findsAt(name, code string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.codes == nil {
		d.codes = map[string]string{}
	}
	d.codes[name] = code
}

func (d *doctor) fails(err error) { d.mu.Lock(); defer d.mu.Unlock(); d.err = err }

func (d *doctor) panics(with string) { d.mu.Lock(); defer d.mu.Unlock(); d.panic = with }

func (d *doctor) checks() int { d.mu.Lock(); defer d.mu.Unlock(); return d.checked }

func (d *doctor) look(domain, target string) (controlplane.Diagnosis, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.checked++
	if d.panic != "" {
		panic(d.panic)
	}
	code := cmp.Or(d.codes[domain], d.code, controlplane.CauseOK)
	summary := "Found " + code + "."
	if d.codes != nil {
		summary = "Found " + code + " at " + domain + "."
	}
	return controlplane.Diagnosis{Code: code, Summary: summary, Observed: "observed", Expected: domain + " CNAME " + target, Fix: "Fix it.",
		CheckedAt: d.clock.Now(),
		Evidence:  []controlplane.Observation{{Source: "a resolver", Name: domain}}}, d.err
}

// RehearseNames implements lifecycle.Doctor.
func (d *doctor) RehearseNames(
	ctx context.Context, names []controlplane.NameCheck, cas []controlplane.CAIdentity,
) ([]controlplane.Examination, error) {
	all, err := d.ExamineNames(ctx, names, cas)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rehearsed++
	for i := range all {
		all[i].Delegation.CheckedAt = all[i].Delegation.CheckedAt.Add(-d.reuses)
	}
	return all, err
}

// ExamineNames implements lifecycle.Doctor.
func (d *doctor) ExamineNames(
	_ context.Context, names []controlplane.NameCheck, _ []controlplane.CAIdentity,
) ([]controlplane.Examination, error) {
	all := make([]controlplane.Examination, len(names))
	for i, n := range names {
		found, err := d.look(n.Name, n.Target)
		if err != nil {
			return nil, err
		}
		d.mu.Lock()
		all[i] = controlplane.Examination{Delegation: found, CAA: d.caa}
		if caa, ok := d.caaOf[n.Name]; ok {
			all[i].CAA = caa
		}
		d.mu.Unlock()
		switch {
		case !found.OK():
			all[i].Causes = []controlplane.Diagnosis{found}
		case len(all[i].CAA) > 0 && len(all[i].Allowed()) == 0:
			f := all[i].CAA[0]
			all[i].Causes = []controlplane.Diagnosis{{Code: f.Code, Summary: f.Summary,
				Observed: f.Observed, Expected: f.Expected, Fix: f.Fix}}
		case len(all[i].Allowed()) == len(all[i].CAA):
			all[i].Clear = controlplane.Certified{Plain: true, Wildcard: true}
			if c, ok := d.clearOf[n.Name]; ok {
				all[i].Clear = c
			}
		}
	}
	d.mu.Lock()
	during := d.during
	d.during = nil
	d.mu.Unlock()
	if during != nil {
		during()
	}
	return all, nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError checks kind and code and returns the error.
func wantError(
	t testing.TB, name string, err error, k controlplane.Kind, code string,
) controlplane.Error {
	t.Helper()
	e, ok := errors.AsType[*controlplane.Error](err)
	if !ok || e.Kind != k || e.Code != code {
		t.Errorf("%s: error = %v, want %s %s", name, err, k, code)
		return controlplane.Error{}
	}
	if e.Message == "" || e.Fix == "" {
		t.Errorf("%s: error = %+v, want a message and a fix", name, e)
	}
	return *e
}

func pointers(e controlplane.Error) []string {
	var out []string
	for _, f := range e.Fields {
		out = append(out, f.Pointer+" "+f.Code)
	}
	return out
}

func wantCondition(
	t testing.TB, d *controlplane.Domain, typ controlplane.ConditionType,
	status controlplane.ConditionStatus, reason controlplane.Reason,
) controlplane.Condition {
	t.Helper()
	c := d.Condition(typ)
	if c.Status != status || c.Reason != reason {
		t.Errorf("%s = %s (%s), want %s (%s): %s", typ, c.Status, c.Reason, status, reason,
			toJSON(d.Conditions))
	}
	return c
}

func wantStatus(
	t testing.TB, d *controlplane.Domain, status controlplane.DomainStatus,
	reason controlplane.Reason,
) {
	t.Helper()
	if d.Status != status || d.StatusReason != reason {
		t.Errorf("domain status = %s (%s), want %s (%s)", d.Status, d.StatusReason, status, reason)
	}
}

// wantJob checks a job's status, reason, and number of failures.
func wantJob(
	t testing.TB, j *controlplane.Job, status controlplane.JobStatus, reason controlplane.Reason,
	attempts int,
) {
	t.Helper()
	if j.Status != status || j.Reason != reason || j.Attempts != attempts {
		t.Errorf("job = %s (%s) after %d failures, want %s (%s) after %d: %s", j.Status, j.Reason,
			j.Attempts, status, reason, attempts, toJSON(j))
	}
}

func toJSON(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// soon returns the next value of ch within 20 s.
func soon[T any](t testing.TB, name string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("timed out waiting for %s", name)
		panic("unreachable")
	}
}

// noneVisible returns a Config.Visible that fails while *fail is true.
func noneVisible(fail *bool) func(context.Context, string, []string) error {
	return func(context.Context, string, []string) error {
		if *fail {
			return errors.New("192.0.2.1:53 answers NXDOMAIN")
		}
		return nil
	}
}
