package api

import (
	"encoding/json"
	"html"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestProblemPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range controlplane.Codes() {
		a := w.do("GET", "/problems/"+c.Code, nil, anonymous).is(200)
		if got, want := a.header.Get("Content-Type"), "text/html; charset=utf-8"; got != want {
			t.Errorf("GET /problems/%s: Content-Type = %q, want %q", c.Code, got, want)
		}
		page := html.UnescapeString(a.body)
		for _, want := range []string{"<code>" + c.Code + "</code>", "<h1>" + c.Title +
			"</h1>", c.Cause, c.Fix} {
			if !strings.Contains(page, want) {
				t.Errorf("GET /problems/%s: the page has no %q", c.Code, want)
			}
		}
	}
	w.do("GET", "/problems/never-heard-of", nil, anonymous).problem(404, "not-found")
}

// The API serves the contract from the source.
func TestContractIsServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Errorf("Validate() of openapi.yaml = %v", err)
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]any
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	got := w.do("GET", "/api/openapi.json", nil, anonymous).is(200).json
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("GET /api/openapi.json differs from openapi.yaml (-want +got):\n%s", diff)
	}
}
