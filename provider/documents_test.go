package provider

import (
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/oasdiff/yaml"

	"github.com/dcvaas/terraform-provider-dcvaas/docs/doctest"
)

// documentBlocks returns the blocks of the documents for users, in order.
func documentBlocks(t *testing.T) map[string][]*doctest.Block {
	t.Helper()
	all := map[string][]*doctest.Block{}
	for _, pattern := range []string{"README.md", "docs/index.md", "docs/guides/*.md"} {
		names, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("Glob(%s) = %v, %v, want documents", pattern, names, err)
		}
		for _, name := range names {
			short := strings.TrimPrefix(filepath.ToSlash(name), "../")
			if all[short], err = doctest.Parse(short, readFile(&acc{T: t}, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

// syntax checks blocks by their language. A language with a nil check is checked elsewhere:
// terraform by TestGuidesAreFormatted.
var syntax = map[string]func(t *testing.T, b *doctest.Block) error{
	"terraform": nil, "text": nil, "http": nil, "caddyfile": nil, "ini": nil, "haproxy": nil,
	"nginx": nil,
	"bash":  func(t *testing.T, b *doctest.Block) error { return checkWith(t, b, "bash", "-n") },
	"shell": func(t *testing.T, b *doctest.Block) error { return checkWith(t, b, "bash", "-n") },
	"sh":    func(t *testing.T, b *doctest.Block) error { return checkWith(t, b, "bash", "-n") },
	"js": func(t *testing.T, b *doctest.Block) error {
		return checkWith(t, b, "node", "--check", "--input-type=module")
	},
	"python": func(t *testing.T, b *doctest.Block) error {
		return checkWith(t, b, "python3", "-c", "import ast, sys; ast.parse(sys.stdin.read())")
	},
	"go": func(_ *testing.T, b *doctest.Block) error {
		_, err := parser.ParseFile(token.NewFileSet(), "main.go", b.Text, parser.AllErrors)
		return err
	},
	"json": func(_ *testing.T, b *doctest.Block) error {
		var v any
		return json.Unmarshal([]byte(b.Text), &v)
	},
	"yaml": func(_ *testing.T, b *doctest.Block) error {
		var v any
		_, err := yaml.Unmarshal([]byte(b.Text), &v, yaml.DecodeOpts{})
		return err
	},
}

// checkWith passes a block to a program that checks its syntax.
func checkWith(t *testing.T, b *doctest.Block, name string, args ...string) error {
	if _, err := exec.LookPath(name); err != nil {
		t.Logf("not checked: %s: %v", b.At(), err)
		return nil
	}
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(b.Text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// Each block of the documents is well-formed, and either runs, is an output, or says why it does
// not run. The test prints the table of documents.
func TestDocumentBlocks(t *testing.T) {
	t.Parallel()
	all := documentBlocks(t)
	marked := 0
	var table strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		run, not, outputs, shown := 0, 0, 0, 0
		of := map[*doctest.Block]bool{}
		for _, b := range all[name] {
			for _, out := range b.Outputs {
				of[out] = true
			}
			switch {
			case b.NotRun != "":
				not++
			case of[b]:
				outputs++
			case b.Language != "" && syntax[b.Language] == nil && b.Language != "terraform":
				shown++ // text, and the configuration of other programs
			case b.Language == "":
				t.Errorf("%s: the block has no language and follows no other block", b.At())
			default:
				run++
			}
			if b.Language == "" {
				continue
			}
			check, known := syntax[b.Language]
			if !known {
				t.Errorf("%s: no check for the language %s", b.At(), b.Language)
			} else if check != nil {
				if err := check(t, b); err != nil {
					t.Errorf("%s: malformed %s: %v", b.At(), b.Language, err)
				}
			}
		}
		marked += not
		fmt.Fprintf(&table, "\n%-36s %2d blocks: %2d run, %2d not run, %2d outputs, %2d text", name,
			len(all[name]), run, not, outputs, shown)
	}
	t.Log(table.String())
	const most = 14
	if marked > most {
		t.Errorf("%d blocks are not run, want at most %d", marked, most)
	}
}
