package provider

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/oasdiff/yaml"
)

// goreleaser contains the parts of .goreleaser.yml that the registries require.
type goreleaser struct {
	Version     int
	ProjectName string `json:"project_name"`
	Builds      []struct {
		ID           string `json:"id"`
		Main, Binary string
		Env, Flags   []string
		LDFlags      []string `json:"ldflags"`
		GOOS, GOARCH []string
		Ignore       []struct{ GOOS, GOARCH string }
	}
	Archives []struct {
		IDs          []string `json:"ids"`
		Formats      []string
		NameTemplate string `json:"name_template"`
	}
	Checksum struct {
		Algorithm    string
		NameTemplate string      `json:"name_template"`
		ExtraFiles   []extraFile `json:"extra_files"`
	}
	Signs []struct {
		Artifacts, Cmd string
		Args           []string
	}
	Release struct {
		ExtraFiles []extraFile `json:"extra_files"`
	}
}

type extraFile struct {
	Glob         string
	NameTemplate string `json:"name_template"`
}

// readYAML decodes a file of the repository, and returns its text.
func readYAML(t *testing.T, file string, into any) string {
	t.Helper()
	text := readFile(&acc{T: t}, filepath.Join("..", file))
	if _, err := yaml.Unmarshal([]byte(text), into, yaml.DecodeOpts{}); err != nil {
		t.Fatalf("%s is malformed: %v", file, err)
	}
	return text
}

// A release has the files and names that the registries require.
func TestReleaseIsPublishable(t *testing.T) {
	var r goreleaser
	readYAML(t, ".goreleaser.yml", &r)
	const base = "{{ .ProjectName }}_{{ .Version }}_"
	module, err := exec.Command("go", "list", "-m").Output()
	if err != nil {
		t.Fatal(err)
	}
	if r.Version != 2 || len(r.Builds) != 2 || len(r.Archives) != 2 || len(r.Signs) != 1 {
		t.Fatalf("read %+v", r)
	}
	build := r.Builds[0]
	const (
		program        = "./controlplane/cmd/dcvaas dcvaas"
		programArchive = "dcvaas_{{ .Version }}_{{ .Os }}_{{ .Arch }}" // no name of a provider
	)
	manifest := []extraFile{{"terraform-registry-manifest.json", base + "manifest.json"}}
	for what, c := range map[string]struct{ got, want any }{
		"project":               {r.ProjectName, filepath.Base(strings.TrimSpace(string(module)))},
		"binary":                {build.Binary, "{{ .ProjectName }}_v{{ .Version }}"},
		"main":                  {build.Main, "."},
		"cgo":                   {build.Env, []string{"CGO_ENABLED=0"}},
		"flags":                 {build.Flags, []string{"-trimpath"}},
		"ldflags":               {build.LDFlags, []string{"-s -w -X main.version={{ .Version }}"}},
		"contents of archives":  {r.Archives[0].IDs, []string{build.ID}},
		"archives":              {r.Archives[0].Formats, []string{"zip"}},
		"names of archives":     {r.Archives[0].NameTemplate, base + "{{ .Os }}_{{ .Arch }}"},
		"program":               {r.Builds[1].Main + " " + r.Builds[1].Binary, program},
		"program's archives":    {r.Archives[1].IDs, []string{r.Builds[1].ID}},
		"program's names":       {r.Archives[1].NameTemplate, programArchive},
		"checksums":             {r.Checksum.Algorithm, "sha256"},
		"name of the checksums": {r.Checksum.NameTemplate, base + "SHA256SUMS"},
		"checksum of manifest":  {r.Checksum.ExtraFiles, manifest},
		"manifest":              {r.Release.ExtraFiles, manifest},
		"what is signed": {r.Signs[0].Artifacts + " by " + r.Signs[0].Cmd,
			"checksum by gpg"},
	} {
		got, _ := json.Marshal(c.got)
		want, _ := json.Marshal(c.want)
		if string(got) != string(want) {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	if !slices.Contains(r.Signs[0].Args, "--detach-sign") ||
		slices.Contains(r.Signs[0].Args, "--armor") {
		t.Errorf("the arguments for signing are %v, want a detached binary signature",
			r.Signs[0].Args)
	}
	if !strings.Contains(readFile(&acc{T: t}, "../main.go"), "\nvar version = ") {
		t.Error("main.go has no version variable for the linker")
	}

	out, err := exec.Command("go", "tool", "dist", "list").Output()
	if err != nil {
		t.Fatal(err)
	}
	known := strings.Fields(string(out))
	var targets []string
	for _, system := range build.GOOS {
		for _, processor := range build.GOARCH {
			if slices.ContainsFunc(build.Ignore,
				func(i struct{ GOOS, GOARCH string }) bool {
					return i.GOOS == system &&
						i.GOARCH == processor
				}) {
				continue
			}
			if targets = append(targets, system+"/"+processor); !slices.Contains(known, system+"/"+
				processor) {
				t.Errorf("Go does not build for %s/%s", system, processor)
			}
		}
	}
	for _, must := range []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64",
		"windows/amd64", "freebsd/amd64"} {
		if !slices.Contains(targets, must) {
			t.Errorf("nothing is built for %s", must)
		}
	}

	var m struct {
		Version  int
		Metadata struct {
			Protocols []string `json:"protocol_versions"`
		}
	}
	readYAML(t, "terraform-registry-manifest.json", &m)
	if m.Version != 1 || !slices.Equal(m.Metadata.Protocols, []string{"6.0"}) {
		t.Errorf("the manifest contains %+v, want protocol 6 as in main.go", m)
	}
}

// Each action in the workflows is pinned to one commit, with its version in a comment. GoReleaser
// is pinned to a version. Jobs have read permissions unless they state a reason. Their make targets
// exist.
func TestWorkflowsArePinned(t *testing.T) {
	files, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(files) != 2 {
		t.Fatalf("found %v, %v", files, err)
	}
	uses := regexp.MustCompile(`(?m)^\s*(?:- )?uses:\s*(.*)$`)
	pinned := regexp.MustCompile(`^([\w.-]+/[\w./-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)$`)
	targets := regexp.MustCompile(`run: make ([a-z-]+)`)
	makefile := readFile(&acc{T: t}, "../GNUmakefile")
	pins := map[string]string{}
	for _, file := range files {
		name := strings.TrimPrefix(file, "../")
		var w struct {
			Permissions map[string]string
			Jobs        map[string]any
		}
		text := readYAML(t, name, &w)
		if len(w.Jobs) == 0 || len(w.Permissions) != 1 || w.Permissions["contents"] != "read" {
			t.Errorf("%s: the permissions are %v", name, w.Permissions)
		}
		for _, u := range uses.FindAllStringSubmatch(text, -1) {
			if strings.HasPrefix(u[1], "./.github/workflows/") {
				continue
			}
			m := pinned.FindStringSubmatch(u[1])
			if m == nil {
				t.Errorf("%s: %q is not pinned to a commit with its version in a comment", name,
					u[1])
				continue
			}
			if before := pins[m[1]]; before != "" && before != m[2]+m[3] {
				t.Errorf("%s: %s is pinned to several commits", name, m[1])
			}
			pins[m[1]] = m[2] + m[3]
		}
		for _, m := range targets.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(makefile, "\n"+m[1]+": ") {
				t.Errorf("%s: the target of make %s does not exist", name, m[1])
			}
		}
	}
	release := readFile(&acc{T: t}, "../.github/workflows/release.yml")
	if !regexp.MustCompile(
		`goreleaser-action@.*\n\s+with:\n\s+version: v\d+\.\d+\.\d+( #.*)?\n`).MatchString(
		release) {
		t.Error("release.yml does not pin GoReleaser to an exact version such as v2.8.2")
	}
	if len(pins) < 3 {
		t.Errorf("found only the actions %v", pins)
	}
}

// The release notes come from the changelog, and a release without notes fails.
func TestReleaseNotes(t *testing.T) {
	out, err := exec.Command("../tools/release-notes.sh", "vUnreleased").Output()
	if err != nil || !strings.Contains(string(out), "Terraform provider") ||
		strings.Contains(string(out), "## [") || strings.Contains(string(out), "]: http") {
		t.Errorf("release-notes.sh vUnreleased = %v, want only that section: %s", err, out)
	}
	if out, err := exec.Command("../tools/release-notes.sh",
		"v99.0.0").CombinedOutput(); err == nil || !strings.Contains(string(out), "no section") {
		t.Errorf("release-notes.sh v99.0.0 = %v, want an error: %s", err, out)
	}
}
