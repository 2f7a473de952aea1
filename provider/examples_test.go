package provider

import (
	"bytes"
	"io/fs"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/cmd/program"
)

const examples = "../examples"

// The quickstart comes to a certificate that verifies, plans nothing afterwards, and leaves nothing when it is destroyed.
func TestExampleQuickstart(t *testing.T) {
	a := newAcc(t)
	tf := a.workspace(a.files(filepath.Join(examples, "quickstart")))
	args := []string{"-input=false", "-var=playground_url=" + a.playground}
	tf.run(append([]string{"apply", "-auto-approve"}, args...)...)

	out := tf.outputs()
	certificate := out["certificate"].(map[string]any)
	if names := certificate["names"].([]any); len(names) != 2 || names[0] != "quickstart.example.com" || names[1] != "*.quickstart.example.com" {
		t.Errorf("the certificate is for %v", names)
	}
	if err := verifyChain(out["fullchain_pem"].(string), certificate["serial"].(string), "quickstart.example.com", "www.quickstart.example.com"); err != nil {
		t.Error(err)
	}
	if out := tf.run(append([]string{"plan"}, args...)...); !strings.Contains(out, "No changes.") {
		t.Errorf("the second plan says:\n%s", out)
	}
	tf.run(append([]string{"destroy", "-auto-approve"}, args...)...)
	if _, err := a.client.Domain(t.Context(), "quickstart.example.com"); !client.IsNotFound(err) {
		t.Errorf("the domain is still there: %v", err)
	}
	resp, err := http.Get(a.playground + "/records")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var records bytes.Buffer
	if _, err := records.ReadFrom(resp.Body); err != nil || strings.Contains(records.String(), "quickstart.example.com") {
		t.Errorf("the record is still there: %v, %s", err, records.String())
	}
}

// Every other example is applied in an organization of its own, and plans nothing afterwards.
func TestExamples(t *testing.T) {
	a := newAcc(t)
	var dirs []string
	err := filepath.WalkDir(examples, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) == ".tf" && filepath.Base(filepath.Dir(path)) != "quickstart" {
			dirs = append(dirs, filepath.Dir(path))
		}
		return err
	})
	if err != nil || len(dirs) < 8 {
		t.Fatalf("found %v, %v", dirs, err)
	}
	// One after another: they share the name example.com, whose record in the playground fits one organization at a time.
	for _, dir := range dirs {
		t.Run(strings.TrimPrefix(dir, examples+"/"), func(t *testing.T) {
			b := a.organization(t)
			files := b.files(dir)
			if _, ok := files["provider.tf"]; ok { // its endpoint is an example, too
				b.workspace(files).run("validate")
				return
			}
			files["versions.tf"] = "terraform {\n  required_providers {\n    dcvaas = { source = \"dcvaas/dcvaas\" }\n  }\n}\n"
			switch {
			case strings.Contains(dir, "data-sources"), strings.Contains(dir, "ephemeral-resources"):
				b.added("example.com")
				b.activate("example.com")
			case strings.HasSuffix(dir, "validation"):
				b.delegate("example.com")
			}
			tf := b.workspace(files)
			tf.run("apply", "-auto-approve", "-input=false")
			if out := tf.run("plan", "-input=false"); !strings.Contains(out, "No changes.") {
				t.Errorf("the second plan says:\n%s", out)
			}
		})
	}
}

// Examples and templates are formatted as `terraform fmt` does.
func TestExamplesAreFormatted(t *testing.T) {
	if out, err := exec.Command("terraform", "fmt", "-check", "-recursive", "-diff", examples).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The import examples are commands that Terraform has and ids of the right form.
func TestImportExamples(t *testing.T) {
	scripts, err := filepath.Glob(filepath.Join(examples, "resources", "*", "import.sh"))
	if err != nil || len(scripts) != 3 {
		t.Fatalf("found %v, %v", scripts, err)
	}
	form := regexp.MustCompile(`(?m)^terraform import (dcvaas_\w+)\.\w+ (\S+)$`)
	for _, path := range scripts {
		a := &acc{T: t}
		commands := form.FindAllStringSubmatch(readFile(a, path), -1)
		if len(commands) == 0 {
			t.Errorf("%s has no command", path)
		}
		for _, c := range commands {
			if c[1] != filepath.Base(filepath.Dir(path)) {
				t.Errorf("%s imports a %s", path, c[1])
			}
			if _, err := canonicalName(c[2]); err != nil && !domainID.MatchString(c[2]) && !tokenID.MatchString(c[2]) {
				t.Errorf("%s imports %s", path, c[2])
			}
		}
	}
}

// organization returns a test within an organization of its own.
func (a *acc) organization(t *testing.T) *acc {
	t.Helper()
	admin := func(args ...string) string {
		var out, errs bytes.Buffer
		c := plane.dev.Config
		if code := program.Main("test", append(args, "--database-url="+c.Database, "--secret-key="+c.SecretKey), &out, &errs); code != 0 {
			t.Fatalf("dcvaas %v: %s", args, errs.String())
		}
		return strings.TrimSpace(out.String())
	}
	b := *a
	b.T = t
	b.token = admin("admin", "create-token", "--org="+admin("admin", "create-org", t.Name(), "--tier=agency"))
	b.client = b.clientWith(b.token)
	return &b
}
