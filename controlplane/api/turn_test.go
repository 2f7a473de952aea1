package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// Calls of one organization that block in the database do not block another organization:
// connections remain for it.
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
		go func() {
			done <- w.do("POST", "/api/domains/locked.example.com/verify", nil,
				options...).status
		}()
	}
	for deadline := time.Now().Add(20 * time.Second); w.api.places.Waiting() < n-callsAlone ||
		w.locked() == 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d calls wait for a place, want %d", w.api.places.Waiting(), n-callsAlone)
		}
	}
	w.do("GET", "/api/domains/"+e.ID, nil, quiet).is(200)
	w.do("POST", "/api/domains/"+e.ID+"/issue", nil, quiet, key("k")).is(202)
	// A call may pause without a connection.
	if got := w.locked(); got > callsAlone {
		t.Errorf("%d calls hold a connection, want at most %d", got, callsAlone)
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

// Large queries and bodies of one organization are checked one at a time, without delaying its
// other calls and other organizations.
func TestLargeRequestsTakeTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gate := controlplane.NewGate(2, 1)
	for _, op := range w.api.operations {
		op.checks = gate
	}
	quiet := as(w.newToken(w.newOrg("Quiet"), lifecycle.NewToken{Scopes: controlplane.Scopes()}))
	large := map[string]any{"name": "large.example.com",
		"unknown": strings.Repeat("x", largeRequest)}
	leave, ok := gate.Enter(w.org)
	if !ok {
		t.Fatal("Enter = false before any call, want a place")
	}
	const n = 5
	done := make(chan int, n)
	for i := range n {
		method, path, body := "POST", "/api/domains", any(large)
		if i == 0 {
			method, path, body = "GET", "/api/domains?unknown="+strings.Repeat("x", largeRequest),
				nil
		}
		go func() { done <- w.do(method, path, body).status }()
	}
	for deadline := time.Now().Add(20 * time.Second); gate.Waiting() < n; {
		if time.Now().After(deadline) {
			t.Fatalf("%d large requests wait, want %d", gate.Waiting(), n)
		}
	}
	w.do("POST", "/api/domains", map[string]any{"name": "small.example.com"}).is(201)
	w.do("GET", "/api/domains", nil).is(200)
	w.do("POST", "/api/domains", large, quiet).is(400)
	if got := gate.Waiting(); got != n {
		t.Errorf("%d large requests wait after the other calls, want %d", got, n)
	}
	leave()
	for range n {
		if status := <-done; status != http.StatusBadRequest {
			t.Errorf("a large request: status %d, want 400", status)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); ; { // every place is given back
		if leave, ok := gate.Enter(w.org); ok {
			leave()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("Enter = false after all calls, want a place")
		}
	}
}

// All organizations together get half of the cores, and one organization a quarter, at least one
// each.
func TestCheckGate(t *testing.T) {
	t.Parallel()
	for cores, want := range map[int][2]int{1: {1, 1}, 2: {1, 1}, 4: {2, 1}, 16: {8, 4}} {
		g := newCheckGate(cores)
		var got [2]int
		for ; got[1] < 100; got[1]++ {
			if _, ok := g.Enter("org_1"); !ok {
				break
			}
		}
		got[0] = got[1]
		for i := 0; i < 100; i++ {
			if _, ok := g.Enter("org_" + strconv.Itoa(2+i)); !ok {
				break
			}
			got[0]++
		}
		if got != want {
			t.Errorf("newCheckGate(%d) has %v places (all, of one), want %v", cores, got, want)
		}
	}
}
