package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// repository returns a new Git repository with the given files.
func repository(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	if out, err := exec.Command("git", "init", "-q", root).CombinedOutput(); err != nil {
		t.Fatalf("git init: %v\n%s", err, out)
	}
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestCheckRepository(t *testing.T) {
	wide := strings.Repeat("wide ", 25)
	tests := map[string]struct {
		path, text string
		want       string // rule and line of the only finding; empty: none
	}{
		"comment": {"a/a.go", "package a\n\n// a has a bug to mend.\nvar a int\n",
			"mend:3"},
		"comment on two lines": {"a/a.go",
			"package a\n\n// a value is\n// no longer used\n// by itself.\nvar a int\n",
			"by-itself:5"},
		"string":           {"a/a.go", "package a\n\nvar a = \"how to mend it\"\n", "mend:3"},
		"identifier":       {"a/a.go", "package a\n\nvar mend = 1\n", ""},
		"code span":        {"a/a.go", "package a\n\n// A calls `mend` first.\nvar A int\n", ""},
		"upper case BEGIN": {"a/a.go", "package a\n\nconst q = \"BEGIN ISOLATION LEVEL\"\n", ""},
		"is no longer":     {"a/a.go", "package a\n\n// A is no longer used.\nvar A int\n", ""},
		"is no word":       {"a/a.go", "package a\n\n// A is no token.\nvar A int\n", "is-no:3"},
		"who has": {"a/a.go", "package a\n\n// Who has the key can read it.\nvar A int\n",
			"who-what:3"},
		"question":     {"docs/design/a.md", "Who is it for? Operators.\n", ""},
		"wide comment": {"a/a.go", "package a\n\n// A " + wide + "\nvar A int\n", "width:3"},
		"wide string":  {"a/a.go", "package a\n\nvar a = \"" + wide + "\"\n", ""},
		"wide code":    {"a/a.go", "package a\n\nvar a = f(" + strings.Repeat("wide, ", 20) + ")\n", "width:3"},
		"generated":    {"a/a_gen.go", "package a\n\n// mend\n", ""},
		"template":     {"dashboard/templates/a.html", "<p>\nHow to mend it</p>\n", "mend:2"},
		"guide": {"provider/templates/guides/a.md", "# A\n\nTo start,\nmend it.\n",
			"mend:4"},
		"generated guide": {"docs/guides/a.md", "Mend it.\n", ""},
		"code block":      {"docs/design/a.md", "```\nmend it\n```\n", ""},
		"wide prose":      {"docs/design/a.md", wide + "\n", "width:1"},
		"wide table":      {"docs/design/a.md", "| " + wide + " |\n", ""},
		"contract":        {"api/openapi.yaml", "info:\n  description: Mend it.\n", "mend:2"},
		"SQL":             {"postgres/migrations/1.sql", "-- It is afresh.\nBEGIN;\n", "anew:1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			findings, err := checkRepository(repository(t, map[string]string{tt.path: tt.text}))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range findings {
				got = append(got, f.rule+":"+strconv.Itoa(f.line))
			}
			if joined := strings.Join(got, " "); joined != tt.want {
				t.Errorf("checkRepository(%s with %q) = %q, want %q", tt.path, tt.text, joined,
					tt.want)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	found := []finding{{path: "a.go", rule: "mend"}, {path: "a.go", rule: "mend"}}
	tests := map[string]struct {
		allowed string
		want    int
	}{
		"as listed":  {"2 mend a.go\n", 0},
		"too many":   {"1 mend a.go\n", 2},
		"not listed": {"", 2},
		"too few":    {"3 mend a.go\n", 1},
		"gone":       {"2 mend a.go\n1 anew b.go\n", 1},
	}
	for name, tt := range tests {
		if got := compare(found, parseAllowed(tt.allowed)); len(got) != tt.want {
			t.Errorf("%s: compare(2 of mend in a.go, %q) = %q, want %d problems", name, tt.allowed,
				got, tt.want)
		}
	}
	if got := compare(found, parseAllowed(allowance(found))); len(got) != 0 {
		t.Errorf("compare(found, allowance(found)) = %q, want no problem", got)
	}
}
