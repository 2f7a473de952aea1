package api

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// notRepeatable has the operations whose repetition, without an Idempotency-Key, has an effect, and
// why.
var notRepeatable = map[string]string{
	"createToken":          "creates another token, with another secret",
	"createDNSConnection":  "creates another connection: a DNS host can have several",
	"testDNSConnection":    "tests again",
	"createACMEDNSAccount": "creates another account, with another password",
	"rotateACMEDNSAccount": "creates another password",
	"createACMEDNSKey":     "creates another key, with another secret",
	"createWebhook":        "creates another webhook: a URL can have several",
	"createInvitation":     "creates another link",
	"rotateToken":          "creates another secret; no other one ends early",
	"rotateWebhookSecret":  "creates another secret; no other one ends early",
	"testWebhook":          "sends another test event",
	"downloadKey":          "reveals the key again, which is recorded",
	"downloadPKCS12":       "reveals the key again, which is recorded",
}

// rowsOf returns the rows of the organization, without the stored responses.
func (w *world) rowsOf(org string) postgrestest.Rows {
	w.t.Helper()
	rows := postgrestest.RowsOf(w.t, w.dsn, org)
	delete(rows, "idempotency_keys")
	return rows
}

// TestRepeatedCalls calls every operation that can change something twice, with and without an
// Idempotency-Key. The second call changes no row, except for operations in notRepeatable.
func TestRepeatedCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, op := range w.secured() {
		if op.method == http.MethodGet {
			continue
		}
		t.Run(op.id, func(t *testing.T) {
			t.Parallel()
			w.in(t).repeat(op, false)
			if op.once {
				w.in(t).repeat(op, true)
			}
		})
	}
}

func (w *world) repeat(op *operation, keyed bool) {
	w.t.Helper()
	in := w.newTenancy("repeat.example.com")
	w.settle(op, in.org, in.e)
	all := as(w.newToken(in.org, lifecycle.NewToken{Scopes: controlplane.Scopes()}))
	options := []option{anonymous, op.caller(in.e, all)}
	if keyed {
		options = append(options, key("repeat"))
	}
	path, body := op.request(in.e)
	before := w.rowsOf(in.org)
	first := w.do(op.method, path, body, options...)
	between := w.rowsOf(in.org)
	if first.status >= http.StatusBadRequest {
		// Only an owner's session can do this.
		options[1] = in.e.cookie
		first = w.do(op.method, path, body, options...)
		between = w.rowsOf(in.org)
	}
	if first.status >= http.StatusBadRequest {
		w.t.Fatalf("%s = %d %s, want success", op.id, first.status, first.body)
	}
	second := w.do(op.method, path, body, options...)
	diff := w.rowsOf(in.org).Diff(between)
	_, excepted := notRepeatable[op.id]
	switch {
	case keyed && !op.rereads && (diff != "" || second.body != first.body ||
		second.header.Get("Idempotency-Replayed") != "true"):
		w.t.Errorf("%s again with the key = %d %s, changes:\n%s\nwant the first response %s", op.id,
			second.status, second.body, diff, first.body)
	case !keyed && (diff != "") != excepted:
		w.t.Errorf("%s again = %d %s, changed rows:\n%s\nwant changes: %v", op.id, second.status,
			second.body, diff, excepted)
	case op.method == http.MethodPatch && (between.Diff(before) == "" ||
		second.status != first.status || second.body != first.body ||
		second.header.Get("ETag") != first.header.Get("ETag")):
		w.t.Errorf("%s = %d %s %s, then %d %s %s, want a change and then the same response", op.id,
			first.status, first.header.Get("ETag"), first.body, second.status,
			second.header.Get("ETag"), second.body)
	}
}

// A PATCH with everything that a GET returned, and that can be changed, changes nothing.
func TestPatchWithTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, op := range w.secured() {
		if op.method != http.MethodPatch {
			continue
		}
		t.Run(op.id, func(t *testing.T) {
			w := w.in(t)
			in := w.newTenancy("same.example.com")
			path, _ := op.request(in.e)
			got := w.do("GET", path, nil, anonymous, in.e.cookie).is(200)
			body := map[string]any{}
			for _, field := range slices.Sorted(maps.Keys(op.body.Properties)) {
				if v, ok := got.json[field]; ok && v != nil {
					body[field] = v
				}
			}
			if len(body) == 0 {
				t.Fatalf("GET %s = %s has no field of the PATCH", path, got.body)
			}
			before := w.rowsOf(in.org)
			a := w.do("PATCH", path, body, anonymous, in.e.cookie).is(200)
			if diff := w.rowsOf(in.org).Diff(before); diff != "" ||
				a.header.Get("ETag") != got.header.Get("ETag") || a.body != got.body {
				t.Errorf("%s with %s = %s %s, changed rows:\n%s\nwant no change of %s", op.id,
					fmt.Sprint(body), a.header.Get("ETag"), a.body, diff, got.body)
			}
		})
	}
}
