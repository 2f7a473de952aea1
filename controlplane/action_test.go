package controlplane_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// constants returns the string constants of a file whose names have a prefix, and which are
// declared with a type; "" stands for none.
func constants(t *testing.T, file, prefix, typ string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, prefix) || len(spec.Values) == 0 {
			return true
		}
		declared, _ := spec.Type.(*ast.Ident)
		if declared == nil && typ != "" || declared != nil && declared.Name != typ {
			return true
		}
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
			value, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, value)
		}
		return true
	})
	return values
}

func TestActions(t *testing.T) {
	t.Parallel()
	var listed []string
	for _, a := range controlplane.Actions() {
		listed = append(listed, a.Action)
		if a.Title == "" {
			t.Errorf("Actions(): %s has no title", a.Action)
		}
		if got, ok := controlplane.ActionOf(a.Action); !ok || got != a {
			t.Errorf("ActionOf(%s) = %+v, %v, want %+v", a.Action, got, ok, a)
		}
	}
	if diff := cmp.Diff(constants(t, "action.go", "Action", ""), listed); diff != "" {
		t.Errorf("Actions() differs from the constants (-constants +Actions()):\n%s", diff)
	}
	if _, ok := controlplane.ActionOf("never.happened"); ok {
		t.Error("ActionOf(never.happened) has an entry, want none")
	}
}

// The API description and the webhooks guide name events of the catalog only, and the API
// description has a row for each.
func TestDocumentsNameTheEvents(t *testing.T) {
	t.Parallel()
	types := append(controlplane.EventTypes(), controlplane.EventTest)
	contract := readFile(t, "api/openapi.yaml")
	var rows []string
	for line := range strings.Lines(contract) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "| `"); ok {
			name, _, _ = strings.Cut(name, "`")
			if kind, _, _ := strings.Cut(name, "."); slices.Contains(controlplane.EventKinds(),
				kind) {
				rows = append(rows, name)
			}
		}
	}
	if diff := cmp.Diff(sorted(types), sorted(rows)); diff != "" {
		t.Errorf("the events in api/openapi.yaml differ from EventTypes() (-EventTypes() +openapi.yaml):\n%s", diff)
	}
	guide := readFile(t, "../provider/templates/guides/webhooks.md")
	for word := range strings.FieldsFuncSeq(guide,
		func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz._", r) }) {
		kind, verb, ok := strings.Cut(word, ".")
		if ok && strings.Contains(verb, "_") && slices.Contains(controlplane.EventKinds(), kind) &&
			!slices.Contains(types, word) {
			t.Errorf("guides/webhooks.md names the event %s, which is not in EventTypes()", word)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"domain.certificate_isued":      "; did you mean domain.certificate_issued?",
		"wat":                           ".",
		"":                              ".",
		strings.Repeat("domain.x", 100): ".",
	} {
		if got := controlplane.DidYouMean(text, controlplane.EventTypes()); got != want {
			t.Errorf("DidYouMean(%.30s) = %q, want %q", text, got, want)
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }
