// Command failures checks the failure messages of tests: each states the call, what it
// returned, and what was expected. It rejects formats that consist of verbs only, and
// t.Error and t.Fatal with values only, other than one error. `make lint` runs it.
package main

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

func main() {
	count := flag.Bool("counts", false,
		"print the number of failures and of bare ones by directory")
	flag.Parse()
	root := "."
	if flag.NArg() > 0 {
		root = flag.Arg(0)
	}
	bare, all, err := checkTree(root)
	if err != nil {
		fmt.Fprintln(os.Stderr, "failures:", err)
		os.Exit(2)
	}
	if *count {
		byDir := make(map[string]int)
		for _, b := range bare {
			byDir[filepath.Dir(b.Filename)]++
		}
		for dir, n := range byDir {
			fmt.Printf("%5d %s\n", n, dir)
		}
		fmt.Printf("%5d of %d failures\n", len(bare), all)
		return
	}
	for _, b := range bare {
		fmt.Printf("%s:%d: the failure prints only values: state the call, what it returned, and what is expected\n",
			b.Filename, b.Line)
	}
	if len(bare) > 0 {
		os.Exit(1)
	}
}

// checkTree checks every test file below root. It returns where failures print only values,
// and the number of all failures.
func checkTree(root string) (bare []token.Position, all int, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root &&
				(strings.HasPrefix(name, ".") || name == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		found, n := checkFile(set, file)
		bare, all = append(bare, found...), all+n
		return nil
	})
	return bare, all, err
}

func checkFile(set *token.FileSet, file *ast.File) (bare []token.Position, all int) {
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !isTesting(method.X) {
			return true
		}
		var isBare bool
		switch method.Sel.Name {
		case "Errorf", "Fatalf":
			isBare = isBareFormat(call.Args[0])
		case "Error", "Fatal":
			isBare = areBareValues(call.Args)
		default:
			return true
		}
		all++
		if isBare {
			bare = append(bare, set.Position(call.Pos()))
		}
		return true
	})
	return bare, all
}

// isTesting reports whether x is named as tests name their *testing.T, B, F, or TB.
func isTesting(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		switch x.Name {
		case "t", "b", "f", "tb":
			return true
		}
	case *ast.SelectorExpr:
		switch x.Sel.Name {
		case "t", "b", "tb", "T", "TB":
			return true
		}
	}
	return false
}

var verb = regexp.MustCompile(`%[-+# 0]*[\d*]*(\.[\d*]*)?(\[\d+\])?[a-zA-Z%]`)

// isBareFormat reports whether a format holds no word beside its verbs.
func isBareFormat(format ast.Expr) bool {
	lit, ok := format.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return false
	}
	text, err := strconv.Unquote(lit.Value)
	if err != nil {
		return false
	}
	return !strings.ContainsFunc(verb.ReplaceAllString(text, ""), unicode.IsLetter)
}

// areBareValues reports whether no argument is a text, other than one error alone.
func areBareValues(args []ast.Expr) bool {
	if len(args) == 1 && isError(args[0]) {
		return false
	}
	for _, a := range args {
		text := false
		ast.Inspect(a, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			text = text || ok && lit.Kind == token.STRING
			return !text
		})
		if text {
			return false
		}
	}
	return true
}

// isError reports whether x is named like an error, or makes one.
func isError(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return strings.Contains(strings.ToLower(x.Name), "err")
	case *ast.SelectorExpr:
		return strings.Contains(strings.ToLower(x.Sel.Name), "err")
	case *ast.CallExpr:
		return isError(x.Fun)
	}
	return false
}
