package api

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// dryRuns returns the operations that accept dry_run, in a stable order.
func (w *world) dryRuns() []*operation {
	return slices.DeleteFunc(w.secured(), func(op *operation) bool { return !op.dryRun })
}

// everything returns a digest of each table of the database, without the times at which credentials
// were last used.
func (w *world) everything() map[string]string {
	w.t.Helper()
	conn := w.connect()
	rows, err := conn.Query(w.t.Context(), `SELECT table_name FROM information_schema.tables
		WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`)
	if err != nil {
		w.t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		w.t.Fatal(err)
	}
	digests := make(map[string]string, len(names))
	for _, name := range names {
		var digest string
		if err := conn.QueryRow(w.t.Context(), fmt.Sprintf(
			`SELECT count(*) || ' ' || coalesce(md5(string_agg(r, '|' ORDER BY r)), '')
			FROM (SELECT (to_jsonb(t) - 'last_used_at' - 'last_seen_at')::text r FROM %q t) x`, name)).Scan(&digest); err != nil {
			w.t.Fatal(err)
		}
		digests[name] = digest
	}
	return digests
}

// unchanged fails the test if a table differs from before.
func (w *world) unchanged(what string, before map[string]string) {
	w.t.Helper()
	for name, digest := range w.everything() {
		if digest != before[name] {
			w.t.Errorf("%s changed the table %s: %q, want %q", what, name, digest, before[name])
		}
	}
}

// listen returns a function that returns the notifications since the call of listen.
func (w *world) listen() func() []string {
	w.t.Helper()
	conn := w.connect()
	for _, channel := range []string{"dcvaas_jobs", "dcvaas_moved", "dcvaas_zone", "test_end"} {
		if _, err := conn.Exec(w.t.Context(), "LISTEN "+channel); err != nil {
			w.t.Fatal(err)
		}
	}
	return func() (got []string) {
		w.exec(`NOTIFY test_end`)
		for {
			n, err := conn.WaitForNotification(w.t.Context())
			if err != nil {
				w.t.Fatal(err)
			}
			if n.Channel == "test_end" {
				return got
			}
			got = append(got, n.Channel+" "+n.Payload)
		}
	}
}

// with returns path with another query parameter.
func with(path, parameter string) string {
	if strings.Contains(path, "?") {
		return path + "&" + parameter
	}
	return path + "?" + parameter
}

// replacement returns the object of e that the operation can replace, "" if it replaces none.
func (op *operation) replacement(e estate) string {
	if _, ok := op.query[paramReplacing]; !ok {
		return ""
	}
	return map[string]string{"createDomain": e.domain.ID, "createDelegation": e.pinned.ID,
		"bulkCreateDomains": e.domain.ID,
		"createToken":       e.token.ID, "createWebhook": e.webhook.ID, "addMember": e.member.User.ID,
		"createInvitation":     e.invitation.ID,
		"createACMEDNSAccount": e.acmedns.ID, "createACMEDNSKey": e.key.ID}[op.id]
}

// A dry run of every operation that accepts it responds with 204, or with the problem of the
// request, and changes no row and sends no notification. Then the request itself succeeds.
func TestDryRunChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.newEstate(w.org, "dry.example.com")
	ops := w.dryRuns()
	for _, op := range w.secured() {
		if op.session { // a plan has no session
			continue
		}
		creates := strings.HasPrefix(op.id, "create") || strings.HasPrefix(op.id, "bulkCreate") ||
			strings.HasPrefix(op.id, "add")
		if want := creates || op.method == http.MethodPatch; op.dryRun != want {
			t.Errorf("%s accepts dry_run: %v, want %v", op.id, op.dryRun, want)
		}
		if _, got := op.query[paramReplacing]; got != creates {
			t.Errorf("%s accepts replacing: %v, want %v", op.id, got, creates)
		}
	}
	few := make(map[controlplane.Scope]option)
	for _, op := range ops {
		few[op.scope] = as(w.newToken(w.org, lifecycle.NewToken{Scopes: without(op.scope)}))
	}
	for _, op := range ops {
		path, body := op.request(e)
		id := op.replacement(e)
		before, notified := w.everything(), w.listen()

		for _, query := range []string{"dry_run=true", "dry_run=true&replacing=" + id} {
			if id == "" && strings.Contains(query, "replacing") {
				continue
			}
			for range 2 {
				a := w.do(op.method, with(path, query), body, key("dry-"+op.id)).is(
					http.StatusNoContent)
				if a.body != "" || a.header.Get("Location")+a.header.Get("ETag") != "" ||
					a.header.Get("Idempotency-Replayed") != "" {
					t.Errorf("%s?%s = %v %q, want an empty response", op.id, query, a.header,
						a.body)
				}
			}
			w.do(op.method, with(path, query), `{"nonsense":1}`).is(http.StatusBadRequest)
			w.do(op.method, with(path, query), body, few[op.scope]).problem(http.StatusForbidden,
				"scope-missing")
		}
		w.unchanged(op.id, before)
		if got := notified(); len(got) > 0 {
			t.Errorf("%s notified %q, want nothing", op.id, got)
		}
		a := w.do(op.method, path, body, key("dry-"+op.id))
		if a.status >= http.StatusMultipleChoices ||
			a.header.Get("Idempotency-Replayed") != "" {
			t.Errorf("%s = %d %s after its dry run, want success", op.id, a.status, a.body)
		}
	}
}

// A dry run has the same problem as the request, with the same fields.
func TestDryRunHasTheSameProblem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.newEstate(w.org, "problem.example.com")
	few := as(w.newToken(w.org, lifecycle.NewToken{Scopes: []controlplane.Scope{
		controlplane.ScopeTokensWrite, controlplane.ScopeMembersWrite}}))
	narrow := as(w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes(),
		DomainIDs: []string{e.domain.ID}}))
	before := w.everything()
	full := func(*http.Request) {}
	for _, tt := range []struct {
		method, path, body string
		caller             option
		status             int
		code               string
	}{
		{"POST", "/api/domains", `{"name":"problem.example.com"}`, full, 409, "domain-exists"},
		{"POST", "/api/domains", `{"name":"com","ca":"nowhere"}`, full, 422, "invalid-fields"},
		{"POST", "/api/domains", `{"name":"new.example.com"}`, narrow, 403, "token-restricted"},
		{"PATCH", "/api/domains/" + e.domain.ID, `{"ca":"nowhere"}`, full, 422, "ca-unknown"},
		{"PATCH", "/api/domains/" + controlplane.NewID(controlplane.PrefixDomain),
			`{"wildcard":true}`, full, 404, "not-found"},
		{"POST", "/api/tokens", `{"name":"x","scopes":["domains:fly"]}`, full, 422, "not-one-of"},
		{"POST", "/api/tokens", `{"name":"x","scopes":["domains:read"]}`, few, 422,
			"scope-exceeds"},
		{"POST", "/api/tokens", `{"name":"x","scopes":["domains:read"]}`, narrow, 422,
			"domains-exceed"},
		{"POST", "/api/members", `{"login":"nobody","role":"member"}`, full, 422, "login-unknown"},
		{"POST", "/api/members", `{"login":"` + e.member.User.Login + `","role":"owner"}`, full,
			403, "role-exceeds"},
		{"PATCH", "/api/members/" + e.owner.User.ID, `{"role":"member"}`, e.cookie, 409,
			"last-owner"},
		{"POST", "/api/invitations", `{"role":"admin"}`, few, 403, "role-exceeds"},
		{"POST", "/api/webhooks", `{"url":"http://192.0.2.1"}`, full, 422, ""},
		{"PATCH", "/api/webhooks/" + e.webhook.ID, `{"events":["domain.fly"]}`, full, 422,
			"event-unknown"},
		{"PATCH", "/api/organization", `{"name":" "}`, full, 422, "name-invalid"},
	} {
		dry := w.do(tt.method, with(tt.path, "dry_run=true"), tt.body, tt.caller).is(tt.status)
		real := w.do(tt.method, tt.path, tt.body, tt.caller).is(tt.status)
		if tt.code != "" {
			dry.problem(tt.status, tt.code)
		}
		if got, want := anyRequest(dry), anyRequest(real); got != want {
			t.Errorf("%s %s %s: dry run = %s, want %s", tt.method, tt.path, tt.body, got, want)
		}
	}
	w.unchanged("the dry runs", before)
}

// anyRequest returns the body of a problem without the ID of its request.
func anyRequest(a *answer) string {
	problem := maps.Clone(a.json)
	delete(problem, "request_id")
	raw, _ := json.Marshal(problem)
	return string(raw)
}

// Operations that create or change nothing do not accept the parameters, and a change does not
// accept replacing.
func TestDryRunElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.newEstate(w.org, "elsewhere.example.com")
	rejected := 0
	for _, op := range w.secured() {
		path, body := op.request(e)
		for name, query := range map[string]string{paramDryRun: "dry_run=true",
			paramReplacing: "replacing=" + e.domain.ID} {
			if _, ok := op.query[name]; ok {
				continue
			}
			rejected++
			a := w.do(op.method, with(path, query), body, op.caller(e, as(w.token))).is(
				http.StatusBadRequest)
			if !strings.Contains(a.body, `"pointer":"/`+name+`"`) ||
				!strings.HasPrefix(a.string("fix"), "Parameters of this operation: ") {
				t.Errorf("%s?%s = %s, want the parameter and the known ones", op.id, query, a.body)
			}
		}
	}
	if rejected < 60 {
		t.Errorf("%d parameters were rejected, want at least 60", rejected)
	}
}

func TestDryRunParameters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "parameters.example.com")
	body := map[string]any{"name": "new.example.com"}
	for _, query := range []string{"dry_run=", "dry_run=1", "dry_run=TRUE", "dry_run=yes",
		"dry_run=true&dry_run=true", "dry_run=true&dry_run=false"} {
		a := w.do("POST", "/api/domains?"+query, body).problem(400, "invalid-parameter")
		if !strings.Contains(a.body, `"pointer":"/dry_run"`) {
			t.Errorf("POST /api/domains?%s = %s, want an error at /dry_run", query, a.body)
		}
	}
	for _, query := range []string{"replacing=" + d.ID, "dry_run=false&replacing=" + d.ID,
		"dry_run=true&replacing=a&replacing=b",
		"dry_run=true&replacing=" + strings.Repeat("x", 65)} {
		a := w.do("POST", "/api/domains?"+query, body).problem(400, "invalid-parameter")
		if !strings.Contains(a.body, `"pointer":"/replacing"`) {
			t.Errorf("POST /api/domains?%s = %s, want an error at /replacing", query, a.body)
		}
	}
	w.do("POST", "/api/domains?dry_run=false", body).is(201)
	w.do("POST", "/api/domains?dry_run=true", body).problem(409, "domain-exists")
}

// A dry run of many domains reports each rejected one by its entry, or by its line in CSV.
func TestDryRunOfManyDomains(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.newDomain(w.org, "exists.example.com")
	w.exec(`UPDATE organizations SET domain_limit = 2 WHERE id = $1`, w.org)
	before := w.everything()
	const path = "/api/domains/bulk?dry_run=true"
	many := func(names ...string) any {
		var entries []any
		for _, name := range names {
			entries = append(entries, map[string]any{"name": name})
		}
		return map[string]any{"domains": entries}
	}
	w.do("POST", path, many("exists.example.com", "a.example.com")).is(204)
	a := w.do("POST", path, many("com", "a.example.com", "exists.example.com", "b.example.com")).
		problem(422, "invalid-fields")
	for _, want := range []string{`"pointer":"/domains/0/name"`, `"code":"name-public-suffix"`,
		`"pointer":"/domains/3"`, `"code":"plan-limit"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("POST %s = %s, want %s", path, a.body, want)
		}
	}
	csv := header("Content-Type", "text/csv")
	w.do("POST", path, "name\na.example.com\n", csv).is(204)
	a = w.do("POST", path, "name,wildcard\na.example.com,true\n192.0.2.1,false\n", csv).
		problem(422, "name-ip")
	if !strings.Contains(a.body, `"pointer":"/lines/3/name"`) {
		t.Errorf("POST %s with CSV = %s, want the pointer /lines/3/name", path, a.body)
	}
	w.unchanged("the dry runs", before)
}

// Dry runs end their transactions, even if the handler fails, and do not block each other or
// requests that change the same objects.
func TestDryRunsReleaseTheirLocks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "locks.example.com")
	service := w.api.lifecycle
	w.api.lifecycle = nil
	w.do("POST", "/api/domains?dry_run=true", map[string]any{"name": "panic.example.com"}).
		problem(500, "internal")
	w.api.lifecycle = service
	var all sync.WaitGroup
	for i := range 40 { // more than there are connections
		all.Go(func() {
			name := fmt.Sprintf("l%d.example.com", i%10)
			w.do("POST", "/api/domains?dry_run=true&replacing="+d.ID,
				map[string]any{"name": name}).is(204)
		})
		all.Go(func() {
			w.do("PATCH", "/api/domains/"+d.ID, map[string]any{"auto_renew": i%2 == 0}).is(200)
		})
	}
	all.Wait()
	if n := w.count(`SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND state LIKE 'idle in transaction%'`); n != 0 {
		t.Errorf("%d transactions are open, want none", n)
	}

	// A dry run whose client disconnects while it waits for a lock ends, too.
	conn := w.connect()
	lock, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec(t.Context(), `SELECT 1 FROM organizations WHERE id = $1 FOR UPDATE`,
		w.org); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, err := http.NewRequestWithContext(ctx, "POST", w.server.URL+"/api/domains?dry_run=true",
			strings.NewReader(`{"name":"gone.example.com"}`))
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("Content-Type", "application/json")
		as(w.token)(r)
		if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
			_ = resp.Body.Close()
			t.Errorf("the response is %s, want none", resp.Status)
		}
	}()
	const waiting = `SELECT count(*) FROM pg_stat_activity
		WHERE wait_event_type = 'Lock' AND datname = current_database()`
	for w.count(waiting) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	<-done
	for w.count(waiting) > 0 {
		time.Sleep(10 * time.Millisecond)
	}
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.do("POST", "/api/domains", map[string]any{"name": "gone.example.com"}).is(201)
}
