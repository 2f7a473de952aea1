package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// problemOf returns the response to err without a server.
func (w *world) problemOf(err error) *answer {
	w.t.Helper()
	r := httptest.NewRequest("GET", "/api/domains", nil)
	c := &call{requestID: "r-1", op: &operation{id: "test", scope: "domains:read"}}
	r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
	rec := httptest.NewRecorder()
	w.api.problem(&writer{ResponseWriter: rec}, r, err)
	a := &answer{t: w.t, status: rec.Code, header: rec.Header(), body: rec.Body.String()}
	if err := json.Unmarshal(rec.Body.Bytes(), &a.json); err != nil {
		w.t.Fatal(err)
	}
	a.header.Set("Request-Id", c.requestID)
	return a
}

func TestProblems(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	w := newWorld(t, func(c *Config) { c.Now = func() time.Time { return now } })

	t.Run("unknown errors reveal nothing", func(t *testing.T) {
		for _, err := range []error{
			errors.New("pq: password authentication failed for user dcvaas"),
			&controlplane.Error{Kind: controlplane.KindInternal,
				Code: "seal-broken", Message: "keyset 5 is away"},
			fmt.Errorf("wrapped: %w", errors.New("secret")),
		} {
			a := w.problemOf(err).problem(500, "internal")
			if strings.Contains(a.body, "pq") || strings.Contains(a.body, "keyset") ||
				strings.Contains(a.body, "secret") {
				t.Errorf("sent: %s", a.body)
			}
			if log := w.log.String(); !strings.Contains(log, err.Error()) ||
				!strings.Contains(log, `"request_id":"r-1"`) {
				t.Errorf("%v was not logged with its request id", err)
			}
		}
	})
	t.Run("a cause is logged and not sent", func(t *testing.T) {
		a := w.problemOf(fmt.Errorf("wrapped: %w",
			&controlplane.Error{Kind: controlplane.KindUnavailable,
				Code: "database-unavailable", Message: "Away.",
				Err: errors.New("10.1.2.3:5432 refused")})).problem(503, "database-unavailable")
		if strings.Contains(a.body, "10.1.2.3") || !strings.Contains(w.log.String(), "10.1.2.3") ||
			a.header.Get("Retry-After") != "5" {
			t.Errorf("problem = %v %s, want Retry-After 5, and the cause only in the log", a.header,
				a.body)
		}
	})
	t.Run("when to retry", func(t *testing.T) {
		a := w.problemOf(&controlplane.Error{Kind: controlplane.KindRateLimited,
			Code: "ca-rate-limited", Message: "Later.", RetryAt: now.Add(90*time.Second +
				time.Millisecond)}).problem(429, "ca-rate-limited")
		if a.header.Get("Retry-After") != "91" ||
			a.string("retry_at") != "2030-01-01T00:01:30.001Z" {
			t.Errorf("problem = %v %s, want Retry-After 91 and retry_at", a.header, a.body)
		}
		if got := w.problemOf(&controlplane.Error{Kind: controlplane.KindRateLimited,
			Code: "ca-rate-limited", RetryAt: now.Add(-time.Hour)}).header.Get(
			"Retry-After"); got != "1" {
			t.Errorf("Retry-After %s", got)
		}
	})
	t.Run("a CA's problem document is passed through", func(t *testing.T) {
		words := `{"type":"urn:ietf:params:acme:error:caa","status":403,"serial":12345678901234567890}`
		a := w.problemOf(&controlplane.Error{Kind: controlplane.KindConflict,
			Code: "ca-caa", ACME: json.RawMessage(words)}).problem(409, "ca-caa")
		if !strings.Contains(a.body, words) {
			t.Errorf("problem = %s, want acme to be %s", a.body, words)
		}
		w.problemOf(&controlplane.Error{Kind: controlplane.KindConflict,
			Code: "ca-caa", ACME: json.RawMessage("<html>")}).problem(409, "ca-caa")
	})
	t.Run("both hooks", func(t *testing.T) {
		a := w.hook(func(rw http.ResponseWriter, r *http.Request) {
			w.api.requestProblem(rw, r, &InvalidParamFormatError{ParamName: "limit",
				Err: errors.New("secret")})
		}).problem(400, "invalid-parameter")
		if strings.Contains(a.body, "secret") {
			t.Errorf("sent: %s", a.body)
		}
		w.hook(func(rw http.ResponseWriter, r *http.Request) {
			w.api.requestProblem(rw, r, errors.New("can't decode JSON body: secret"))
		}).problem(400, "malformed-json")
	})
	t.Run("too slow", func(t *testing.T) {
		w.problemOf(fmt.Errorf("query: %w", context.DeadlineExceeded)).problem(503, "timeout")
	})
}

func (w *world) hook(f func(http.ResponseWriter, *http.Request)) *answer {
	w.t.Helper()
	r := httptest.NewRequest("GET", "/api/domains", nil)
	r = r.WithContext(context.WithValue(r.Context(), callKey{},
		&call{requestID: "r-2", op: &operation{id: "test"}}))
	rec := httptest.NewRecorder()
	f(&writer{ResponseWriter: rec}, r)
	a := &answer{t: w.t, status: rec.Code, header: rec.Header(), body: rec.Body.String()}
	_ = json.Unmarshal(rec.Body.Bytes(), &a.json)
	a.header.Set("Request-Id", "r-2")
	return a
}

// Without the database, calls return 503 with a retry time, and the process stays alive.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	away, err := postgres.Open(t.Context(),
		postgres.Config{DSN: "postgres://nobody@127.0.0.1:1/none"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(away.Close)
	w := newWorld(t, func(c *Config) {
		c.Store = away
		c.Ready = func(ctx context.Context) map[string]error {
			return map[string]error{"postgres": away.Ping(ctx),
				"redis": errors.New("dial 10.0.0.7"), "zone": nil}
		}
	})
	if a := w.do("GET", "/api/domains", nil).problem(503,
		"database-unavailable"); a.header.Get("Retry-After") == "" ||
		strings.Contains(a.body, "127.0.0.1") {
		t.Errorf("problem = %v %s, want Retry-After and no address", a.header, a.body)
	}
	w.do("GET", "/livez", nil, anonymous).is(200)
	a := w.do("GET", "/readyz?verbose", nil, anonymous).is(503)
	checks := a.json["checks"].(map[string]any)
	if checks["zone"] != "ok" || checks["redis"] != "unavailable" ||
		strings.Contains(a.body, "10.0.0.7") {
		t.Errorf("checks %v", checks)
	}
	if b := w.do("GET", "/readyz", nil, anonymous).is(503); b.json["checks"] != nil {
		t.Errorf("GET /readyz = %s, want no checks without verbose", b.body)
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Ready = nil })
	w.api.lifecycle = nil // the handler of createDomain now panics
	a := w.do("POST", "/api/domains", map[string]any{"name": "a.example.com"},
		header("Request-Id", "boom")).problem(500, "internal")
	if !strings.Contains(w.log.String(), "nil pointer") || strings.Contains(a.body, "nil pointer") {
		t.Errorf("response to a panic = %s, want the panic only in the log", a.body)
	}
}

func TestEveryAnswer(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	w := newWorld(t, func(c *Config) { c.Registerer = reg })
	d := w.newDomain(w.org, "headers.example.com")
	for _, path := range []string{"/api/domains/" + d.ID, "/api/domains", "/nothing", "/livez",
		"/problems/token-missing", "/api/openapi.json"} {
		a := w.do("GET", path, nil)
		if a.header.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.HasPrefix(a.header.Get("Content-Security-Policy"), "default-src 'none'") ||
			a.header.Get("Cache-Control") == "" {
			t.Errorf("GET %s: headers = %v, want the security headers and Cache-Control", path,
				a.header)
		}
		if len(a.header.Get("Request-Id")) < 10 {
			t.Errorf("%s: Request-Id %q", path, a.header.Get("Request-Id"))
		}
		if got := a.header.Get("DCVaaS-API"); got != "1" {
			t.Errorf("GET %s: DCVaaS-API %q, want 1", path, got)
		}
		if h := w.do("HEAD", path, nil).is(a.status); h.body != "" {
			t.Errorf("HEAD %s has a body", path)
		}
	}
	if got := w.do("GET", "/livez", nil,
		header("Request-Id", "mine.1:2_3-4")).header.Get("Request-Id"); got != "mine.1:2_3-4" {
		t.Errorf("Request-Id %q", got)
	}
	for _, bad := range []string{strings.Repeat("a", 129), "a b", `a"b`, "<x>", "ü"} {
		if got := w.do("GET", "/livez", nil,
			header("Request-Id", bad)).header.Get("Request-Id"); got == bad {
			t.Errorf("Request-Id %q was taken", got)
		}
	}

	w.do("GET", "/api/domains?q=secret-search", nil).is(200)
	w.do("FOO", "/api/domains", nil)
	log := w.log.String()
	if strings.Contains(log, "secret-search") || strings.Contains(log, w.token) ||
		!strings.Contains(log, `"route":"/api/domains/{domain}"`) {
		t.Errorf("log: %s", log)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range families {
		text.WriteString(f.String())
	}
	for _, want := range []string{"dcvaas_http_requests_total",
		"dcvaas_http_request_duration_seconds", "/api/domains/{domain}", "other"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(text.String(), d.ID) || strings.Contains(text.String(), "FOO") {
		t.Error("the metrics have an id, or a method that a caller made up")
	}
}
