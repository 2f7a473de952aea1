package controlplane_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestCodes(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range controlplane.Codes() {
		if seen[c.Code] {
			t.Errorf("Codes() has %s twice", c.Code)
		}
		seen[c.Code] = true
		if c.Title == "" || c.Cause == "" || c.Fix == "" || c.In == 0 {
			t.Errorf("Codes(): %s has an empty field: %+v", c.Code, c)
			continue
		}
		if r := []rune(c.Title)[0]; strings.HasSuffix(c.Title, ".") || unicode.IsLower(r) {
			t.Errorf("title of %s = %q, want a noun phrase in sentence case, without a period",
				c.Code, c.Title)
		}
		for _, text := range []string{c.Cause, c.Fix, c.DashboardFix} {
			if text != "" && strings.TrimRight(text, ".32") == text {
				t.Errorf("%s: %q is not a sentence", c.Code, text)
			}
		}
		if got, ok := controlplane.CodeOf(c.Code); !ok || got != c {
			t.Errorf("CodeOf(%s) = %+v, %v, want the entry of Codes", c.Code, got, ok)
		}
	}
	if got, ok := controlplane.CodeOf("never-heard-of"); ok {
		t.Errorf("CodeOf(never-heard-of) = %+v, want no entry", got)
	}
}

func TestIsCause(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		controlplane.CauseCNAMEMissing: true, controlplane.CauseResolverUnreachable: true,
		controlplane.CauseOK: false, controlplane.ReasonDelegationTimeout: false,
		"not-found": false, "": false,
	} {
		if got := controlplane.IsCause(code); got != want {
			t.Errorf("IsCause(%q) = %v, want %v", code, got, want)
		}
	}
}

var (
	codeForm = regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)+$`)
	// reasonInSQL finds the reasons that a statement sets.
	reasonInSQL = regexp.MustCompile(`\breason = '([a-z-]+)'`)
	// codeFields are the fields and variables that hold a code.
	codeFields = map[string]bool{"Code": true, "Reason": true, "StatusReason": true}
	// codeArguments are the functions that take a code, by its place among the arguments.
	codeArguments = map[string]int{
		"Invalid": 1, "bad": 0, "add": 1, "malformed": 0, "httpError": 1,
		"unauthorized": 0, "is": 1,
		"GaveUp": 0, "JobGaveUp": 3, "JobWaits": 4,
	}
)

// sourceCodes returns every code that a source file mentions, as far as its syntax shows, with
// the place of one mention. Constants are resolved by their declaration in the root package.
func sourceCodes(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	set := token.NewFileSet()
	check := func(e ast.Expr) {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return
		}
		if code, err := strconv.Unquote(lit.Value); err == nil && code != "" {
			found[code] = set.Position(e.Pos()).String()
		}
	}
	visit := func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch path {
			case "devstack", "dashboard", "cmd": // error pages and tools with their own codes
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
			strings.HasSuffix(path, "_gen.go") ||
			strings.HasPrefix(path, "code") {
			return nil
		}
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && codeFields[key.Name] {
					check(n.Value)
				}
			case *ast.AssignStmt:
				for i, left := range n.Lhs {
					if f, ok := left.(*ast.SelectorExpr); ok && codeFields[f.Sel.Name] &&
						len(n.Rhs) == len(n.Lhs) {
						check(n.Rhs[i])
					}
				}
			case *ast.CompositeLit:
				if kind, ok := n.Type.(*ast.Ident); ok && kind.Name == "waitReason" &&
					len(n.Elts) > 0 {
					check(n.Elts[0])
				}
			case *ast.CallExpr:
				if at, ok := codeArguments[nameOf(n.Fun)]; ok && at < len(n.Args) {
					check(n.Args[at])
				}
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if i < len(n.Values) && hasCodePrefix(name.Name) {
						check(n.Values[i])
					}
				}
			case *ast.BasicLit:
				for _, m := range reasonInSQL.FindAllStringSubmatch(n.Value, -1) {
					found[m[1]] = set.Position(n.Pos()).String()
				}
			}
			return true
		})
		return nil
	}
	for _, root := range []string{".", "../client/rules"} {
		if err := filepath.WalkDir(root, visit); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func nameOf(f ast.Expr) string {
	switch f := f.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

func hasCodePrefix(name string) bool {
	for _, prefix := range []string{"Cause", "Reason", "Code", "code"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// Every code or reason that the source can set has an entry in the catalog.
func TestEveryCodeHasAnEntry(t *testing.T) {
	t.Parallel()
	found := sourceCodes(t)
	n := 0
	for code, at := range found {
		_, ok := controlplane.CodeOf(code)
		if ok {
			n++
		}
		if !ok && codeForm.MatchString(code) {
			t.Errorf("%s: the code %s has no entry in the catalog (code_*.go)", at, code)
		}
	}
	if n < 100 {
		t.Errorf("the source sets %d codes of the catalog, want at least 100: does the search still find them?", n)
	}
}
