package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// Errors and fields of a problem document become diagnostics at the right path, which end with the
// request ID.
func TestProblemBecomesDiagnostics(t *testing.T) {
	var schema resource.SchemaResponse
	(&domainResource{}).Schema(t.Context(), resource.SchemaRequest{}, &schema)
	var tokenSchema resource.SchemaResponse
	(&apiTokenResource{}).Schema(t.Context(), resource.SchemaRequest{}, &tokenSchema)

	field := func(pointer string) *client.Error {
		return &client.Error{API: true, Status: 422, Code: "invalid", Title: "Invalid", RequestID: "req_1",
			Fields: []client.FieldError{{Pointer: pointer, Detail: "It is wrong"}}}
	}
	for name, c := range map[string]struct {
		problem problem
		err     error
		at      path.Path
		want    []string
	}{
		"a field": {problem{doing: "x", schema: schema.Schema},
			field("/name"), path.Root("name"),
			[]string{"It is wrong.", "Status: 422 invalid", "Request ID: req_1"}},
		"an element of a map": {problem{doing: "x", schema: schema.Schema},
			field("/labels/a~1b~0c"), path.Root("labels").AtMapKey("a/b~c"), nil},
		"an element of a set": {problem{doing: "x", schema: tokenSchema.Schema},
			field("/scopes/0"), path.Root("scopes"), nil},
		"a part of an object": {problem{doing: "x", schema: schema.Schema},
			field("/delegation/target"), path.Root("delegation").AtName("target"), nil},
		"a renamed field": {problem{doing: "x", schema: tokenSchema.Schema,
			rename: map[string]string{"expires_at": "expires_in"}}, field("/expires_at"),
			path.Root("expires_in"), nil},
		"an unknown field": {problem{doing: "x", schema: schema.Schema}, field("/zzz"),
			path.Empty(), []string{"/zzz: It is wrong."}},
		"an unknown field with a place": {problem{doing: "x", schema: schema.Schema,
			at: path.Root("name")}, field("/zzz"), path.Root("name"), []string{"It is wrong."}},
		"no schema": {problem{doing: "x"}, field("/name"), path.Empty(),
			[]string{"/name: It is wrong."}},
		"no fields": {problem{doing: "x"},
			&client.Error{API: true, Status: 500, Title: "Internal Server Error", RequestID: "req_2"},
			path.Empty(), []string{"Internal Server Error.", "Request ID: req_2"}},
		"a fix": {problem{doing: "x"},
			&client.Error{API: true, Status: 403, Code: "scope-missing", Detail: "No.",
				Fix: "Take a token with domains:write", RequestID: "r"}, path.Empty(),
			[]string{"No.\n\nTake a token with domains:write."}},
		"a fix of the list of fields": {problem{doing: "x", schema: schema.Schema},
			&client.Error{API: true, Status: 422, Code: "invalid-fields",
				Fix: "Fix the fields in errors.", Fields: field("/name").Fields,
				RequestID: "r"}, path.Root("name"), []string{"It is wrong.\n\nStatus: 422"}},
		"a conflict": {problem{doing: "x", kind: "dcvaas_domain"},
			&client.Error{API: true, Status: 409, Code: "domain-exists", Detail: "It exists.",
				Fix: "Delete it.", ExistingID: "dom_7"}, path.Empty(),
			[]string{"It exists.\n\nTo manage", "import {", `id = "dom_7"`,
				"to = dcvaas_domain.NAME", "do not import it. Remove create_before_destroy"}},
		"a conflict of a replacement": {problem{doing: "x", kind: "dcvaas_domain",
			replaces: "dom_1"},
			&client.Error{API: true, Status: 409, Code: "domain-exists", Detail: "It exists.",
				Fix: "Delete it.", ExistingID: "dom_7", RequestID: "r"}, path.Empty(),
			[]string{"It exists.\n\nA replacement cannot take over the existing object dom_7.",
				"the object to replace, dom_1, was not changed.\n\nStatus: 409 domain-exists"}},
		"another base": {problem{doing: "x"},
			&client.Error{API: true, Status: 404, Code: "no-such-path", Detail: "There is nothing here."},
			path.Empty(), []string{"without /api"}},
		"401": {problem{doing: "x"},
			&client.Error{API: true, Status: 401, Code: "token-unknown", Detail: "Who?",
				TokenSource: "the file /t"}, path.Empty(),
			[]string{"rejected the provider's token, from the file /t,"}},
		"another organization": {problem{doing: "x"},
			&client.Error{API: true, OrganizationID: "org_2", Status: 404, Code: "not-found",
				Detail: "No.", TokenSource: "the file /t"}, path.Empty(),
			[]string{"acts for the organization org_2, to which its token, from the file /t, belongs"}},
		"not the API": {problem{doing: "x"},
			&client.Error{Status: 404, Detail: "A gateway responded."}, path.Empty(),
			[]string{"A gateway responded.\n\n", "state is unchanged", "DCVAAS_ENDPOINT"}},
		"a guard": {problem{doing: "x"},
			&client.OrganizationError{Want: "org_1", Got: "org_2", Guard: true, Source: "the file /t"},
			path.Empty(), []string{"token from the file /t belongs to the organization org_2, not to org_1.",
				"Nothing was changed. Use a token of org_1"}},
		"429": {problem{doing: "x"},
			&client.Error{API: true, Status: 429, Code: "rate-limited", RetryAt: time.Date(2026, 1, 2, 3, 4, 5,
				0, time.UTC)}, path.Empty(), []string{"2026-01-02T03:04:05Z"}},
		"wrapped": {problem{doing: "x"}, fmt.Errorf("outside: %w", field("")), path.Empty(),
			[]string{"It is wrong."}},
		"interrupted": {problem{doing: "x"}, fmt.Errorf("get: %w", context.Canceled), path.Empty(),
			[]string{"interrupted"}},
		"no answer": {problem{doing: "x"}, errors.New("connection refused"), path.Empty(),
			[]string{"Connection refused."}},
	} {
		t.Run(name, func(t *testing.T) {
			var diags diag.Diagnostics
			c.problem.add(t.Context(), &diags, c.err)
			if len(diags) != 1 || diags[0].Severity() != diag.SeverityError ||
				diags[0].Summary() != "Cannot x" {
				t.Fatalf("add returns %v, want one error", diags)
			}
			at := path.Empty()
			if d, ok := diags[0].(diag.DiagnosticWithPath); ok {
				at = d.Path()
			}
			if at.String() != c.at.String() {
				t.Errorf("the diagnostic is at %q, want %q", at, c.at)
			}
			for _, want := range c.want {
				if !strings.Contains(diags[0].Detail(), want) {
					t.Errorf("the detail does not contain %q:\n%s", want, diags[0].Detail())
				}
			}
			var e *client.Error
			if errors.As(c.err, &e) && e.RequestID != "" &&
				!strings.HasSuffix(diags[0].Detail(), "Request ID: "+e.RequestID) {
				t.Errorf("the request ID is not at the end of:\n%s", diags[0].Detail())
			}
		})
	}

	var diags diag.Diagnostics
	problem{doing: "x", schema: schema.Schema}.add(t.Context(), &diags,
		&client.Error{API: true, Status: 422, Fields: []client.FieldError{{Pointer: "/name", Detail: "a"},
			{Pointer: "/ca", Detail: "b"}}})
	if len(diags) != 2 {
		t.Errorf("two fields become %v, want two diagnostics", diags)
	}
	diags = nil
	problem{doing: "x", schema: schema.Schema}.add(t.Context(), &diags,
		&client.Error{API: true, Status: 422, RequestID: "req_1", FieldsTotal: 60,
			Fields: []client.FieldError{{Pointer: "/name", Detail: "a"}}})
	if want := "59 more fields are invalid.\n\nStatus: 422\nRequest ID: req_1"; len(diags) != 2 ||
		diags[1].Detail() != want {
		t.Errorf("one of 60 fields becomes %v, want a second diagnostic %q", diags, want)
	}
	diags = nil
	if (problem{}).add(t.Context(), &diags, nil); len(diags) != 0 {
		t.Errorf("no error becomes %v, want no diagnostics", diags)
	}
}

func TestSentence(t *testing.T) {
	for in, want := range map[string]string{"": "", "it is": "It is.", "Is it?": "Is it?",
		"éa": "éa.", `"x" is`: `"x" is.`} {
		if got := sentence(in); got != want {
			t.Errorf("sentence(%q) = %q, want %q", in, got, want)
		}
	}
}
