package api

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

func TestProblemPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seen := map[string]bool{}
	for _, p := range problemTable() {
		if seen[p.Code] {
			t.Errorf("%s stands twice in the tables", p.Code)
		}
		seen[p.Code] = true
		if p.Title == "" || p.Meaning == "" || p.Fix == "" {
			t.Errorf("%s is not explained", p.Code)
		}
		a := w.do("GET", "/problems/"+p.Code, nil, anonymous).is(200)
		if a.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(a.body, "<code>"+p.Code+"</code>") {
			t.Errorf("%s: %v", p.Code, a.header)
		}
	}
	w.do("GET", "/problems/never-heard-of", nil, anonymous).problem(404, "not-found")
}

// What is served is the contract as it stands in the source.
func TestContractIsServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]any
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	if got := w.do("GET", "/api/openapi.json", nil, anonymous).is(200).json; !reflect.DeepEqual(got, want) {
		t.Error("the document that is served is not openapi.yaml")
	}
}

// makers are the functions that take a code, by where it stands among their arguments.
var makers = map[string]int{"Invalid": 1, "invalidCSR": 0, "bad": 0, "add": 1, "malformed": 0, "httpError": 1, "unauthorized": 0, "is": 1}

var codeForm = regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)+$`)

// Every code that the source mentions has its page, as far as reading the source can tell.
func TestEveryCodeHasAPage(t *testing.T) {
	t.Parallel()
	pages := newProblemPages("")
	found := 0
	check := func(pos token.Position, e ast.Expr) {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return
		}
		code, err := strconv.Unquote(lit.Value)
		if err != nil || !codeForm.MatchString(code) {
			return
		}
		found++
		if pages.page(code).Code == "" {
			t.Errorf("%s: %s has no page", pos, code)
		}
	}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case "devstack", "dashboard", "cmd", "testdata": // pages and tools of their own
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "_gen.go") {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil // it is the compiler's to say so
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && (key.Name == "Code" || key.Name == "StatusReason") {
					check(set.Position(n.Pos()), n.Value)
				}
			case *ast.CallExpr:
				name := ""
				switch f := n.Fun.(type) {
				case *ast.Ident:
					name = f.Name
				case *ast.SelectorExpr:
					name = f.Sel.Name
				}
				if at, ok := makers[name]; ok && at < len(n.Args) {
					check(set.Position(n.Pos()), n.Args[at])
				}
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if i < len(n.Values) && (strings.HasPrefix(name.Name, "Cause") || strings.HasPrefix(name.Name, "code")) {
						check(set.Position(n.Pos()), n.Values[i])
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil || found < 50 {
		t.Fatalf("%d codes found: %v", found, err)
	}
}
