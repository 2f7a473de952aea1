package api

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// drawConflict produces the 409 of an operation without an Idempotency-Key.
func (w *world) drawConflict(op *operation, e estate) {
	path := "/api/dns-connections/" + e.connection.ID
	if op.id == "listDNSConnectionZones" {
		w.do("PATCH", path, map[string]any{"credentials": changed(credentials(), "server",
			rejecting)}).is(200)
		w.do(op.method, path+"/zones", nil).problem(409, "connection-invalid")
		return
	}
	if op.id == "deleteDNSConnection" {
		w.exec(`INSERT INTO dns_records (org_id, name, delegation_id, connection_id, job_id, zone, value, state, remove_at, created_at, updated_at)
			VALUES ($1, '_acme-challenge.ended.example.com', 'dlg_ended', $2, '', 'example.com', 'x', 'created', now(), now(), now())`,
			w.org, e.connection.ID)
		w.do(op.method, path, nil).problem(409, "connection-busy")
		return
	}
	body := map[string]any{"credentials": changed(credentials(), "server", slow)}
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	update := func(ctx context.Context) error {
		_, err := w.service.UpdateConnection(ctx, controlplane.System("test"), w.org,
			e.connection.ID, lifecycle.ConnectionPatch{Credentials: []byte(strings.Replace(
				string(newConnection().Credentials), "ns1.example.com", slow, 1))})
		return err
	}
	for range 2 { // they occupy the organization's calls
		go func() {
			for ctx.Err() == nil {
				_ = update(ctx)
			}
		}()
	}
	for busy := false; !busy; {
		call, end := context.WithTimeout(ctx, 100*time.Millisecond)
		busy = controlplane.HasCode(update(call), controlplane.CodeConnectionBusy)
		end()
	}
	w.do(op.method, path, body).problem(409, "connection-busy")
}

// TestDNSConnections creates, reads, changes, tests, and deletes a connection. The secret of its
// credentials is in no response, no log, and no row.
func TestDNSConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := map[string]any{"type": "rfc2136", "name": " ns1 ", "credentials": credentials()}
	created := w.do("POST", "/api/dns-connections", body).is(201)
	id := created.string("id")
	path := "/api/dns-connections/" + id
	if got := created.header.Get("Location"); got != path {
		t.Errorf("Location = %q, want %q", got, path)
	}
	if created.string("name") != "ns1" || created.string("status") != "ok" ||
		created.body == "" || created.string("last_tested_at") == "" {
		t.Errorf("created %s, want the name without spaces and the status ok", created.body)
	}
	var seen strings.Builder
	seen.WriteString(created.body)
	call := func(method, path string, body any, status int) *answer {
		a := w.do(method, path, body).is(status)
		seen.WriteString(a.body)
		return a
	}
	call("GET", path, nil, 200)
	call("GET", "/api/dns-connections", nil, 200)
	if a := call("GET", path+"/zones?q=ORG", nil, 200); !strings.Contains(a.body,
		`"data":[{"name":"example.org"}]`) {
		t.Errorf("zones = %s, want example.org", a.body)
	}
	updated := call("GET", path, nil, 200).string("updated_at")
	for _, same := range []map[string]any{{"name": "ns1"}, {"credentials": credentials()}} {
		if a := call("PATCH", path, same, 200); a.string("updated_at") != updated {
			t.Errorf("PATCH with the same %v changed the connection: %s", same, a.body)
		}
	}
	other := changed(credentials(), "key_name", "other")
	call("PATCH", path, map[string]any{"name": "ns2", "credentials": other}, 200)

	// A host that rejects the credentials, or does not respond.
	w.hosts.does(hostError(controlplane.HostInvalid, "The key is unknown."))
	a := call("POST", "/api/dns-connections", body, 422)
	a.problem(422, "credentials-invalid")
	call("PATCH", path, map[string]any{"credentials": credentials()}, 422)
	if a := call("GET", path, nil, 200); a.string("status") != "ok" {
		t.Errorf("after a rejected PATCH: %s, want the status ok", a.body)
	}
	if a := call("POST", path+"/test", nil, 200); a.string("status") != "invalid" ||
		a.string("status_detail") != "The key is unknown." {
		t.Errorf("test = %s, want invalid with the detail", a.body)
	}
	call("GET", path+"/zones", nil, 409).problem(409, "connection-invalid")
	w.hosts.does(hostError(controlplane.HostUnreachable, "No response."))
	call("GET", path+"/zones", nil, 503).problem(503, "dns-host-unreachable")
	if a := call("POST", "/api/dns-connections", body, 201); a.string("status") != "unreachable" {
		t.Errorf("created %s, want the status unreachable", a.body)
	}
	w.hosts.does(nil)
	for pointer, value := range map[string]any{"server": "a b", "key_name": "..",
		"key_secret": keySecret + "?", "zones": []any{"a..b"}, "key_algorithm": "hmac-md5"} {
		a := call("POST", "/api/dns-connections",
			changed(body, "credentials", changed(credentials(), pointer, value)), 422)
		if !strings.Contains(a.body, `"/credentials/`+pointer) {
			t.Errorf("POST with an invalid %s = %s, want a pointer to it", pointer, a.body)
		}
	}
	call("POST", "/api/dns-connections?dry_run=true", body, 204)
	call("DELETE", path, nil, 204)
	call("GET", path, nil, 404)

	// Events, and where the secret is not.
	events := call("GET", "/api/audit-logs?entity="+id, nil, 200)
	for _, action := range []string{"created", "updated", "failed", "deleted"} {
		if !strings.Contains(events.body, `"dns_connection.`+action+`"`) {
			t.Errorf("the log has no dns_connection.%s: %s", action, events.body)
		}
	}
	rows := strings.Join(postgrestest.RowsOf(t, w.dsn, w.org).Texts(nil), "\n")
	for place, text := range map[string]string{"a response": seen.String(), "the log": w.log.String(),
		"a row": rows} {
		if strings.Contains(text, keySecret) || strings.Contains(text, keySecret[:20]) {
			t.Errorf("%s contains the secret", place)
		}
	}
}

// TestDeleteDNSConnection deletes a connection after the records that it has to remove, or at once
// if these are kept. Other organizations can do neither.
func TestDeleteDNSConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, err := w.service.CreateConnection(t.Context(), controlplane.System("test"), w.org,
		newConnection())
	if err != nil {
		t.Fatal(err)
	}
	path := "/api/dns-connections/" + c.ID
	run := func() {
		t.Helper()
		j, err := w.store.OpenConnectionJob(t.Context(), w.org, c.ID)
		if err == nil {
			err = w.service.RunJob(t.Context(), j.ID, j.Generation)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ended := func(name string) {
		t.Helper()
		w.do("POST", "/api/domains", map[string]any{"name": name}).is(201)
		w.do("POST", "/api/domains/"+name+"/dns/apply",
			map[string]any{"connection_id": c.ID}).is(202)
		run()
		w.do("DELETE", "/api/domains/"+name, nil).is(204)
	}
	ended("a.example.com")
	elsewhere := as(w.newTokenElsewhere(controlplane.Scopes()))
	for _, keep := range []string{"", "?records=keep"} {
		w.do("DELETE", path+keep, nil, elsewhere).problem(404, "not-found")
	}
	busy := w.do("DELETE", path, nil).problem(409, "connection-busy")
	if !strings.Contains(busy.body, "(1): _acme-challenge.a.example.com.") ||
		busy.string("retry_at") == "" || !strings.Contains(busy.string("fix"), "records=keep") {
		t.Errorf("DELETE with a pending removal = %s, want the record and what to do", busy.body)
	}
	w.do("DELETE", path+"?records=all", nil).is(400)
	run()
	if got := w.hosts.has; len(got) != 0 {
		t.Errorf("after the removal, the DNS host has %v, want nothing", got)
	}
	ended("b.example.com")
	w.do("DELETE", path+"?records=keep", nil).is(204)
	events := w.do("GET", "/api/audit-logs?limit=100", nil).is(200)
	for _, want := range []string{"delegation.record_removed", "delegation.record_left",
		`"reason":"kept"`} {
		if !strings.Contains(events.body, want) {
			t.Errorf("the log has no %s: %s", want, events.body)
		}
	}
}

// TestConnectionsAreTested tests connections automatically. A changed status is an event, once.
func TestConnectionsAreTested(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	c, err := w.service.CreateConnection(ctx, controlplane.System("test"), w.org, newConnection())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		test   func(string) error
		status string
		events string // so far
	}{
		{nil, "ok", "created"},
		{hostError(controlplane.HostUnreachable, "No response."), "unreachable", "created failed"},
		{hostError(controlplane.HostUnreachable, "No response."), "unreachable", "created failed"},
		{hostError(controlplane.HostInvalid, "Unknown key."), "invalid", "created failed failed"},
		{nil, "ok", "created failed failed tested"},
	} {
		w.hosts.does(step.test)
		w.exec(`UPDATE dns_connections SET next_test_at = now() - interval '1 hour' WHERE id = $1`,
			c.ID)
		if n, err := w.service.TestConnections(ctx); n != 1 || err != nil {
			t.Fatalf("TestConnections() = %d, %v, want 1", n, err)
		}
		got, err := w.store.Connection(ctx, w.org, c.ID)
		if err != nil || string(got.Status) != step.status ||
			got.NextTestAt.Before(time.Now().Add(20*time.Hour)) {
			t.Errorf("after a test: %+v, %v, want %s and the next test in a day", got, err,
				step.status)
		}
		events := w.do("GET", "/api/audit-logs?entity="+c.ID, nil).is(200).actions()
		slices.Reverse(events)
		for i := range events {
			_, events[i], _ = strings.Cut(events[i], ".")
		}
		if got := strings.Join(events, " "); got != step.events {
			t.Errorf("events = %q, want %q", got, step.events)
		}
	}
	if n, err := w.service.TestConnections(ctx); n != 0 || err != nil {
		t.Errorf("TestConnections() = %d, %v, want none that is due", n, err)
	}
}

// TestCallsToHostsAreBounded checks that one organization can't occupy the calls to DNS hosts.
func TestCallsToHostsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, err := w.service.CreateConnection(t.Context(), controlplane.System("test"), w.org,
		newConnection())
	if err != nil {
		t.Fatal(err)
	}
	entered, leave := make(chan struct{}), make(chan struct{})
	w.hosts.does(func(string) error { entered <- struct{}{}; <-leave; return nil })
	var calls sync.WaitGroup
	path := "/api/dns-connections/" + c.ID + "/test"
	for range 2 {
		calls.Go(func() { w.do("POST", path, nil).is(200) })
		<-entered
	}
	a := w.do("POST", path, nil).problem(409, "connection-busy")
	if a.string("retry_at") == "" || a.header.Get("Retry-After") == "" {
		t.Errorf("a call beyond the bound = %s, want a time to retry", a.body)
	}
	w.hosts.does(nil)
	other := w.newEstate(w.newOrg("Other"), "other.example.com")
	if other.connection.Status != controlplane.ConnectionOK {
		t.Errorf("another organization's connection = %+v, want ok", other.connection)
	}
	close(leave)
	calls.Wait()
	w.do("POST", path, nil).is(200)
}
