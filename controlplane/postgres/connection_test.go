package postgres_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

func newConnection(org string, at time.Time) *controlplane.Connection {
	return &controlplane.Connection{ID: controlplane.NewID(controlplane.PrefixConnection),
		OrgID: org, Type: controlplane.ConnectionRFC2136, Name: "ns1", Sealed: []byte("sealed"),
		Status: controlplane.ConnectionOK, LastTestedAt: &at, NextTestAt: at.Add(time.Hour),
		CreatedBy: "usr_x", CreatedAt: at, UpdatedAt: at}
}

func TestConnections(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	c, second := newConnection(d.org, start), newConnection(d.org, start.Add(time.Second))
	d.must(d.InTx(ctx, func(tx *postgres.Tx) error {
		if err := tx.AddConnection(ctx, c); err != nil {
			return err
		}
		return tx.AddConnection(ctx, second)
	}))
	used := start.Add(time.Minute)
	c.Name, c.Sealed, c.LastUsedAt, c.UpdatedAt = "ns2", []byte("other"), &used, used
	c.Status, c.StatusDetail = controlplane.ConnectionInvalid, "why"
	d.must(d.InTx(ctx, func(tx *postgres.Tx) error {
		if _, err := tx.LockConnection(ctx, d.org, c.ID); err != nil {
			return err
		}
		return tx.SaveConnection(ctx, c)
	}))
	got, err := d.Connection(ctx, d.org, c.ID)
	if diff := cmp.Diff(c, got); err != nil || diff != "" {
		t.Errorf("Connection() = %v, (-want +got)\n%s", err, diff)
	}
	page, next, err := d.ListConnections(ctx, d.org, nil, 1)
	if err != nil || len(page) != 1 || page[0].ID != second.ID || next == nil {
		t.Fatalf("ListConnections() = %v, %v, %v, want the newest and a cursor", page, next, err)
	}
	page, next, err = d.ListConnections(ctx, d.org, next, 1)
	if err != nil || len(page) != 1 || page[0].ID != c.ID || next != nil {
		t.Errorf("ListConnections() = %v, %v, %v, want the oldest", page, next, err)
	}
	if n, err := d.ConnectionCount(ctx, d.org, c.ID); err != nil || n != 1 {
		t.Errorf("ConnectionCount() = %d, %v, want 1", n, err)
	}
	d.must(d.InTx(ctx, func(tx *postgres.Tx) error {
		return tx.DeleteConnection(ctx, d.org, second.ID)
	}))
	if n, err := d.ConnectionCount(ctx, d.org, ""); err != nil || n != 1 {
		t.Errorf("ConnectionCount() after a deletion = %d, %v, want 1", n, err)
	}
}

// A connection is found and changed only in its organization.
func TestConnectionsOfOtherTenants(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx, other := t.Context(), d.organization(1)
	c := newConnection(d.org, start)
	d.must(d.InTx(ctx, func(tx *postgres.Tx) error { return tx.AddConnection(ctx, c) }))
	stranger := *c
	stranger.OrgID, stranger.Name = other, "mine"
	for what, call := range map[string]func(*postgres.Tx) error{
		"Connection": func(*postgres.Tx) error {
			_, err := d.Connection(ctx, other, c.ID)
			return err
		},
		"LockConnection": func(tx *postgres.Tx) error {
			_, err := tx.LockConnection(ctx, other, c.ID)
			return err
		},
		"SaveConnection":   func(tx *postgres.Tx) error { return tx.SaveConnection(ctx, &stranger) },
		"DeleteConnection": func(tx *postgres.Tx) error { return tx.DeleteConnection(ctx, other, c.ID) },
	} {
		wantKind(t, what, d.InTx(ctx, call), controlplane.KindNotFound)
	}
	if page, _, err := d.ListConnections(ctx, other, nil, 10); err != nil || len(page) != 0 {
		t.Errorf("ListConnections(other) = %v, %v, want none", page, err)
	}
	got, err := d.Connection(ctx, d.org, c.ID)
	if diff := cmp.Diff(c, got); err != nil || diff != "" {
		t.Errorf("Connection() = %v, (-want +got)\n%s", err, diff)
	}
}

// A connection is taken for its test by one worker, and again later if the test is lost.
func TestTakeDueConnections(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx, again := t.Context(), start.Add(90*time.Minute)
	due, later := newConnection(d.org, start), newConnection(d.org, start.Add(time.Hour))
	d.must(d.InTx(ctx, func(tx *postgres.Tx) error {
		if err := tx.AddConnection(ctx, due); err != nil {
			return err
		}
		return tx.AddConnection(ctx, later)
	}))
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{time.Minute, 0}, {time.Hour, 1}, {time.Hour, 0}, {90 * time.Minute, 1}} {
		took, err := d.TakeDueConnections(ctx, start.Add(step.after), again, 10)
		if err != nil || len(took) != step.want || step.want > 0 && took[0].ID != due.ID {
			t.Errorf("TakeDueConnections(after %s) = %v, %v, want %d", step.after, took, err,
				step.want)
		}
	}
	d.exec(`UPDATE organizations SET deleted_at = now() WHERE id = $1`, d.org)
	if took, err := d.TakeDueConnections(ctx, start.Add(24*time.Hour), again, 10); err != nil ||
		len(took) != 0 {
		t.Errorf("TakeDueConnections() of a deleted organization = %v, %v, want none", took, err)
	}
}
