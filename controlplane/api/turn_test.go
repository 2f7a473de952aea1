package api

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// However many calls of one organization are held up in the database, another organization's
// are carried out: connections are left to them.
func TestCallsOfOneOrganizationHoldUpNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.newDomain(w.org, "locked.example.com")
	theirs := w.newOrg("Quiet")
	quiet := as(w.newToken(theirs, lifecycle.NewToken{Scopes: controlplane.Scopes()}))
	e := w.newDomain(theirs, "quiet.example.com")
	conn, err := pgx.Connect(t.Context(), w.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	tx, err := conn.Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), `SELECT 1 FROM domains WHERE org_id = $1 FOR UPDATE`, w.org)
	}
	if err != nil {
		t.Fatal(err)
	}
	n, callsAlone := 20, w.store.MaxConns()-w.store.MaxConns()/3 // the rest stay free for others
	done := make(chan int, n)
	for i := range n {
		options := []option{}
		if i%2 == 0 { // also those that are one transaction with their answer
			options = append(options, key(string(rune('a'+i))))
		}
		go func() { done <- w.do("POST", "/api/domains/locked.example.com/verify", nil, options...).status }()
	}
	for deadline := time.Now().Add(20 * time.Second); w.api.places.Waiting() < n-callsAlone || w.locked() < callsAlone; {
		if time.Now().After(deadline) {
			t.Fatalf("%d calls wait for a place, want %d", w.api.places.Waiting(), n-callsAlone)
		}
	}
	w.do("GET", "/api/domains/"+e.ID, nil, quiet).is(200)
	w.do("POST", "/api/domains/"+e.ID+"/issue", nil, quiet, key("k")).is(202)
	if got := w.locked(); got != callsAlone {
		t.Errorf("%d calls hold a connection, want %d", got, callsAlone)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range n {
		if status := <-done; status != http.StatusOK && status != http.StatusAccepted {
			t.Errorf("status %d, want 200 or 202", status)
		}
	}
	for range callsAlone { // every place was given back
		if _, ok := w.api.places.Enter(w.org); !ok {
			t.Fatal("Enter = false after the calls, want a place")
		}
	}
}

// locked returns how many of the store's connections wait for a lock.
func (w *world) locked() (n int) {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), w.dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if err := conn.QueryRow(w.t.Context(), `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}
