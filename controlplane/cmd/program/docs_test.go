package program

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const repository = "../../.."

// document is a documentation file.
type document struct {
	name string // path from the root of the repository
	text string
	code []string // contents of code spans and code blocks
}

// selfHosting is the guide that must name every setting.
const selfHosting = "provider/templates/guides/self-hosting.md"

var (
	docVariable = regexp.MustCompile(`DCVAAS_[A-Z0-9_]*[A-Z0-9]`)
	docFence    = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	docSpan     = regexp.MustCompile("`([^`\n]+)`")
	docLink     = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)
	docMake     = regexp.MustCompile(`(?m)(?:^ *|[;&(] *)make ([a-z][a-z-]*)`)
	docCommand  = regexp.MustCompile(
		`(?m)(?:^ *|\$\(|exec )(?:\S*/)?dcvaas ((?:admin )?(?:ca )?[a-z][a-z-]*)`)
	docName    = regexp.MustCompile(`dcvaas_[a-z0-9_]*[a-z0-9]`)
	docChannel = regexp.MustCompile(`pg_notify\('(dcvaas_[a-z]+)'`)
	docFile    = regexp.MustCompile(`^[A-Za-z0-9_./*-]+\.(?:go|sql|sh|yaml|md)$`)
	makeHelp   = regexp.MustCompile(`(?m)^([a-z-]+):.*?## (.*)$`)
)

// documents returns the handwritten documents. Generated pages are derived from them and from the
// code.
func documents(t *testing.T) []document {
	t.Helper()
	var all []document
	for _, pattern := range []string{"*.md", "docs/design/*.md", "provider/templates/guides/*.md"} {
		names, err := filepath.Glob(filepath.Join(repository, pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("Glob(%s) = %d documents, %v, want some", pattern, len(names), err)
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			d := document{text: string(b), code: docFence.FindAllString(string(b), -1)}
			if d.name, err = filepath.Rel(repository, name); err != nil {
				t.Fatal(err)
			}
			for _, m := range docSpan.FindAllStringSubmatch(docFence.ReplaceAllString(d.text, ""),
				-1) {
				d.code = append(d.code, m[1])
			}
			all = append(all, d)
		}
	}
	return all
}

// variablesOf adds the environment variables in a struct's tags to found.
func variablesOf(of reflect.Type, found map[string]bool) {
	for i := range of.NumField() {
		f := of.Field(i)
		if f.Type.Kind() == reflect.Struct {
			variablesOf(f.Type, found)
		}
		if name := f.Tag.Get("env"); name != "" {
			found[name] = true
		}
	}
}

// TestDocumentsNameVariables tests that every variable, metric, and provider type that a document
// names exists, and that the guide names every setting.
func TestDocumentsNameVariables(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	settings := map[string]bool{}
	variablesOf(reflect.TypeFor[Config](), settings)
	// secrets of the reader's CI, in ci.md
	known := map[string]bool{"DCVAAS_PLAN_TOKEN": true, "DCVAAS_APPLY_TOKEN": true}
	for name := range settings {
		known[name], known[name+"_FILE"] = true, true
	}
	for name := range s.Env() { // includes the provider's
		known[name] = true
	}
	for name := range measured(t, s) {
		known[name] = true
		if strings.HasSuffix(name, "_duration_seconds") { // a histogram
			known[name+"_bucket"], known[name+"_sum"], known[name+"_count"] = true, true, true
		}
	}
	addTypesAndChannels(t, known)
	for _, part := range []string{postgres.PartServe, postgres.PartWork, postgres.PartDNS} {
		known["dcvaas_"+part] = true // database roles
	}
	guided := map[string]bool{}
	for _, d := range documents(t) {
		for _, name := range append(docVariable.FindAllString(d.text, -1),
			docName.FindAllString(d.text, -1)...) {
			if !known[name] {
				t.Errorf("%s names %s, which does not exist", d.name, name)
			}
			guided[name] = guided[name] || d.name == selfHosting
		}
	}
	for name := range settings {
		if !guided[name] {
			t.Errorf("%s does not name the setting %s", selfHosting, name)
		}
	}
}

// addTypesAndChannels adds the other names that start with dcvaas_: the provider's types, each of
// which has a page, and the notification channels in Postgres.
func addTypesAndChannels(t *testing.T, known map[string]bool) {
	t.Helper()
	for name := range filesOf(t) {
		if dir, file := path.Split(name); strings.HasPrefix(dir, "docs/") {
			known["dcvaas_"+strings.TrimSuffix(file, ".md")] = true
		}
		if !strings.HasPrefix(name, "controlplane/postgres/migrations/") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(repository, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range docChannel.FindAllStringSubmatch(string(b), -1) {
			known[m[1]] = true
		}
	}
}

// TestDocumentsNameTheTargets tests that every make target that a document names exists, and that
// the README lists the output of `make`.
func TestDocumentsNameTheTargets(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join(repository, "GNUmakefile"))
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]string{}
	for _, m := range makeHelp.FindAllStringSubmatch(string(b), -1) {
		targets[m[1]] = m[2]
	}
	for _, d := range documents(t) {
		for _, code := range d.code {
			for _, m := range docMake.FindAllStringSubmatch(code, -1) {
				if targets[m[1]] == "" {
					t.Errorf("%s names the make target %s, which does not exist: %s", d.name, m[1],
						m[0])
				}
			}
		}
		if d.name != "README.md" {
			continue
		}
		for name, help := range targets {
			if line := regexp.MustCompile(`(?m)^  make ` + name + ` +` + regexp.QuoteMeta(help) +
				`$`); !line.MatchString(d.text) {
				t.Errorf("README.md does not list: make %s  %s", name, help)
			}
		}
	}
}

// TestDocumentsNameTheCommands tests that every dcvaas command that a document names exists.
func TestDocumentsNameTheCommands(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&cli{}, kong.Name("dcvaas"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, leaf := range parser.Model.Leaves(false) {
		known[leaf.FullPath()] = true
	}
	n := 0
	for _, d := range documents(t) {
		for _, code := range d.code {
			for _, m := range docCommand.FindAllStringSubmatch(code, -1) {
				n++
				if !known["dcvaas "+m[1]] {
					t.Errorf("%s names the command dcvaas %s, which does not exist", d.name, m[1])
				}
			}
		}
	}
	if n == 0 {
		t.Error("documents name 0 commands, want some")
	}
}

// TestDocumentsNameTheFiles tests that every file that a document links to or names exists. Names
// may omit leading folders.
func TestDocumentsNameTheFiles(t *testing.T) {
	t.Parallel()
	files := filesOf(t)
	for _, d := range documents(t) {
		for _, m := range docLink.FindAllStringSubmatch(d.text, -1) {
			if strings.Contains(m[1], ":") || strings.HasPrefix(d.name, "provider/") {
				continue // the guides' links are for the Registry
			}
			if _, err := os.Stat(filepath.Join(repository, filepath.Dir(d.name),
				m[1])); err != nil {
				t.Errorf("%s links to %s, which does not exist", d.name, m[1])
			}
		}
		for _, code := range d.code {
			if docFile.MatchString(code) && strings.HasPrefix(d.name, "docs/") &&
				!isFile(files, code) {
				t.Errorf("%s names the file %s, which does not exist", d.name, code)
			}
		}
	}
}

// filesOf returns the paths of the repository's files.
func filesOf(t *testing.T) map[string]bool {
	t.Helper()
	files := map[string]bool{}
	err := fs.WalkDir(os.DirFS(repository), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && name != "." &&
			(strings.HasPrefix(e.Name(), ".") || name == "bin" || name == "dist") {
			return fs.SkipDir
		}
		if err == nil && !e.IsDir() {
			files[name] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// isFile reports whether the last path elements of any file match the pattern.
func isFile(files map[string]bool, pattern string) bool {
	n := strings.Count(pattern, "/") + 1
	for name := range files {
		parts := strings.Split(name, "/")
		if ok, _ := path.Match(pattern, strings.Join(parts[max(len(parts)-n, 0):], "/")); ok {
			return true
		}
	}
	return false
}
