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

// Slow readers hold only slots of their organization and no connection to the database. Their slots
// are released when they disconnect.
func TestExportToASlowReader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`INSERT INTO audit_logs (id, org_id, actor_type, actor_id, action, entity_type, entity_id, details, created_at)
		SELECT 'evt_' || n, $1, 'system', 'test', 'domain.check_requested', 'domain', 'dom_x', jsonb_build_object('text', repeat(md5(n::text), 64)), now() - interval '1 hour'
		FROM generate_series(1, 10000) n`, w.org) // 20 MB, more than the connection's buffers hold
	var readers []func()
	for range 2 { // as many as one organization can have
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server.URL+
			"/api/audit-logs/export?format=ndjson", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+w.token)
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("export: %v, %v", resp, err)
		}
		readers = append(readers, func() { cancel(); _ = resp.Body.Close() })
	}
	const path = "/api/audit-logs/export"
	if a := w.do("GET", path, nil).problem(429, "export-busy"); a.header.Get("Retry-After") == "" {
		t.Errorf("a third export has no Retry-After: %v", a.header)
	}
	w.do("GET", "/api/audit-logs?limit=1", nil).is(200) // nothing else is held up
	w.do("GET", path, nil,
		as(w.newToken(w.newOrg("Other"), lifecycle.NewToken{Scopes: controlplane.Scopes()}))).is(
		200)
	for deadline := time.Now().Add(8 * time.Second); w.connectionsInUse() != 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections to the database are in use without readers, want 0",
				w.connectionsInUse())
		}
	}
	for _, leave := range readers {
		leave()
	}
	for deadline := time.Now().Add(20 * time.Second); w.do("GET", path+
		"?action=invitation.revoked", nil).status != 200; {
		if time.Now().After(deadline) {
			t.Fatal("the slots of disconnected readers were not released")
		}
	}
}

// connectionsInUse returns how many connections of the store run a statement or hold a transaction.
func (w *world) connectionsInUse() (n int) {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), w.dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if err := conn.QueryRow(w.t.Context(), `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'`).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}
