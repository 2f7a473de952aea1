package api

import (
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// deprecates gives the API a contract in which the list of domains, its parameter q, and the
// Idempotency-Key of additions are deprecated.
func (w *world) deprecates() {
	w.t.Helper()
	doc, err := GetSpec()
	if err != nil {
		w.t.Fatal(err)
	}
	domains := doc.Paths.Value("/api/domains")
	domains.Get.Deprecated = true
	domains.Get.Extensions["x-deprecated-at"], domains.Get.Extensions["x-sunset"] = "2026-06-01T00:00:00Z", "2027-06-01T00:00:00Z"
	for _, p := range []*openapi3.Parameter{domains.Get.Parameters.GetByInAndName("query", "q"),
		domains.Post.Parameters.GetByInAndName("header", headerIdempotencyKey)} {
		p.Deprecated = true
		p.Extensions = map[string]any{"x-deprecated-at": "2026-01-01T00:00:00Z"}
	}
	table, err := readOperations(doc)
	if err != nil {
		w.t.Fatal(err)
	}
	for route, op := range w.api.operations {
		w.api.operations[route] = table[op.method+" "+op.path]
	}
}

func TestDeprecation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const june, january, sunset = "@1780272000", "@1767225600", "Tue, 01 Jun 2027 00:00:00 GMT"
	w.deprecates()
	body := map[string]any{"name": "a.example.com"}
	for _, c := range []struct {
		what, method, path  string
		body                any
		options             []option
		status              int
		deprecation, sunset string
	}{
		{"the operation", "GET", "/api/domains", nil, nil, 200, june, sunset},
		{"the operation and a parameter", "GET", "/api/domains?q=x", nil, nil, 200, january,
			sunset},
		{"rejected call", "GET", "/api/domains", nil, []option{anonymous}, 401, june, sunset},
		{"a header", "POST", "/api/domains", body, []option{key("k")}, 201, january, ""},
		{"a header, replayed", "POST", "/api/domains", body, []option{key("k")}, 201, january, ""},
		{"without it", "POST", "/api/domains", map[string]any{"name": "b.example.com"}, nil, 201,
			"", ""},
		{"another operation", "GET", "/api/jobs", nil, nil, 200, "", ""},
	} {
		h := w.do(c.method, c.path, c.body, c.options...).is(c.status).header
		if h.Get("Deprecation") != c.deprecation || h.Get("Sunset") != c.sunset ||
			(h.Get("Link") == `<https://dcvaas.test/api/reference>; rel="deprecation"; type="text/html"`) != (c.deprecation != "") {
			t.Errorf("%s: Deprecation %q, Sunset %q, Link %q", c.what, h.Get("Deprecation"),
				h.Get("Sunset"), h.Get("Link"))
		}
	}
}

// A deprecated part has the time of its deprecation, and its sunset is later.
func TestDeprecationIsComplete(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		extensions map[string]any
		says       string
	}{
		"nothing":      {nil, "x-deprecated-at"},
		"invalid time": {map[string]any{"x-deprecated-at": "soon"}, "x-deprecated-at"},
		"invalid sunset": {map[string]any{"x-deprecated-at": "2026-01-01T00:00:00Z",
			"x-sunset": "later"}, "x-sunset"},
		"sunset before deprecation": {map[string]any{"x-deprecated-at": "2026-01-01T00:00:00Z",
			"x-sunset": "2025-01-01T00:00:00Z"}, "before"},
	} {
		if _, err := readDeprecation(true, c.extensions); err == nil ||
			!strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: readDeprecation = %v, want an error about %q", what, err, c.says)
		}
	}
	if d, err := readDeprecation(false, nil); d != nil || err != nil {
		t.Errorf("not marked: %v, %v", d, err)
	}
}
