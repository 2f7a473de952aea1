package program

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// TestCAStates tests an operator's hold, a CA that rejects the account, and a CA that has paused a
// name, in the program: each is shared by all processes, is shown, sends orders to the other CA,
// and ends without a restart. A new account at the CA ends the pauses.
func TestCAStates(t *testing.T) {
	t.Parallel()
	var problem atomic.Pointer[string] // the primary CA's response to newOrder
	s := startStack(t, DevConfig{EmbeddedRedis: true,
		WrapCA: func(ca string) func(http.Handler) http.Handler {
			if ca != "primary" {
				return nil
			}
			return func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					text := problem.Load()
					if text == nil || r.URL.Path != "/order-plz" {
						next.ServeHTTP(w, r)
						return
					}
					if strings.Contains(*text, "accountDoesNotExist") {
						problem.Store(nil) // once
					}
					w.Header().Set("Content-Type", "application/problem+json")
					w.WriteHeader(http.StatusForbidden)
					_, _ = io.WriteString(w, *text)
				})
			}
		}})
	ca := func(name string) string {
		t.Helper()
		return query[string](s, `SELECT ca FROM certificates WHERE domain_id = $1`,
			s.waitActive(s.add(name).Id).Id)
	}
	want := func(name, want string) {
		t.Helper()
		if got := ca(name); got != want {
			t.Errorf("CA of %s = %s, want %s", name, got, want)
		}
	}
	list := func(words ...string) {
		t.Helper()
		out := oneLine(s.adminOutput(true, "ca", "list"))
		for _, w := range words {
			if !strings.Contains(out, w) {
				t.Errorf("admin ca list = %s, want %q in it", out, w)
			}
		}
	}
	ready := func(want string) {
		t.Helper()
		var health struct {
			Status string
			Checks map[string]string
		}
		s.get(s.Env()["DCVAAS_ENDPOINT"]+"/readyz?verbose", &health)
		if health.Status != "ok" || health.Checks["acme_accounts"] != want {
			t.Errorf("GET /readyz?verbose = %+v, want ok with acme_accounts %q", health, want)
		}
		s.get(s.Env()["DCVAAS_OPS_URL"]+"/readyz", nil)
	}
	want("before.example.com", "primary")
	ready("ok")
	s.waitMetric(`dcvaas_ca_account_usable{account="default",ca="primary"} 1`)

	if out := s.adminOutput(true, "ca", "hold", "primary", "--reason", "They lose orders.",
		"--until", "4h"); !strings.HasPrefix(out, "primary is on hold until 20") {
		t.Errorf("admin ca hold = %q", out)
	}
	want("held.example.com", "backup")
	list("on hold until 20", "They lose orders.", "by admin:", "backup allowed closed usable")
	s.adminOutput(true, "ca", "release", "primary")
	want("released.example.com", "primary")
	for _, args := range [][]string{{"release", "primary"}, {"hold", "elsewhere"},
		{"hold", "primary", "--until", "yesterday"},
		{"hold", "primary", "--until", "2020-01-01T00:00:00Z"}} {
		s.adminOutput(false, append([]string{"ca"}, args...)...)
	}

	terms := `{"type":"urn:ietf:params:acme:error:userActionRequired","detail":"New terms.","instance":"https://ca.test/terms"}`
	problem.Store(&terms)
	want("terms.example.com", "backup")
	s.waitMetric(`dcvaas_ca_account_usable{account="default",ca="primary"} 0`)
	s.waitMetric(`dcvaas_ca_account_usable{account="default",ca="backup"} 1`)
	ready("unusable at primary")
	list("unusable since 20", "New terms.", "backup allowed closed usable")
	problem.Store(nil)
	s.exec(`UPDATE ca_accounts SET probe_at = now()`)
	want("agreed.example.com", "primary")
	s.waitMetric(`dcvaas_ca_account_usable{account="default",ca="primary"} 1`)
	ready("ok")

	paused := `{"type":"urn:ietf:params:acme:error:rateLimited","status":429,"detail":"Your account is temporarily prevented from requesting certificates for paused.example.com and possibly others. Please visit: https://127.0.0.1/sfe/v1/unpause?jwt=x"}`
	problem.Store(&paused)
	want("paused.example.com", "backup")
	problem.Store(nil)
	want("other.example.com", "primary")
	if n := query[int](s, `SELECT count(*) FROM ca_pauses WHERE ca = 'primary' AND name = 'paused.example.com'
		AND fix LIKE '%https://127.0.0.1/sfe/v1/unpause?jwt=x%'`); n != 1 {
		t.Errorf("paused names = %d, want 1 with the link", n)
	}
	forgotten := `{"type":"urn:ietf:params:acme:error:accountDoesNotExist","detail":"who?"}`
	problem.Store(&forgotten) // the account that replaces it has no paused names
	want("registered.example.com", "primary")
	list("primary allowed closed usable 0")
}
