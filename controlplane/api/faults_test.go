package api

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// counted fails the test unless the response lists the errors and counts all.
func (a *answer) counted(total int, want []string) {
	a.t.Helper()
	if a.json["errors_total"] != float64(total) {
		a.t.Errorf("errors_total = %v, want %d", a.json["errors_total"], total)
	}
	if got := a.pointers(); !slices.Equal(got, want) {
		a.t.Errorf("errors %q, want %q", got, want)
	}
}

// numbered returns the first n of a sequence: "/f00 code", "/f01 code" …
func numbered(n int, prefix, code string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%02d %s", prefix, i, code)
	}
	return out
}

// A response lists the first 50 errors and counts all, and repetitions list the same ones.
func TestErrorsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fields := strings.Join(numbered(60, `"f`, `":1`), ",")
	fields = strings.ReplaceAll(fields, ` "`, `"`)
	for range 3 {
		w.do("POST", "/api/domains", `{"name":"a.example.com",`+fields+`}`).problem(400,
			"unknown-field").
			counted(60, numbered(50, "/f", "unknown-field"))
	}
	w.do("GET", "/api/domains?"+strings.ReplaceAll(strings.Join(numbered(60, "p", ""), "&"), " ",
		""), nil).
		problem(400, "unknown-parameter").counted(60, numbered(50, "/p", "unknown-parameter"))
	w.do("POST", "/api/domains", `{"name":5}`).problem(422, "wrong-type").counted(1,
		[]string{"/name wrong-type"})

	t.Run("a field that decides is listed", func(t *testing.T) {
		labels := strings.ReplaceAll(strings.Join(numbered(60, `"l`, `":1`), ","), ` "`, `"`)
		a := w.do("POST", "/api/domains", `{"name":"a.example.com","labels":{`+labels+
			`},"zzz":1}`).problem(400, "unknown-field")
		a.counted(61, append(numbered(49, "/labels/l", "wrong-type"), "/zzz unknown-field"))
	})
	t.Run("a list that is too long is one error", func(t *testing.T) {
		for _, c := range []struct{ path, body, pointer string }{
			{"/api/tokens", `{"name":"x","scopes":[` + list(33, "1") + `]}`, "/scopes"},
			{"/api/tokens", `{"name":"x","scopes":["domains:read"],"domain_ids":[` +
				list(501, "1") + `]}`, "/domain_ids"},
			{"/api/webhooks", `{"url":"https://example.com/","events":[` + list(65, "1") + `]}`,
				"/events"},
			{"/api/domains", `{"name":"a.example.com","labels":{` + list(65, `"%06d":1`) + `}}`,
				"/labels"},
			{"/api/domains/bulk", `{"domains":[` + list(501, `{"x":1}`) + `]}`, "/domains"},
		} {
			w.do("POST", c.path, c.body).problem(422, "too-many").counted(1,
				[]string{c.pointer + " too-many"})
		}
	})
	t.Run("each entry has its own errors", func(t *testing.T) {
		labels := strings.ReplaceAll(strings.Join(numbered(60, `"l`, `":1`), ","), ` "`, `"`)
		keys := strings.ReplaceAll(strings.Join(numbered(30, `"!`, `":""`), ","), ` "`, `"`)
		a := w.do("POST", "/api/domains/bulk", `{"domains":[{"name":"a.example.com","labels":{`+
			labels+`}},{"name":"b.example.com"},{"name":"c.example.com","labels":{`+keys+
			`}}]}`).is(200)
		data := a.json["data"].([]any)
		for i, want := range []struct {
			total  int
			errors []string
		}{
			{60, numbered(10, "/domains/0/labels/l", "wrong-type")},
			{0, nil},
			{30, numbered(10, "/domains/2/labels/!", "label-key-invalid")},
		} {
			one := &answer{t: t, json: data[i].(map[string]any)}
			one.counted(want.total, want.errors)
		}
	})
}

// The response to a query of 55 KB without authentication is not many times as large.
func TestLongQueryWithoutToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	query := strings.ReplaceAll(list(7000, "a%06d"), ",", "&")
	resp, err := http.Get(w.server.URL + "/livez?" + query) //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusBadRequest || len(body) >= len(query) ||
		!strings.Contains(string(body), `"errors_total":7000`) {
		t.Errorf("GET /livez with a query of %d bytes = %d with %d bytes, want 400 with fewer, and errors_total 7000: %.200s", len(query), resp.StatusCode, len(body), body)
	}
}

// A list of errors from an operation is limited, too.
func TestErrorsOfAnOperationAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := &controlplane.Error{Kind: controlplane.KindInvalid,
		Code: "invalid-fields", Message: "Wrong.", Fix: "Correct them."}
	for i := range 64_000 {
		e.Fields = append(e.Fields, controlplane.FieldError{Pointer: fmt.Sprintf("/labels/%06d", i),
			Code: "label-key-invalid", Detail: "Wrong."})
	}
	a := w.problemOf(e).problem(http.StatusUnprocessableEntity, "invalid-fields")
	if got := len(a.pointers()); got != maxErrors || a.json["errors_total"] != 64_000.0 ||
		len(a.body) >= 64<<10 {
		t.Errorf("64,000 errors: %d listed of %v in %d bytes, want %d of 64000 in fewer than %d",
			got, a.json["errors_total"], len(a.body), maxErrors, 64<<10)
	}
}

// A contract with unlimited requests is rejected at startup.
func TestContractBoundsRequests(t *testing.T) {
	t.Parallel()
	text := func() *openapi3.SchemaRef { return openapi3.NewStringSchema().NewRef() }
	no := false
	closed := func(s *openapi3.Schema) *openapi3.Schema {
		s.AdditionalProperties.Has = &no
		return s
	}
	many := uint64(3)
	bounded := openapi3.NewArraySchema().WithItems(text().Value)
	bounded.MaxItems = &many
	free := openapi3.NewObjectSchema().WithAdditionalProperties(text().Value)
	limited := openapi3.NewObjectSchema().WithAdditionalProperties(text().Value)
	limited.MaxProps = &many
	for what, c := range map[string]struct {
		schema *openapi3.Schema
		want   string // in the error; empty: accepted
	}{
		"a list without maxItems": {closed(openapi3.NewObjectSchema().WithProperty("l",
			openapi3.NewArraySchema().WithItems(text().Value))), "/l: a list"},
		"a list": {closed(openapi3.NewObjectSchema().WithProperty("l",
			bounded)), ""},
		"a map without maxProperties": {closed(openapi3.NewObjectSchema().WithProperty("m", free)),
			"/m: a map"},
		"a map": {closed(openapi3.NewObjectSchema().WithProperty("m", limited)),
			""},
		"an object with any field": {openapi3.NewObjectSchema().WithProperty("t", text().Value),
			"additionalProperties: false"},
		"oneOf": {openapi3.NewOneOfSchema(text().Value), "oneOf"},
		"no type": {closed(openapi3.NewObjectSchema().WithProperty("x", &openapi3.Schema{})),
			"/x: missing type"},
	} {
		err := checkBounds(c.schema, "")
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: checkBounds = %v, want %q", what, err, c.want)
		}
	}
}
