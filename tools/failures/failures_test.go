package main

import (
	"go/parser"
	"go/token"
	"testing"
)

func TestCheckFile(t *testing.T) {
	tests := map[string]struct {
		call string
		bare bool
	}{
		"verbs only":      {`t.Errorf("%s: %v", a, b)`, true},
		"flags and width": {`t.Fatalf("%-10.3f %#v", a, b)`, true},
		"words":           {`t.Errorf("f(%s) = %v, want %v", a, b, c)`, false},
		"a value":         {`t.Error(got)`, true},
		"two values":      {`t.Fatal(got, err)`, true},
		"an error":        {`t.Fatal(err)`, false},
		"a made error":    {`t.Fatal(rows.Err())`, false},
		"a text":          {`t.Error("no error", got)`, false},
		"a joined text":   {`t.Error("f: " + got)`, false},
		"a field":         {`s.t.Errorf("%v", got)`, true},
		"not a test":      {`fmt.Errorf("%w", err)`, false},
		"a variable":      {`t.Errorf(format, got)`, false},
	}
	for name, tt := range tests {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, "a_test.go", "package a\n\nfunc f() { "+tt.call+" }\n",
			0)
		if err != nil {
			t.Fatal(err)
		}
		bare, _ := checkFile(set, file)
		if got := len(bare) > 0; got != tt.bare {
			t.Errorf("%s: checkFile(%s) found a bare failure = %v, want %v", name, tt.call, got,
				tt.bare)
		}
	}
}
