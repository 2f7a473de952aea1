package dashboard

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Whatever the log records has words of its own, in the timeline and wherever it is shown.
func TestEveryActionHasWords(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Action") {
				return true
			}
			literal, ok := spec.Values[0].(*ast.BasicLit)
			if !ok {
				t.Errorf("%s is no plain string", spec.Names[0].Name)
				return true
			}
			action, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Error(err)
			}
			known[action] = true
			if actionWords[action] == "" {
				t.Errorf("%s has no words", action)
			}
			return true
		})
	}
	for action := range actionWords {
		if !known[action] {
			t.Errorf("%s has words and is recorded by nobody", action)
		}
	}
}
