package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// Every operation, with a token of the organization that may only read, with one that has
// expired and with one that was revoked: what they may not do is not done.
func TestCallersThatMayNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.newEstate(w.org, "callers.example.com")
	reads := slices.DeleteFunc(controlplane.Scopes(), func(s controlplane.Scope) bool { return !strings.HasSuffix(string(s), ":read") })
	readOnly := as(w.newToken(w.org, lifecycle.NewToken{Scopes: reads}))
	later := time.Now().Add(time.Hour)
	expired := w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes(), ExpiresAt: &later})
	revoked := w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes()})
	w.exec(`UPDATE api_tokens SET expires_at = now() - interval '1 second' WHERE token_hash = $1`, controlplane.HashSecret(expired))
	w.exec(`DELETE FROM api_tokens WHERE token_hash = $1`, controlplane.HashSecret(revoked))
	w.exec(`UPDATE api_tokens SET last_used_at = now() + interval '1 day' WHERE org_id = $1`, w.org) // its use is not recorded meanwhile
	before := w.rows(w.org)
	refused := 0
	for _, op := range w.secured() {
		path, body := op.request(e)
		w.do(op.method, path, body, as(expired)).problem(http.StatusUnauthorized, "token-expired")
		w.do(op.method, path, body, as(revoked)).problem(http.StatusUnauthorized, "token-invalid")
		if op.session {
			w.do(op.method, path, body, readOnly).problem(http.StatusForbidden, "session-required")
			continue
		}
		if slices.Contains(reads, op.scope) {
			w.do(op.method, path, body, readOnly).is(http.StatusOK)
			continue
		}
		refused++
		w.do(op.method, path, body, readOnly).problem(http.StatusForbidden, "scope-missing")
	}
	if refused < 25 {
		t.Errorf("only %d operations write", refused)
	}
	if w.rows(w.org) != before {
		t.Error("a row was touched")
	}
}
