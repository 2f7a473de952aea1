package lifecycle_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// A host that does not respond is retried with growing pauses. After a week, an entry names the
// record that stays there.
func TestRemoveRecordsAtADeadHost(t *testing.T) {
	t.Parallel()
	a := newApplied(t)
	a.z.before = func(controlplane.HostRecord) error {
		return &controlplane.HostError{Kind: controlplane.HostUnreachable, Message: "No response."}
	}
	a.z.hosts.records = func(_, _ string) ([]controlplane.RecordSet, error) {
		return nil, a.z.before(controlplane.HostRecord{})
	}
	a.delete(a.d)
	ended := a.clock.Now()
	var pauses []time.Duration
	for a.clock.Now().Before(ended.Add(controlplane.RemovalFor - time.Hour)) {
		a.sweep()
		j := a.runOpen()
		wantJob(t, j, controlplane.JobQueued, controlplane.CodeHostUnreachable, 0)
		pauses = append(pauses, j.RunAt.Sub(a.clock.Now()))
		if len(pauses) > 20 {
			a.clock.add(6 * time.Hour)
		}
	}
	if !slices.IsSorted(pauses[:8]) || pauses[0] > time.Minute || pauses[20] < 9*time.Minute {
		t.Errorf("the pauses are %v, want them to grow to about 15 minutes", pauses)
	}
	if a.count(a.id, controlplane.ActionRecordLeft) != 0 {
		t.Error("the removal ended before its time")
	}
	err := a.DeleteConnection(t.Context(), alice, a.org, a.c.ID, false)
	e := wantError(t, "DeleteConnection() with a pending removal", err, controlplane.KindConflict,
		controlplane.CodeConnectionBusy)
	if !strings.Contains(e.Message, "(1): "+a.record.Name) || !e.RetryAt.After(a.clock.Now()) {
		t.Errorf("DeleteConnection() = %q, retry at %s, want the record and a later time",
			e.Message, e.RetryAt)
	}
	a.clock.set(ended.Add(controlplane.RemovalFor))
	a.sweep()
	a.wantLeft(a.id, controlplane.LeftTimeout)
	a.wantRows("after a week", 0)
	wantJob(t, a.runOpen(), controlplane.JobSucceeded, "", 0)
	must(t, a.DeleteConnection(t.Context(), alice, a.org, a.c.ID, false))
}

// Rejected credentials end the job, which other credentials start again. Without these, the removal
// ends after a week.
func TestRemoveRecordsWithRevokedCredentials(t *testing.T) {
	t.Parallel()
	a := newApplied(t, "b.example.com")
	revoked := &controlplane.HostError{Kind: controlplane.HostInvalid, Message: "Unknown key."}
	a.z.before = func(controlplane.HostRecord) error { return revoked }
	_, err := a.UpdateDomain(t.Context(), alice, a.org, a.d.ID, 0,
		lifecycle.DomainPatch{AdditionalNames: &[]string{}})
	must(t, err)
	wantJob(t, a.runOpen(), controlplane.JobFailed, controlplane.CodeConnectionInvalid, 0)
	a.clock.add(2 * time.Hour)
	a.sweep()
	if j := a.open(); j != nil {
		t.Errorf("a sweep added the job %s of an invalid connection", j.ID)
	}
	a.z.before = nil
	_, err = a.TestConnection(t.Context(), alice, a.org, a.c.ID)
	must(t, err)
	wantJob(t, a.runOpen(), controlplane.JobSucceeded, "", 0)
	a.wantZone("with valid credentials", "example.com")

	a.z.before = func(controlplane.HostRecord) error { return revoked }
	a.delete(a.d)
	wantJob(t, a.runOpen(), controlplane.JobFailed, controlplane.CodeConnectionInvalid, 0)
	a.clock.add(controlplane.RemovalFor)
	a.sweep()
	if e := a.wantLeft(a.id, controlplane.LeftTimeout); !strings.Contains(
		e.Details["detail"].(string), "Unknown key.") {
		t.Errorf("the detail is %v, want why the connection is invalid", e.Details["detail"])
	}
	a.wantRows("after a week", 0)
}

// A connection is deleted with pending removals only on request, which names the records that stay.
// Records of existing delegations stay without an entry.
func TestDeleteConnectionAndKeepRecords(t *testing.T) {
	t.Parallel()
	a := newApplied(t)
	b := a.add("b.example.com")
	a.create(b)
	a.delete(a.d)
	err := a.DeleteConnection(t.Context(), alice, a.org, a.c.ID, false)
	wantError(t, "DeleteConnection()", err, controlplane.KindConflict,
		controlplane.CodeConnectionBusy)
	must(t, a.DeleteConnection(t.Context(), alice, a.org, a.c.ID, true))
	if e := a.wantLeft(a.id, controlplane.LeftKept); e.Actor.ID != alice.ID {
		t.Errorf("the entry is by %s, want %s", e.Actor.ID, alice.ID)
	}
	if n := value[int](a.world, `SELECT count(*) FROM audit_logs WHERE action = $1`,
		controlplane.ActionRecordLeft); n != 1 {
		t.Errorf("%d entries of records that stay, want 1", n)
	}
	a.wantZone("after the deletion", "b.example.com", "example.com")
	a.wantRows("after the deletion", 0)
	a.delete(b)
	a.sweep()
}

// A record that is created through another connection takes the place of one whose removal waits.
func TestMoveRecords(t *testing.T) {
	t.Parallel()
	a := newApplied(t)
	a.z.before = func(controlplane.HostRecord) error {
		return &controlplane.HostError{Kind: controlplane.HostUnreachable, Message: "No response."}
	}
	a.delete(a.d)
	a.runOpen()
	d := a.add("example.com")
	a.z.before = nil
	delete(a.z.has, a.record.Name)
	second := a.connection()
	j, err := a.apply(d, second)
	must(t, err)
	a.wantApplied(j, 1, 0)
	if n := a.count(a.id, controlplane.ActionRecordLeft); n != 1 {
		t.Errorf("%d entries of records that stay, want 1", n)
	}
	wantJob(t, a.runOpen(), controlplane.JobSucceeded, "", 0)
	a.wantZone("at the second host", "example.com")
	a.delete(d)
	a.c = second
	a.runOpen()
	a.wantZone("after the deletion")
}

// The records of a deleted organization are removed first. A host that does not respond delays the
// removal of the rest for a day.
func TestRemoveRecordsOfAnOrganization(t *testing.T) {
	t.Parallel()
	a := newApplied(t, "b.example.com")
	ctx := t.Context()
	pending := a.add("pending.example.com")
	_, err := a.apply(pending, a.c)
	must(t, err)
	must(t, a.DeleteOrganization(ctx, alice, a.org, "Example"))
	removeDeleted := func(want int) {
		t.Helper()
		if n, err := a.RemoveDeleted(ctx); n != want || err != nil {
			t.Errorf("RemoveDeleted() = %d, %v, want %d", n, err, want)
		}
	}
	removeDeleted(0)
	if n := value[int](a.world, `SELECT count(*) FROM domains`); n != 0 {
		t.Errorf("%d domains of a deleted organization, want none", n)
	}
	a.z.after = func(r controlplane.HostRecord) error {
		a.z.before = func(controlplane.HostRecord) error {
			return &controlplane.HostError{Kind: controlplane.HostUnreachable, Message: "Dead."}
		}
		return nil
	}
	wantJob(t, a.runOpen(), controlplane.JobQueued, controlplane.CodeHostUnreachable, 0)
	a.wantZone("after the first removal", "example.com")
	removeDeleted(0)
	a.clock.add(controlplane.RemovalForOrganization)
	removeDeleted(1)
	a.wantLeft(a.id, controlplane.LeftTimeout)
	if n := value[int](a.world, `SELECT count(*) FROM organizations`); n != 0 {
		t.Errorf("%d organizations, want none", n)
	}
}
