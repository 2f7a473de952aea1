package lifecycle_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// zoneFile is what a fake DNS host has.
type zoneFile struct {
	*hosts
	mu      sync.Mutex
	has     map[string][]controlplane.RecordSet
	creates int // that changed something
	removes int // that changed something
	after   func(controlplane.HostRecord) error
	before  func(controlplane.HostRecord) error
}

// newZoneFile returns a fake that has the records of no name.
func newZoneFile() *zoneFile {
	z := &zoneFile{has: map[string][]controlplane.RecordSet{}}
	z.hosts = &hosts{
		records: func(_, name string) ([]controlplane.RecordSet, error) { return z.at(name), nil },
		create: func(r controlplane.HostRecord, replace []controlplane.RecordSet) (string, error) {
			return "", z.write(r, func(found []controlplane.RecordSet) error {
				if !controlplane.SameRecords(found, replace) {
					return &controlplane.HostError{Kind: controlplane.HostConflict,
						Message: "Other records.", Found: found}
				}
				z.creates++
				z.has[r.Name] = []controlplane.RecordSet{{Name: r.Name, Type: "CNAME",
					Values: []string{r.Value + "."}}}
				return nil
			})
		},
		remove: func(r controlplane.HostRecord) error {
			return z.write(r, func(found []controlplane.RecordSet) error {
				if len(found) != 1 || !found[0].Is(r.Value) {
					return &controlplane.HostError{Kind: controlplane.HostChanged,
						Message: "Not the record.", Found: found}
				}
				z.removes++
				delete(z.has, r.Name)
				return nil
			})
		}}
	return z
}

func (z *zoneFile) at(name string) []controlplane.RecordSet {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.has[name]
}

// write calls change with what the name has, between the hooks.
func (z *zoneFile) write(
	r controlplane.HostRecord, change func([]controlplane.RecordSet) error,
) error {
	if z.before != nil {
		if err := z.before(r); err != nil {
			return err
		}
	}
	z.mu.Lock()
	err := change(z.has[r.Name])
	z.mu.Unlock()
	if err != nil || z.after == nil {
		return err
	}
	return z.after(r)
}

func (z *zoneFile) config(c *lifecycle.Config) { c.DNSHosts = z }

func (w *world) apply(
	d *controlplane.Domain, c *controlplane.Connection, overwrite ...controlplane.RecordSet,
) (*controlplane.Job, error) {
	w.t.Helper()
	j, _, err := w.ApplyRecords(w.t.Context(), alice, w.org, lifecycle.RecordsToApply{
		ConnectionID: c.ID, Overwrite: overwrite}, w.RecordsOf(d))
	return j, err
}

// runApply runs a job when it is due.
func (w *world) runApply(j *controlplane.Job) (*controlplane.Job, error) {
	w.t.Helper()
	j, err := w.Store.Job(w.t.Context(), w.org, j.ID)
	must(w.t, err)
	if j.RunAt.After(w.clock.Now()) {
		w.clock.set(j.RunAt)
	}
	rerr := w.RunJob(w.t.Context(), j.ID, j.Generation)
	j, err = w.Store.Job(w.t.Context(), w.org, j.ID)
	must(w.t, err)
	return j, rerr
}

func (w *world) wantApplied(j *controlplane.Job, created, present int, failed ...string) {
	w.t.Helper()
	j, err := w.runApply(j)
	must(w.t, err)
	got := []any{j.Status, j.Result["created"], j.Result["present"]}
	for _, f := range j.Result["failed"].([]any) {
		got = append(got, f.(map[string]any)["name"].(string)+" "+f.(map[string]any)["code"].(string))
	}
	want := []any{controlplane.JobSucceeded, float64(created), float64(present)}
	for _, f := range failed {
		want = append(want, f)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("the result of the job (-want +got)\n%s", diff)
	}
}

func withNames(names ...string) func(*controlplane.Options) {
	return func(o *controlplane.Options) { o.AdditionalNames = names }
}

// A job creates the records of a domain and of another one that was added meanwhile, and the
// domains are checked at once. Other records of a name are kept.
func TestApplyRecords(t *testing.T) {
	t.Parallel()
	z := newZoneFile()
	w := newWorld(t, z.config)
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	c := w.connection()
	d := w.add("example.com", withNames("txt.example.com", "www.example.org"))
	w.run(d, controlplane.JobDNSCheck)
	if due := w.job(d, controlplane.JobDNSCheck).RunAt; !due.After(w.clock.Now()) {
		t.Fatalf("the next check is at %s, want later", due)
	}
	txt := controlplane.RecordSet{Name: "_acme-challenge.txt.example.com", Type: "TXT",
		Values: []string{`"x"`}}
	z.has[txt.Name] = []controlplane.RecordSet{txt}
	j, err := w.apply(d, c)
	must(t, err)
	other := w.add("a.example.com")
	if again, err := w.apply(other, c); err != nil || again.ID != j.ID {
		t.Errorf("ApplyRecords() of another domain = %v, %v, want the open job", again, err)
	}
	w.wantApplied(j, 2, 0)
	if got := z.has[txt.Name]; !controlplane.SameRecords(got, []controlplane.RecordSet{txt}) {
		t.Errorf("the TXT was replaced by %v", got)
	}
	for _, d := range []*controlplane.Domain{d, other} {
		target := w.DelegationOf(d)
		if got := z.has[target.Name]; len(got) != 1 || !got[0].Is(target.Target) {
			t.Errorf("%s has %v, want the CNAME", target.Name, got)
		}
		if due := w.job(d, controlplane.JobDNSCheck).RunAt; due.After(w.clock.Now()) {
			t.Errorf("the check of %s is at %s, want now", d.Name, due)
		}
		id := value[string](w, `SELECT id FROM delegations WHERE name = $1`, d.Name)
		if w.count(id, controlplane.ActionRecordRequested) != 1 ||
			w.count(id, controlplane.ActionRecordCreated) != 1 {
			t.Errorf("the log of %s = %v, want a request and a creation", d.Name, w.events(id))
		}
	}
	// Again: nothing is left but what needs permission.
	j, err = w.apply(d, c)
	must(t, err)
	w.wantApplied(j, 0, 0)
	wrong := txt
	wrong.Values = []string{`"y"`}
	_, err = w.apply(d, c, wrong)
	wantCode(t, err, controlplane.CodeDNSChanged)
	wrong.Name = "_acme-challenge.other.example.com"
	_, err = w.apply(d, c, wrong)
	wantCode(t, err, controlplane.CodeDNSChanged)
	j, err = w.apply(d, c, txt)
	must(t, err)
	w.wantApplied(j, 1, 0)
	if z.creates != 3 {
		t.Errorf("%d writes, want 3", z.creates)
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if !controlplane.HasCode(err, code) {
		t.Errorf("error = %v, want the code %s", err, code)
	}
}

// A plan is applied only while it is right, and an error names why no record can be created.
func TestApplyRecordsOfAPlan(t *testing.T) {
	t.Parallel()
	z := newZoneFile()
	w := newWorld(t, z.config)
	c, d := w.connection(), w.add("example.com")
	plan, err := w.PlanRecords(t.Context(), w.org, c.ID, w.RecordsOf(d))
	must(t, err)
	apply := func(org, id string) (*controlplane.Job, error) {
		j, _, err := w.ApplyRecords(t.Context(), alice, org, lifecycle.RecordsToApply{PlanID: id},
			w.RecordsOf(d))
		return j, err
	}
	name := "_acme-challenge.example.com"
	z.has[name] = []controlplane.RecordSet{{Name: name, Type: "A", Values: []string{"192.0.2.1"}}}
	_, err = apply(w.org, plan.ID())
	wantCode(t, err, controlplane.CodeDNSChanged)
	_, err = w.apply(d, c)
	wantCode(t, err, controlplane.CodeDNSConflict)
	delete(z.has, name)
	if _, err = apply(w.organization(1), plan.ID()); !controlplane.IsKind(err,
		controlplane.KindNotFound) {
		t.Errorf("ApplyRecords() in another organization = %v, want not found", err)
	}
	outside := w.add("example.org")
	_, err = w.apply(outside, c)
	wantCode(t, err, controlplane.CodeNoZone)
	j, err := apply(w.org, plan.ID())
	must(t, err)
	// Before the job runs, the name gets other records.
	z.has[name] = []controlplane.RecordSet{{Name: name, Type: "TXT", Values: []string{`"x"`}}}
	w.wantApplied(j, 0, 0, name+" "+controlplane.CodeDNSConflict)
	if z.creates != 0 {
		t.Errorf("%d writes, want none", z.creates)
	}
}

// A record whose response was lost is found, and not created twice: after a timeout, and by the
// worker that resumes the job of one that was killed.
func TestApplyRecordsOnce(t *testing.T) {
	t.Parallel()
	z := newZoneFile()
	w := newWorld(t, z.config)
	c := w.connection()
	d := w.add("example.com", withNames("b.example.com", "c.example.com"))
	j, err := w.apply(d, c)
	must(t, err)
	timeout := &controlplane.HostError{Kind: controlplane.HostUnreachable, Message: "No response."}
	z.after = func(controlplane.HostRecord) error { return timeout }
	j, err = w.runApply(j)
	must(t, err)
	wantJob(t, j, controlplane.JobQueued, controlplane.CodeHostUnreachable, 0)
	if !j.RunAt.After(w.clock.Now()) {
		t.Errorf("the next attempt is at %s, want later", j.RunAt)
	}
	// The next worker is killed after its write.
	z.after = func(r controlplane.HostRecord) error {
		w.exec(`UPDATE jobs SET claimed_by = 'killed', claimed_until = now() - interval '1 s' WHERE id = $1`,
			j.ID)
		z.after = nil
		return nil
	}
	j, err = w.runApply(j)
	must(t, err)
	if j.Status != controlplane.JobRunning {
		t.Fatalf("the job is %s, want it left by the killed worker", j.Status)
	}
	w.wantApplied(j, 3, 0)
	if z.creates != 3 {
		t.Errorf("%d writes, want 3", z.creates)
	}
	id := value[string](w, `SELECT id FROM delegations WHERE name = 'b.example.com'`)
	if n := w.count(id, controlplane.ActionRecordCreated); n != 1 {
		t.Errorf("%d entries of one creation, want 1", n)
	}
}

// No record is created for a domain that was deleted meanwhile.
func TestApplyRecordsOfADeletedDomain(t *testing.T) {
	t.Parallel()
	z := newZoneFile()
	w := newWorld(t, z.config)
	c, d := w.connection(), w.add("example.com")
	j, err := w.apply(d, c)
	must(t, err)
	_, err = w.apply(w.add("b.example.com"), c)
	must(t, err)
	must(t, w.DeleteDomain(t.Context(), alice, w.org, d.ID, 0))
	w.wantApplied(j, 1, 0)
	if z.creates != 1 || len(z.has[w.DelegationOf(d).Name]) != 0 {
		t.Errorf("%d writes, want only that of the other domain", z.creates)
	}
	// One that was added again has its record.
	d = w.add("example.com")
	j, err = w.apply(d, c)
	must(t, err)
	must(t, w.DeleteDomain(t.Context(), alice, w.org, d.ID, 0))
	d = w.add("example.com")
	_, err = w.apply(d, c)
	must(t, err)
	w.wantApplied(j, 1, 0)
}

// A record that somebody else created meanwhile is not regarded as created here.
func TestApplyRecordsPresent(t *testing.T) {
	t.Parallel()
	z := newZoneFile()
	w := newWorld(t, z.config)
	c, d := w.connection(), w.add("example.com")
	j, err := w.apply(d, c)
	must(t, err)
	r := w.DelegationOf(d)
	z.has[r.Name] = []controlplane.RecordSet{{Name: r.Name, Type: "CNAME",
		Values: []string{r.Target + "."}}}
	w.wantApplied(j, 0, 1)
}

// Rejected credentials end the job and are reported. The records wait for other credentials.
func TestApplyRecordsInvalidCredentials(t *testing.T) {
	t.Parallel()
	z := newZoneFile()
	w := newWorld(t, z.config)
	c, d := w.connection(), w.add("example.com")
	j, err := w.apply(d, c)
	must(t, err)
	z.before = func(controlplane.HostRecord) error {
		return &controlplane.HostError{Kind: controlplane.HostInvalid, Message: "Unknown key."}
	}
	j, err = w.runApply(j)
	must(t, err)
	wantJob(t, j, controlplane.JobFailed, controlplane.CodeConnectionInvalid, 0)
	c, err = w.Store.Connection(t.Context(), w.org, c.ID)
	must(t, err)
	if c.Status != controlplane.ConnectionInvalid || c.StatusDetail != "Unknown key." ||
		w.count(c.ID, controlplane.ActionConnectionFailed) != 1 {
		t.Errorf("the connection is %s (%s), want it invalid, with an event", c.Status,
			c.StatusDetail)
	}
	z.before = nil
	_, err = w.TestConnection(t.Context(), alice, w.org, c.ID)
	must(t, err)
	next := value[string](w, `SELECT id FROM jobs WHERE connection_id = $1 AND status = 'queued'`, c.ID)
	j.ID = next
	j, err = w.runApply(j)
	must(t, err)
	if j.Status != controlplane.JobSucceeded || z.creates != 1 {
		t.Errorf("the next job is %s with %d writes, want 1", j.Status, z.creates)
	}
}

// Credentials that are sealed again while the host is called are the same credentials: what the
// host says about them counts.
func TestResealedCredentialsAreTheSame(t *testing.T) {
	t.Parallel()
	z := newZoneFile()
	w := newWorld(t, z.config)
	c, d := w.connection(), w.add("example.com")
	invalid := func() error {
		now, err := w.Store.Connection(t.Context(), w.org, c.ID)
		must(t, err)
		plain, err := w.sealer.Open(now.Sealed, c.ID)
		must(t, err)
		again, err := w.sealer.Seal(plain, c.ID)
		must(t, err)
		w.exec(`UPDATE dns_connections SET sealed_credentials = $2 WHERE id = $1`, c.ID, again)
		return &controlplane.HostError{Kind: controlplane.HostInvalid, Message: "Unknown key."}
	}
	z.before = func(controlplane.HostRecord) error { return invalid() }
	for what, call := range map[string]func() error{
		"TestConnection": func() error {
			z.test = invalid
			defer func() { z.test = nil }()
			_, err := w.TestConnection(t.Context(), alice, w.org, c.ID)
			return err
		},
		"a job": func() error {
			j, err := w.apply(d, c)
			must(t, err)
			_, err = w.runApply(j)
			return err
		},
	} {
		w.exec(`UPDATE dns_connections SET status = 'ok' WHERE id = $1`, c.ID)
		must(t, call())
		got, err := w.Store.Connection(t.Context(), w.org, c.ID)
		if err != nil || got.Status != controlplane.ConnectionInvalid {
			t.Errorf("status of the connection after %s = %s, %v, want invalid", what, got.Status, err)
		}
	}
}

// An internal failure is retried, and the last one leaves the records to the restarted job. The job
// of a deleted connection is gone with it.
func TestApplyRecordsFails(t *testing.T) {
	t.Parallel()
	z := newZoneFile()
	w := newWorld(t, z.config)
	c, d := w.connection(), w.add("example.com")
	j, err := w.apply(d, c)
	must(t, err)
	z.before = func(controlplane.HostRecord) error { return errors.New("internal") }
	for n := range controlplane.MaxAttempts {
		var dead *lifecycle.DeadLettered
		if j, err = w.runApply(j); err == nil ||
			errors.As(err, &dead) != (n+1 == controlplane.MaxAttempts) {
			t.Errorf("failure %d: %v", n+1, err)
		}
	}
	wantJob(t, j, controlplane.JobFailed, controlplane.ReasonDeadLettered, controlplane.MaxAttempts)
	z.before = nil
	_, started, err := w.RestartJob(t.Context(), alice, w.org, j.ID)
	if err != nil || !started {
		t.Fatalf("RestartJob() = %v, %v, want it restarted", started, err)
	}
	w.wantApplied(j, 1, 0)

	j, err = w.apply(w.add("b.example.com"), c)
	must(t, err)
	claim, err := w.Store.ClaimJob(t.Context(), j.ID, j.Generation, "w", time.Minute, w.clock.Now())
	must(t, err)
	must(t, w.DeleteConnection(t.Context(), alice, w.org, c.ID, false))
	must(t, w.RunJob(t.Context(), claim.Job.ID, j.Generation))
	if n := value[int](w, `SELECT count(*) FROM dns_records`); n != 0 {
		t.Errorf("%d records of a deleted connection", n)
	}
}
