package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// seen has the responses of the contract that a test has produced: "operation status".
type seen struct {
	mu  sync.Mutex
	all map[string]bool
}

func (s *seen) add(op *operation, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[string]bool)
	}
	s.all[fmt.Sprint(op.id, " ", status)] = true
}

// Every response that the contract lists for an operation is produced and validated against its
// schema (conforms).
func TestEveryAnswerOfTheContract(t *testing.T) {
	t.Parallel()
	drawn := &seen{}
	limits := limited(t)
	t.Run("draw", func(t *testing.T) {
		for _, part := range []func(*world){
			(*world).drawRefusals, (*world).drawSuccesses, (*world).drawConflicts,
			(*world).drawSenseless, (*world).drawDryRuns,
			(*world).drawFaults, (*world).drawUnsecured,
		} {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.seen = drawn
				part(w)
			})
		}
		t.Run("limited", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, limits)
			w.seen = drawn
			w.drawLimit()
		})
		t.Run("away", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, away(t))
			w.seen = drawn
			w.drawAway()
		})
	})
	if t.Failed() {
		return
	}
	doc, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, item := range doc.Paths.Map() {
		for _, o := range item.Operations() {
			for status := range o.Responses.Map() {
				n++
				id := strings.ToLower(o.OperationID[:1]) + o.OperationID[1:]
				if !drawn.all[id+" "+status] {
					t.Errorf("%s: no call was answered %s", id, status)
				}
			}
		}
	}
	t.Logf("%d answers of %d operations", n, len(doc.Paths.Map()))
}

// lists reports whether the contract lists the status among the operation's responses.
func (op *operation) lists(t testing.TB, status int) bool {
	doc, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	return doc.Paths.Value(op.path).GetOperation(op.method).Responses.Value(
		strconv.Itoa(status)) != nil
}

// drawRefusals produces rejections before the call starts.
func (w *world) drawRefusals() {
	e := w.newEstate(w.org, "refused.example.com")
	w.do("GET", "/api/events", nil,
		header("Last-Event-ID", controlplane.NewID(controlplane.PrefixEvent))).problem(
		http.StatusGone, "event-id-expired")
	for _, op := range w.secured() {
		path, body := op.request(e)
		with := func(more string) string {
			if strings.Contains(path, "?") {
				return path + "&" + more
			}
			return path + "?" + more
		}
		caller, refusal := op.caller(e, as(w.token)), "scope-missing"
		if op.session {
			refusal = "session-required"
		}
		w.do(op.method, with("nonsense=1"), body, caller).is(http.StatusBadRequest)
		w.do(op.method, path, body, anonymous).problem(http.StatusUnauthorized, "token-missing")
		w.do(op.method, path, body,
			as(w.newToken(w.org, lifecycle.NewToken{Scopes: without(op.scope)}))).problem(
			http.StatusForbidden, refusal)
		if op.lists(w.t, http.StatusNotFound) {
			w.do(op.method, op.elsewhere(path), body, caller).problem(http.StatusNotFound,
				"not-found")
		}
		if op.lists(w.t, http.StatusPreconditionFailed) {
			w.do(op.method, path, body, header("If-Match", `"another"`)).is(
				http.StatusPreconditionFailed)
		}
		if op.body == nil {
			continue
		}
		w.do(op.method, path, strings.Repeat(" ", maxBody+1),
			caller).problem(http.StatusRequestEntityTooLarge, "body-too-large")
		w.do(op.method, path, body, caller,
			header("Content-Type", "text/plain")).problem(http.StatusUnsupportedMediaType,
			"unsupported-media-type")
	}
}

// without returns every scope but one.
func without(scope controlplane.Scope) []controlplane.Scope {
	return slices.DeleteFunc(controlplane.Scopes(),
		func(s controlplane.Scope) bool { return s == scope })
}

// elsewhere returns the request's path with a missing object.
func (op *operation) elsewhere(path string) string {
	if strings.Contains(op.path, "{") {
		names := strings.Split(op.path, "/")
		parts := strings.Split(path, "/")
		for i, n := range names {
			if strings.HasPrefix(n, "{") {
				prefix, _, _ := strings.Cut(parts[i], "_")
				parts[i] = controlplane.NewID(prefix)
			}
		}
		return strings.Join(parts, "/")
	}
	for _, filter := range []string{"domain", "entity"} {
		if _, ok := op.query[filter]; ok {
			return path + "?" + filter + "=nothing.example.net"
		}
	}
	return path
}

// drawSuccesses produces the successful responses, each in its own organization; twice if the
// contract has another response for work in progress.
func (w *world) drawSuccesses() {
	for _, op := range w.secured() {
		org := w.newOrg("Test")
		caller := as(w.newToken(org, lifecycle.NewToken{Scopes: controlplane.Scopes()}))
		e := w.newEstate(org, "success.example.com")
		w.settle(op, org, e)
		path, body := op.request(e)
		caller = op.caller(e, caller)
		a := w.do(op.method, path, body, caller)
		if a.status >= http.StatusMultipleChoices {
			w.t.Errorf("%s = %d %s, want success", op.id, a.status, a.body)
		}
		if op.id == "createDelegation" {
			w.do(op.method, path, body, caller).is(http.StatusOK)
		}
		if op.lists(w.t, http.StatusAccepted) && op.lists(w.t, http.StatusOK) {
			w.do(op.method, path, body, caller).is(http.StatusOK)
		}
		if op.lists(w.t, http.StatusNotModified) {
			w.do(op.method, path, body, caller,
				header("If-None-Match", a.header.Get("ETag"))).is(http.StatusNotModified)
		}
	}
}

// drawDryRuns produces the 204 of every dry run.
func (w *world) drawDryRuns() {
	e := w.newEstate(w.org, "dry.example.com")
	for _, op := range w.dryRuns() {
		path, body := op.request(e)
		w.do(op.method, path+"?dry_run=true", body).is(http.StatusNoContent)
	}
}

// drawConflicts produces the 409 of every call with an Idempotency-Key while its first call is in
// progress, and the other conflicts.
func (w *world) drawConflicts() {
	e := w.newEstate(w.org, "conflict.example.com")
	conn := w.connect()
	for _, op := range w.secured() {
		if !op.lists(w.t, http.StatusConflict) {
			continue
		}
		path, body := op.request(e)
		switch op.id {
		case "deleteDelegation":
			w.do(op.method, "/api/delegations/"+e.delegation.ID, nil).problem(http.StatusConflict,
				"delegation-in-use")
			continue
		case "updateDelegation":
			w.do(op.method, "/api/delegations/"+e.pinned.ID,
				map[string]any{"pinned": false}).problem(http.StatusConflict, "delegation-unused")
			continue
		case "updateDNSConnection", "deleteDNSConnection", "listDNSConnectionZones":
			w.drawConflict(op, e)
			continue
		}
		if !op.once {
			// The members remain: the last owner cannot be removed.
			w.do(op.method, "/api/members/"+e.owner.User.ID, body,
				e.cookie).problem(http.StatusConflict, "last-owner")
			continue
		}
		k := "busy-" + op.id
		if _, err := conn.Exec(w.t.Context(), `SELECT pg_advisory_lock(hashtextextended($1, 1))`,
			w.org+" "+k); err != nil {
			w.t.Fatal(err)
		}
		w.do(op.method, path, body, op.caller(e, as(w.token)), key(k)).problem(http.StatusConflict,
			"idempotency-in-progress")
	}
}

// senseless has invalid calls without an Idempotency-Key.
var senseless = map[string]any{
	"updateDomain":       map[string]any{"ca": "nowhere"},
	"updateToken":        map[string]any{"name": " "},
	"updateOrganization": map[string]any{"name": " "},
	"updateMember":       map[string]any{"role": "boss"},
	"updateWebhook":      map[string]any{"url": "http://example.com"},

	"updateDelegation":     map[string]any{"connection_id": "con_x"},
	"updateDNSConnection":  map[string]any{"name": " "},
	"updateACMEDNSAccount": map[string]any{"allow_from": []string{"1.2.3.4"}},
}

// drawSenseless produces the 422s: a key that was used for another call, or invalid values.
func (w *world) drawSenseless() {
	e := w.newEstate(w.org, "senseless.example.com")
	w.do("POST", "/api/domains", map[string]any{"name": "first.example.com"},
		key("used")).is(http.StatusCreated)
	for _, op := range w.secured() {
		if !op.lists(w.t, http.StatusUnprocessableEntity) {
			continue
		}
		path, body := op.request(e)
		switch {
		case op.once:
			if op.id == "createDomain" || op.id == "createDelegation" {
				body = map[string]any{"name": "second.example.com"}
			}
			w.do(op.method, path, body, op.caller(e, as(w.token)),
				key("used")).problem(http.StatusUnprocessableEntity, "idempotency-key-reused")
		case senseless[op.id] != nil:
			w.do(op.method, path, senseless[op.id]).is(http.StatusUnprocessableEntity)
		case op.id == "getDelegation":
			w.do(op.method, "/api/delegation?name=192.0.2.1",
				nil).problem(http.StatusUnprocessableEntity, "name-ip")
		case op.id == "deleteOrganization":
			w.do(op.method, "/api/organization?confirm=another",
				nil).is(http.StatusUnprocessableEntity)
		default:
			w.t.Errorf("%s: its 422 is not drawn", op.id)
		}
	}
}

// drawFaults produces the 500 of an internal error: a column that the store queries is missing.
func (w *world) drawFaults() {
	e := w.newEstate(w.org, "fault.example.com")
	w.exec(`ALTER TABLE api_tokens RENAME COLUMN scopes TO skopes`)
	for _, op := range w.secured() {
		if !op.lists(w.t, http.StatusInternalServerError) {
			continue
		}
		path, body := op.request(e)
		a := w.do(op.method, path, body).problem(http.StatusInternalServerError, "internal")
		if strings.Contains(a.body, "scopes") {
			w.t.Errorf("%s reveals the internal error: %s", op.id, a.body)
		}
	}
}

// drawLimit produces the 429. The caller's organization has no such objects, so that a call that
// passes the limit on a slow machine changes nothing.
func (w *world) drawLimit() {
	e := w.newEstate(w.org, "limit.example.com")
	caller := as(w.newToken(w.newOrg("Limited"), lifecycle.NewToken{Scopes: controlplane.Scopes()}))
	for _, op := range w.secured() {
		path, body := op.request(e)
		for range 200 {
			if w.do(op.method, path, body, caller).status == http.StatusTooManyRequests {
				break
			}
		}
	}
}

func away(t testing.TB) func(*Config) {
	t.Helper()
	store, err := postgres.Open(t.Context(),
		postgres.Config{DSN: "postgres://nobody@127.0.0.1:1/none"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return func(c *Config) {
		c.Store = store
		c.Ready = func(ctx context.Context) map[string]error {
			return map[string]error{"postgres": store.Ping(ctx)}
		}
	}
}

// drawAway produces the 503 of an unavailable database.
func (w *world) drawAway() {
	e := w.newEstate(w.org, "away.example.com")
	for _, op := range w.secured() {
		path, body := op.request(e)
		w.do(op.method, path, body).problem(http.StatusServiceUnavailable, "database-unavailable")
	}
	w.do("GET", "/readyz", nil, anonymous).is(http.StatusServiceUnavailable)
}

// drawUnsecured produces the responses of operations without authentication.
func (w *world) drawUnsecured() {
	w.do("GET", "/problems/domain-exists", nil, anonymous).is(http.StatusOK)
	w.do("GET", "/problems/no-such-code", nil, anonymous).is(http.StatusNotFound)
	w.do("GET", "/api/reference/reference.css", nil, anonymous).is(http.StatusOK)
	w.do("GET", "/api/reference/another.css", nil, anonymous).is(http.StatusNotFound)
	for _, op := range w.api.operations {
		if !op.secured && !strings.Contains(op.path, "{") {
			w.do(op.method, op.path, nil, anonymous).is(http.StatusOK)
		}
	}
}
