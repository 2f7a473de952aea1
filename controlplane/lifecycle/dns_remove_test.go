package lifecycle_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// applied is a domain whose records were created through a connection.
type applied struct {
	*world
	z      *zoneFile
	c      *controlplane.Connection
	d      *controlplane.Domain
	record controlplane.Record // of its name
	id     string              // of its delegation
}

func newApplied(t *testing.T, names ...string) *applied {
	t.Helper()
	z := newZoneFile()
	a := &applied{world: newWorld(t, z.config), z: z}
	a.c, a.d = a.connection(), a.add("example.com", withNames(names...))
	a.record = a.DelegationOf(a.d)
	a.create(a.d)
	a.id = value[string](a.world, `SELECT id FROM delegations WHERE name = $1`, a.d.Name)
	return a
}

// create creates the records of a domain.
func (a *applied) create(d *controlplane.Domain) {
	a.t.Helper()
	before := a.z.creates
	j, err := a.apply(d, a.c)
	must(a.t, err)
	a.wantApplied(j, len(d.Bases()), 0)
	if got := a.z.creates - before; got != len(d.Bases()) {
		a.t.Fatalf("%d writes, want %d", got, len(d.Bases()))
	}
}

func (a *applied) delete(d *controlplane.Domain) {
	a.t.Helper()
	must(a.t, a.DeleteDomain(a.t.Context(), alice, a.org, d.ID, 0))
}

// open returns the open job of the connection, nil if it has none.
func (a *applied) open() *controlplane.Job {
	a.t.Helper()
	j, err := a.Store.OpenConnectionJob(a.t.Context(), a.org, a.c.ID)
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return nil
	}
	must(a.t, err)
	return j
}

// runOpen runs the open job of the connection.
func (a *applied) runOpen() *controlplane.Job {
	a.t.Helper()
	j := a.open()
	if j == nil {
		a.t.Fatal("the connection has no open job")
	}
	j, err := a.runApply(j)
	must(a.t, err)
	return j
}

func (a *applied) sweep() {
	a.t.Helper()
	_, err := a.RemoveRecords(a.t.Context())
	must(a.t, err)
}

// wantZone fails unless the DNS host has CNAMEs at exactly these names.
func (a *applied) wantZone(what string, names ...string) {
	a.t.Helper()
	var got []string
	for name := range a.z.has {
		got = append(got, strings.TrimPrefix(name, "_acme-challenge."))
	}
	slices.Sort(got)
	if !slices.Equal(got, names) {
		a.t.Errorf("%s: the DNS host has the records of %v, want %v", what, got, names)
	}
}

// wantRows fails unless that many records are stored.
func (a *applied) wantRows(what string, want int) {
	a.t.Helper()
	if n := value[int](a.world, `SELECT count(*) FROM dns_records`); n != want {
		a.t.Errorf("%s: %d records are stored, want %d", what, n, want)
	}
}

// wantLeft fails unless the last entry of the delegation is that its record stays for the reason.
func (a *applied) wantLeft(id string, reason controlplane.LeftReason) controlplane.AuditEntry {
	a.t.Helper()
	e := a.last(id)
	if e.Action != controlplane.ActionRecordLeft || e.Details["reason"] != string(reason) ||
		e.Details["name"] != a.record.Name {
		a.t.Errorf("the last entry is %s %v, want %s with the reason %s", e.Action, e.Details,
			controlplane.ActionRecordLeft, reason)
	}
	return e
}

// The end of a delegation removes its record, and only that: when a name is removed from a domain,
// with the domain, and with a pinned delegation.
func TestRemoveRecords(t *testing.T) {
	t.Parallel()
	a := newApplied(t, "b.example.com", "c.example.com")
	other := a.add("other.example.com")
	a.create(other)
	manual := controlplane.RecordSet{Name: "_acme-challenge.manual.example.com", Type: "CNAME",
		Values: []string{"x."}}
	a.z.has[manual.Name] = []controlplane.RecordSet{manual}

	_, err := a.UpdateDomain(t.Context(), alice, a.org, a.d.ID, 0,
		lifecycle.DomainPatch{AdditionalNames: &[]string{"c.example.com"}})
	must(t, err)
	j := a.runOpen()
	wantJob(t, j, controlplane.JobSucceeded, "", 0)
	if j.Result["removed"] != 1.0 || j.Result["left"] != 0.0 || j.Result["created"] != 0.0 {
		t.Errorf("the result is %v, want one removed record", j.Result)
	}
	a.wantZone("after the removal of a name", "c.example.com", "example.com", "manual.example.com",
		"other.example.com")

	_, _, err = a.PinDelegation(t.Context(), alice, a.org, "c.example.com", "")
	must(t, err)
	a.delete(a.d)
	wantJob(t, a.runOpen(), controlplane.JobSucceeded, "", 0)
	a.wantZone("after the deletion of the domain", "c.example.com", "manual.example.com",
		"other.example.com")
	e := a.last(a.id)
	was := map[string]any{"records": []any{map[string]any{"name": a.record.Name, "type": "CNAME",
		"values": []any{a.record.Target + "."}}}}
	if e.Action != controlplane.ActionRecordRemoved || e.Actor.Type != controlplane.ActorSystem {
		t.Errorf("the last entry is %s by %s, want %s", e.Action, e.Actor.Type,
			controlplane.ActionRecordRemoved)
	}
	if diff := cmp.Diff(was, e.Before); diff != "" {
		t.Errorf("before the removal (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"records": []any{}}, e.After); diff != "" {
		t.Errorf("after the removal (-want +got)\n%s", diff)
	}

	must(t, a.ReleaseDelegation(t.Context(), alice, a.org, "c.example.com"))
	a.runOpen()
	a.wantZone("after the end of the pinned delegation", "manual.example.com", "other.example.com")
	a.wantRows("after all removals", 1)
	a.sweep()
	if j := a.open(); j != nil {
		t.Errorf("a sweep without an ended delegation added the job %s", j.ID)
	}
	if a.z.removes != 3 {
		t.Errorf("%d removals, want 3", a.z.removes)
	}
}

// A record that someone changed stays, and one that is gone counts as removed. One that was there
// before is never removed.
func TestRemoveRecordsAsCreated(t *testing.T) {
	t.Parallel()
	a := newApplied(t)
	changed := controlplane.RecordSet{Name: a.record.Name, Type: "CNAME", Values: []string{"x."}}
	a.z.has[a.record.Name] = []controlplane.RecordSet{changed}
	a.delete(a.d)
	j := a.runOpen()
	wantJob(t, j, controlplane.JobSucceeded, "", 0)
	if j.Result["removed"] != 0.0 || j.Result["left"] != 1.0 {
		t.Errorf("the result is %v, want one record that is left", j.Result)
	}
	a.wantZone("a changed record", "example.com")
	e := a.wantLeft(a.id, controlplane.LeftChanged)
	if got, _ := e.Details["records"].([]any); len(got) != 1 {
		t.Errorf("the entry has the records %v, want what the name has", e.Details["records"])
	}

	gone := a.add("gone.example.com")
	a.create(gone)
	id := value[string](a.world, `SELECT id FROM delegations WHERE name = 'gone.example.com'`)
	delete(a.z.has, a.DelegationOf(gone).Name)
	a.delete(gone)
	wantJob(t, a.runOpen(), controlplane.JobSucceeded, "", 0)
	if e := a.last(id); e.Action != controlplane.ActionRecordRemoved ||
		toJSON(e.Before) != `{"records":[]}` {
		t.Errorf("the last entry of a record that was gone is %s with %v before, want %s", e.Action,
			e.Before, controlplane.ActionRecordRemoved)
	}

	present := a.add("present.example.com")
	j, err := a.apply(present, a.c)
	must(t, err)
	r := a.DelegationOf(present)
	a.z.has[r.Name] = []controlplane.RecordSet{{Name: r.Name, Type: "CNAME",
		Values: []string{r.Target + "."}}}
	a.wantApplied(j, 0, 1)
	a.delete(present)
	if j := a.open(); j != nil {
		t.Errorf("the end of a delegation whose record was there added the job %s", j.ID)
	}
	a.wantZone("a record that was there", "example.com", "present.example.com")
	a.wantRows("at the end", 0)
	if a.z.removes != 0 {
		t.Errorf("%d removals, want none", a.z.removes)
	}
}

// A name that is added again keeps its record, or gets it back if it was removed meanwhile.
func TestRemoveRecordsOfAddedNames(t *testing.T) {
	t.Parallel()
	a := newApplied(t)
	a.delete(a.d)
	a.d = a.add("example.com")
	wantJob(t, a.runOpen(), controlplane.JobSucceeded, "", 0)
	a.wantZone("added before the removal", "example.com")
	if a.z.removes != 0 {
		t.Errorf("%d removals of a record that is needed, want none", a.z.removes)
	}

	a.delete(a.d)
	a.z.after = func(controlplane.HostRecord) error {
		a.z.after = nil
		a.d = a.add("example.com")
		return nil
	}
	wantJob(t, a.runOpen(), controlplane.JobSucceeded, "", 0)
	a.wantZone("added during the removal", "example.com")
	if a.z.removes != 1 || a.z.creates != 2 {
		t.Errorf("%d removals and %d creations, want 1 and 2", a.z.removes, a.z.creates)
	}

	// The response of the removal is lost, and the sweep is the first to see the name.
	a.delete(a.d)
	a.z.after = func(controlplane.HostRecord) error {
		a.z.after = nil
		return &controlplane.HostError{Kind: controlplane.HostUnreachable, Message: "No response."}
	}
	wantJob(t, a.runOpen(), controlplane.JobQueued, controlplane.CodeHostUnreachable, 0)
	a.d = a.add("example.com")
	a.exec(`UPDATE dns_records SET remove_at = '-infinity'`)
	a.sweep()
	wantJob(t, a.runOpen(), controlplane.JobSucceeded, "", 0)
	a.wantZone("added after a lost response", "example.com")

	// An apply while the removal waits keeps the record, too.
	a.delete(a.d)
	a.d = a.add("example.com")
	j, err := a.apply(a.d, a.c)
	must(t, err)
	_, err = a.runApply(j)
	must(t, err)
	a.wantZone("applied before the removal", "example.com")
	a.delete(a.d)
	a.runOpen()
	a.wantZone("after the last deletion")
	a.wantRows("after the last deletion", 0)
}

// A removal whose response was lost is found: after a timeout, and by the worker that resumes the
// job of one that was killed between the write and its own record of it.
func TestRemoveRecordsOnce(t *testing.T) {
	t.Parallel()
	a := newApplied(t, "b.example.com")
	timeout := &controlplane.HostError{Kind: controlplane.HostUnreachable, Message: "No response."}
	a.z.after = func(controlplane.HostRecord) error { return timeout }
	a.delete(a.d)
	j := a.runOpen()
	wantJob(t, j, controlplane.JobQueued, controlplane.CodeHostUnreachable, 0)
	if !j.RunAt.After(a.clock.Now()) {
		t.Errorf("the next attempt is at %s, want later", j.RunAt)
	}
	a.z.after = func(controlplane.HostRecord) error {
		a.z.after = nil
		a.exec(`UPDATE jobs SET claimed_by = 'killed', claimed_until = now() - interval '1 s' WHERE id = $1`,
			j.ID)
		return nil
	}
	if j = a.runOpen(); j.Status != controlplane.JobRunning {
		t.Fatalf("the job is %s, want it left by the killed worker", j.Status)
	}
	wantJob(t, a.runOpen(), controlplane.JobSucceeded, "", 0)
	a.wantZone("at the end")
	a.wantRows("at the end", 0)
	if a.z.removes != 2 {
		t.Errorf("%d removals, want 2", a.z.removes)
	}
	for _, name := range []string{"_acme-challenge.example.com", "_acme-challenge.b.example.com"} {
		if got := value[string](a.world, `SELECT string_agg(before->'records'->0->>'name', ' ') FROM audit_logs
			WHERE action = $1 AND details->>'name' = $2`, controlplane.ActionRecordRemoved,
			name); got != name {
			t.Errorf("the entries of the removal of %s have %q before, want one with the record", name,
				got)
		}
	}
}

// Replicas that sweep, run the job, and delete domains at the same time remove each record once.
func TestRemoveRecordsAtTheSameTime(t *testing.T) {
	t.Parallel()
	const domains = 8
	a := newApplied(t)
	all := []*controlplane.Domain{a.d}
	for i := range domains {
		d := a.add(string(rune('a'+i)) + ".example.com")
		a.create(d)
		all = append(all, d)
	}
	replica, err := lifecycle.New(a.Config)
	must(t, err)
	var work sync.WaitGroup
	for _, s := range []*lifecycle.Service{a.Service, replica} {
		work.Go(func() {
			for range 50 {
				if _, err := s.RemoveRecords(t.Context()); err != nil {
					t.Errorf("RemoveRecords() = %v, want nil", err)
				}
				j, err := s.Store.OpenConnectionJob(t.Context(), a.org, a.c.ID)
				if err == nil {
					err = s.RunJob(t.Context(), j.ID, j.Generation)
				}
				if err != nil && !controlplane.IsKind(err, controlplane.KindNotFound) {
					t.Errorf("RunJob() = %v, want nil", err)
				}
			}
		})
	}
	for _, d := range all {
		work.Go(func() {
			if err := a.DeleteDomain(t.Context(), alice, a.org, d.ID, 0); err != nil {
				t.Errorf("DeleteDomain(%s) = %v, want nil", d.Name, err)
			}
		})
	}
	work.Wait()
	for a.open() != nil {
		a.runOpen()
	}
	a.wantZone("at the end")
	a.wantRows("at the end", 0)
	if a.z.removes != len(all) {
		t.Errorf("%d removals, want %d", a.z.removes, len(all))
	}
	if n := value[int](a.world, `SELECT count(*) FROM audit_logs WHERE action = $1`,
		controlplane.ActionRecordRemoved); n != len(all) {
		t.Errorf("%d entries of removals, want %d", n, len(all))
	}
}

// A host that does not permit a removal ends it. An internal failure is retried later, even if the
// last attempt of a job has failed.
func TestRemoveRecordsFails(t *testing.T) {
	t.Parallel()
	a := newApplied(t)
	a.z.before = func(controlplane.HostRecord) error { return errors.New("internal") }
	a.delete(a.d)
	j := a.open()
	for range controlplane.MaxAttempts {
		j, _ = a.runApply(j)
	}
	wantJob(t, j, controlplane.JobFailed, controlplane.ReasonDeadLettered, controlplane.MaxAttempts)
	a.sweep()
	if j := a.open(); j != nil {
		t.Errorf("a sweep added the job %s at once after a dead letter", j.ID)
	}
	a.clock.add(time.Hour)
	a.sweep()
	a.z.before = func(controlplane.HostRecord) error {
		return &controlplane.HostError{Kind: controlplane.HostDenied, Message: "No permission."}
	}
	wantJob(t, a.runOpen(), controlplane.JobSucceeded, "", 0)
	a.wantLeft(a.id, controlplane.LeftDenied)
	a.wantRows("at the end", 0)
}

// A record whose creation may have reached the host counts as one that is to be removed, and is
// removed once the host responds.
func TestRemoveRecordsOfUncertainCreations(t *testing.T) {
	t.Parallel()
	a := newApplied(t)
	d := a.add("b.example.com")
	j, err := a.apply(d, a.c)
	must(t, err)
	a.z.after = func(controlplane.HostRecord) error {
		a.z.after = nil
		return &controlplane.HostError{Kind: controlplane.HostUnreachable, Message: "No response."}
	}
	j, err = a.runApply(j)
	must(t, err)
	wantJob(t, j, controlplane.JobQueued, controlplane.CodeHostUnreachable, 0)
	a.delete(d)
	err = a.DeleteConnection(t.Context(), alice, a.org, a.c.ID, false)
	wantError(t, "DeleteConnection()", err, controlplane.KindConflict,
		controlplane.CodeConnectionBusy)
	a.wantZone("before the next attempt", "b.example.com", "example.com")
	wantJob(t, a.runOpen(), controlplane.JobSucceeded, "", 0)
	a.wantZone("after it", "example.com")
	a.wantRows("after it", 1)

	// A creation that did not reach the host is not repeated for a domain that was deleted.
	d = a.add("c.example.com")
	j, err = a.apply(d, a.c)
	must(t, err)
	a.z.before = func(controlplane.HostRecord) error {
		a.z.before = nil
		return &controlplane.HostError{Kind: controlplane.HostUnreachable, Message: "No response."}
	}
	_, err = a.runApply(j)
	must(t, err)
	a.delete(d)
	wantJob(t, a.runOpen(), controlplane.JobSucceeded, "", 0)
	a.wantZone("after a creation that was lost", "example.com")
	if a.z.creates != 2 {
		t.Errorf("%d creations, want 2", a.z.creates)
	}
}
