package postgres_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// hosted stores a connection and the record of a name, in a state.
func (d *db) hosted(
	org, name string, state controlplane.RecordState,
) (*controlplane.Connection, *controlplane.HostedRecord) {
	d.t.Helper()
	c := newConnection(org, start)
	d.must(d.InTx(d.t.Context(), func(t *postgres.Tx) error {
		return t.AddConnection(d.t.Context(), c)
	}))
	r := &controlplane.HostedRecord{OrgID: org, ConnectionID: c.ID, State: state,
		HostRecord: controlplane.HostRecord{Name: "_acme-challenge." + name, Zone: "example.com",
			Value: "label.acme.example.net"}}
	d.exec(`INSERT INTO dns_records (org_id, name, delegation_id, connection_id, job_id, zone, value, state, created_at, updated_at)
		VALUES ($1, $2, 'dlg_x', $3, '', $4, $5, $6, $7, $7)`, org, r.Name, c.ID, r.Zone, r.Value,
		state, start)
	return c, r
}

// The end of a delegation marks its record, also while another transaction changes the row's state.
func TestEndOfDelegationMarksRecord(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	dom, _ := d.add(d.org, "example.com")
	d.add(d.org, "other.example.com")
	c, r := d.hosted(d.org, "example.com", controlplane.RecordPending)
	d.hosted(d.org, "other.example.com", controlplane.RecordCreated)
	if due := must(d.DueRemovals(ctx, "", start)); len(due) != 0 {
		t.Fatalf("DueRemovals() before the end = %v, want none", due)
	}
	worker := d.conn()
	tx, err := worker.Begin(ctx)
	d.must(err)
	_, err = tx.Exec(ctx, `UPDATE dns_records SET state = 'created' WHERE name = $1`, r.Name)
	d.must(err)
	deletion, deleted := d.conn(), make(chan error, 1) // without a limit of its waits
	go func() {
		_, err := deletion.Exec(ctx, `DELETE FROM domains WHERE id = $1`, dom.ID)
		deleted <- err
	}()
	for !value[bool](d, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database())`) {
		select {
		case err := <-deleted:
			t.Fatalf("the deletion = %v, want it to wait for the row", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	d.must(tx.Commit(ctx))
	d.must(<-deleted)
	got, err := d.RemovableRecord(ctx, d.org, c.ID)
	if err != nil || got.Name != r.Name || got.State != controlplane.RecordCreated {
		t.Errorf("RemovableRecord() = %+v, %v, want %s", got, err, r.Name)
	}
	if due := must(d.DueRemovals(ctx, "", start)); len(due) != 1 || due[0].ID != c.ID ||
		due[0].OrgID != d.org {
		t.Errorf("DueRemovals() = %v, want the connection of the record", due)
	}
}

// A removal is due again after as long as it has been, within an hour and a day, and a week after
// it became due.
func TestPostponeRemovals(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	_, r := d.hosted(d.org, "example.com", controlplane.RecordCreated)
	d.exec(`UPDATE dns_records SET remove_at = '-infinity'`)
	at := start
	var hours []float64
	for len(hours) < 20 {
		d.must(d.InTx(ctx, func(t *postgres.Tx) error {
			return t.PostponeRemovals(ctx, d.org, []string{r.Name}, at)
		}))
		next := value[time.Time](d, `SELECT remove_at FROM dns_records`)
		hours = append(hours, next.Sub(at).Hours())
		if at = next; !at.Before(start.Add(controlplane.RemovalFor)) {
			break
		}
	}
	want := []float64{1, 1, 2, 4, 8, 16, 24, 24, 24, 24, 24, 16}
	if !slices.Equal(hours, want) || !at.Equal(start.Add(controlplane.RemovalFor)) {
		t.Errorf("the removal is due again after %v hours, at last at %s, want %v", hours, at, want)
	}
}

// Records to be removed are found and changed only in their organization.
func TestRemovalsOfOtherTenants(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx, other := t.Context(), d.organization(1)
	c, r := d.hosted(d.org, "example.com", controlplane.RecordCreated)
	d.exec(`UPDATE dns_records SET remove_at = '-infinity'`)
	names := []string{r.Name}
	stranger := *r
	stranger.OrgID = other
	if _, err := d.RemovableRecord(ctx, other, c.ID); !controlplane.IsKind(err,
		controlplane.KindNotFound) {
		t.Errorf("RemovableRecord(other) = %v, want not found", err)
	}
	if n, _, err := d.Removals(ctx, other, c.ID, 10); n != 0 || err != nil {
		t.Errorf("Removals(other) = %d, %v, want 0", n, err)
	}
	if due, err := d.DueRemovals(ctx, other, start); len(due) != 0 || err != nil {
		t.Errorf("DueRemovals(other) = %v, %v, want none", due, err)
	}
	if has, err := d.HasRemovals(ctx, other, start); has || err != nil {
		t.Errorf("HasRemovals(other) = %v, %v, want false", has, err)
	}
	before := value[string](d, `SELECT r::text FROM dns_records r`)
	d.must(d.InTx(ctx, func(t *postgres.Tx) error {
		return removeElsewhere(ctx, t, &stranger, c.ID)
	}))
	d.must(d.InTx(ctx, func(t *postgres.Tx) error {
		_, err := t.ResetRecords(ctx, other, map[string]postgres.Lasting{r.Name: {ID: "dlg_y"}}, start)
		return errors.Join(err, t.ForgetRecords(ctx, other, names),
			t.PostponeRemovals(ctx, other, names, start))
	}))
	if after := value[string](d, `SELECT r::text FROM dns_records r`); after != before {
		t.Errorf("the record is %s after the calls of another organization, want %s", after, before)
	}
	if has, err := d.HasRemovals(ctx, d.org, start); !has || err != nil {
		t.Errorf("HasRemovals() = %v, %v, want true", has, err)
	}
}

// removeElsewhere calls what removes records with the organization of r, and returns an error if
// one finds a record.
func removeElsewhere(
	ctx context.Context, t *postgres.Tx, r *controlplane.HostedRecord, connection string,
) error {
	moved, err := t.MovedRecords(ctx, r.OrgID, "con_x", []controlplane.RecordRequest{
		{Name: r.Name, Zone: r.Zone}})
	taken, terr := t.TakeRemovals(ctx, r.OrgID, connection, 10)
	all, aerr := t.TakeRemovals(ctx, r.OrgID, "", 10)
	ended, _, eerr := t.EndedRecords(ctx, r.OrgID, connection, start, 10)
	attempted, perr := t.AttemptRemoval(ctx, r, start)
	forgot, ferr := t.ForgetRecord(ctx, r)
	if len(moved)+len(taken)+len(all)+len(ended) > 0 || attempted || forgot {
		return errors.New("a record of another organization was found")
	}
	return errors.Join(err, terr, aerr, eerr, perr, ferr)
}

// A search for due removals reads only records that are due.
func TestDueRemovalsReadLittle(t *testing.T) {
	t.Parallel()
	d := open(t)
	c, _ := d.hosted(d.org, "example.com", controlplane.RecordCreated)
	d.exec(`INSERT INTO dns_records (org_id, name, delegation_id, connection_id, job_id, zone, value, state, created_at, updated_at)
		SELECT $1, '_acme-challenge.' || n || '.example.com', 'dlg_x', $2, '', 'example.com', 'x', 'created', now(), now()
		FROM generate_series(1, 20000) n`, d.org, c.ID)
	d.exec(`UPDATE dns_records SET remove_at = '-infinity' WHERE name LIKE '%.1234.example.com'`)
	d.exec(`ANALYZE dns_records`)
	for _, org := range []string{"", d.org} {
		plan, err := d.ExplainDueRemovals(t.Context(), org, start)
		d.must(err)
		if !strings.Contains(plan, "dns_records_due") {
			t.Errorf("the plan of DueRemovals(%q) does not use the index of due removals:\n%s", org,
				plan)
		}
	}
}
