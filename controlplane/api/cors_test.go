package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	corsOrigin  = "Access-Control-Allow-Origin"
	corsExposed = "Access-Control-Expose-Headers"
)

// Pages of other origins can send every request that the contract defines, and read every header of
// its responses.
func TestCORSCoversTheContract(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.CORSOrigins = []string{"*"} })
	page := header("Origin", "https://app.example.com")
	h := w.do("OPTIONS", "/api/domains/example.com", nil, anonymous, page,
		header("Access-Control-Request-Method", "PATCH")).is(http.StatusNoContent).header
	if h.Get(corsOrigin) != "*" || h.Get("Access-Control-Max-Age") == "" ||
		h.Get("DCVaaS-API") != "1" || h.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("the response to a preflight has %v, want any origin, cached", h)
	}
	methods := strings.Split(h.Get("Access-Control-Allow-Methods"), ", ")
	headers := strings.Split(h.Get("Access-Control-Allow-Headers"), ", ")
	exposed := strings.Split(w.do("GET", "/api/domains", nil, page).is(http.StatusOK).header.Get(
		corsExposed), ", ")
	doc, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range w.api.operations {
		if !slices.Contains(methods, op.method) {
			t.Errorf("%s: a preflight allows %v, want %s", op.id, methods, op.method)
		}
		for name := range op.headers {
			if !slices.Contains(headers, name) {
				t.Errorf("%s: a preflight allows the headers %v, want %s", op.id, headers, name)
			}
		}
		for _, response := range doc.Paths.Value(op.path).GetOperation(op.method).Responses.Map() {
			for name := range response.Value.Headers {
				// always readable (Fetch §2.2.2)
				if name != "Cache-Control" && !slices.Contains(exposed, name) {
					t.Errorf("%s: %s is not exposed", op.id, name)
				}
			}
		}
	}
	for _, name := range []string{"Authorization", "Content-Type", "Idempotency-Key", "If-Match",
		"Last-Event-Id"} {
		if !slices.Contains(headers, name) {
			t.Errorf("a preflight allows the headers %v, want %s", headers, name)
		}
	}
}

// Errors can be read like successes: without a token, of an unknown path, after a panic, and
// streams.
func TestCORSOfErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.CORSOrigins = []string{"https://app.example.com"} })
	page, other := header("Origin", "https://app.example.com"),
		header("Origin", "https://other.example.com")
	w.doctor.does(nil)
	for path, options := range map[string][]option{
		"/api/domains":                    {anonymous},
		"/api/nothing":                    {},
		"/api/domains/nowhere.example":    {},
		"/api/domains?limit=x":            {},
		"/api/openapi.json":               {},
		"/problems/not-found":             {},
		"/api/domains?limit=1":            {},
		"/api/domains?cursor=unavailable": {as("dcv_x")},
	} {
		h := w.do("GET", path, nil, append(options, page)...).header
		if h.Get(corsOrigin) != "https://app.example.com" || h.Get(corsExposed) == "" ||
			!strings.Contains(strings.Join(h.Values("Vary"), ","), "Origin") {
			t.Errorf("GET %s from the page has %v, want its origin", path, h)
		}
		h = w.do("GET", path, nil, append(options, other)...).header
		if h.Get(corsOrigin) != "" || !slices.Contains(h.Values("Vary"), "Origin") {
			t.Errorf("GET %s from another page has %v, want no origin", path, h)
		}
	}
	if f := w.follow("", "", page); f.header.Get(corsOrigin) != "https://app.example.com" {
		t.Errorf("a stream has %v, want the page's origin", f.header)
	}
	w.do("OPTIONS", "/api/domains", nil, anonymous, other,
		header("Access-Control-Request-Method", "POST")).problem(http.StatusMethodNotAllowed,
		"method-not-allowed")
	w.do("OPTIONS", "/api/domains", nil, anonymous, page).problem(http.StatusMethodNotAllowed,
		"method-not-allowed")
}

// Session cookies are accepted neither from other origins nor from other sites, also by requests
// that change nothing.
func TestSessionIsNotCrossOrigin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.CORSOrigins = []string{"*"} })
	owner := w.person(w.org, controlplane.RoleOwner)
	for _, method := range []string{"GET", "HEAD", "POST"} {
		for name, o := range map[string]option{
			"another origin": header("Origin", "https://other.example.com"),
			"an opaque one":  header("Origin", "null"),
			"another site":   header("Sec-Fetch-Site", "cross-site"),
			"a sibling":      header("Sec-Fetch-Site", "same-site"),
		} {
			if a := w.do(method, "/api/domains", nil, owner.cookie, o); a.status !=
				http.StatusForbidden || method != "HEAD" && a.json["code"] != "cross-origin" {
				t.Errorf("%s from %s = %d %s, want 403 cross-origin", method, name, a.status, a.body)
			}
		}
	}
	for name, o := range map[string]option{
		"no page":        func(*http.Request) {},
		"its own origin": header("Origin", "https://dcvaas.test"),
		"its own page":   header("Sec-Fetch-Site", "same-origin"),
		"an address bar": header("Sec-Fetch-Site", "none"),
	} {
		if a := w.do("GET", "/api/domains", nil, owner.cookie, o); a.status != http.StatusOK {
			t.Errorf("GET from %s = %d %s, want 200", name, a.status, a.body)
		}
	}
	// a token is accepted from any origin
	w.do("GET", "/api/domains", nil, header("Origin", "https://other.example.com"),
		header("Sec-Fetch-Site", "cross-site")).is(http.StatusOK)
}
