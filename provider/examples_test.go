package provider

import (
	"bytes"
	"io/fs"
	"iter"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/cmd/program"
)

const examples = "../examples"

// The quickstart gets a valid certificate, has an empty second plan, and leaves nothing after a
// destroy.
func TestExampleQuickstart(t *testing.T) {
	a := newAcc(t)
	tf := a.workspace(a.files(filepath.Join(examples, "quickstart")))
	args := []string{"-input=false", "-var=playground_url=" + a.playground}
	tf.run(append([]string{"apply", "-auto-approve"}, args...)...)

	out := tf.outputs()
	certificate := out["certificate"].(map[string]any)
	if names := certificate["names"].([]any); len(names) != 2 ||
		names[0] != "quickstart.example.com" || names[1] != "*.quickstart.example.com" {
		t.Errorf("the certificate has the names %v", names)
	}
	if err := verifyChain(out["fullchain_pem"].(string), certificate["serial"].(string),
		"quickstart.example.com", "www.quickstart.example.com"); err != nil {
		t.Error(err)
	}
	if out := tf.run(append([]string{"plan"}, args...)...); !strings.Contains(out, "No changes.") {
		t.Errorf("the second plan is not empty:\n%s", out)
	}
	tf.run(append([]string{"destroy", "-auto-approve"}, args...)...)
	if _, err := a.client.Domain(t.Context(), "quickstart.example.com"); !client.IsNotFound(err) {
		t.Errorf("the domain still exists: %v", err)
	}
	resp, err := http.Get(a.playground + "/records")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var records bytes.Buffer
	if _, err := records.ReadFrom(resp.Body); err != nil || strings.Contains(records.String(),
		"quickstart.example.com") {
		t.Errorf("the record still exists: %v, %s", err, records.String())
	}
}

// The team example creates members, a webhook, and a token. Its second plan is empty, and the state
// does not contain the webhook's secret.
func TestExampleTeam(t *testing.T) {
	a := newAcc(t).organization(t)
	tf := a.workspace(a.files(filepath.Join(examples, "team")))
	secret := webhookSecret(1)
	tf.env = append(tf.env, "TF_VAR_webhook_secret="+secret)
	tf.run("apply", "-auto-approve", "-input=false")
	m, err := a.client.Member(t.Context(), "octocat")
	if err != nil || m.Role != client.RoleAdmin {
		t.Errorf("the admin is %+v, %v", m, err)
	}
	token := a.clientWith(tf.outputs()["pipeline_token"].(string))
	if _, err := token.Delegation(t.Context(), "example.com"); err != nil {
		t.Error(err)
	}
	if out := tf.run("plan", "-input=false"); !strings.Contains(out, "No changes.") {
		t.Errorf("the second plan is not empty:\n%s", out)
	}
	if strings.Contains(tf.read("terraform.tfstate"), secret) {
		t.Error("the webhook's secret is in the state")
	}
	tf.run("destroy", "-auto-approve", "-input=false")
	if _, err := a.client.Member(t.Context(), "octocat"); !client.IsNotFound(err) {
		t.Errorf("the admin still exists: %v", err)
	}
}

// Every other example is applied in its own organization, and has an empty second plan.
func TestExamples(t *testing.T) {
	a := newAcc(t)
	var dirs []string
	err := filepath.WalkDir(examples, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && exampleFile.MatchString(filepath.Base(path)) {
			dirs = append(dirs, filepath.Dir(path))
		}
		return err
	})
	if err != nil || len(dirs) < 16 {
		t.Fatalf("found %v, %v", dirs, err)
	}
	// Not in parallel: they share the name example.com, whose record in the playground matches only
	// one organization.
	for _, dir := range dirs {
		t.Run(strings.TrimPrefix(dir, examples+"/"), func(t *testing.T) {
			if strings.Contains(dir, "actions") {
				needTerraform(t, 14)
			}
			b := a.organization(t)
			files := b.files(dir)
			for name := range files {
				// requires an existing object; see TestImportExamples
				if strings.HasPrefix(name, "import-") {
					delete(files, name)
				}
			}
			if _, ok := files["provider.tf"]; ok { // its endpoint is an example, too
				b.workspace(files).run("validate")
				return
			}
			files["versions.tf"] = requiresDCVaaS
			switch {
			case strings.Contains(dir, "data-sources"),
				strings.Contains(dir, "ephemeral-resources"):
				b.added("example.com")
				b.activate("example.com")
			case strings.HasSuffix(dir, "validation"):
				b.delegate("example.com")
			}
			tf := b.workspace(files)
			tf.env = append(tf.env, "TF_VAR_webhook_secret="+webhookSecret(1),
				"TF_VAR_name_server="+plane.dev.Playground.DNSAddr(), "TF_VAR_tsig_name=playground",
				"TF_VAR_tsig_secret="+plane.dev.Env()["DCVAAS_PLAYGROUND_KEY"])
			tf.run("apply", "-auto-approve", "-input=false")
			if invoked := invocation.FindString(files["action.tf"]); invoked != "" {
				b.activate("example.com")
				tf.run("apply", "-auto-approve", "-input=false", invoked)
			}
			if out := tf.run("plan", "-input=false"); !strings.Contains(out, "No changes.") {
				t.Errorf("the second plan is not empty:\n%s", out)
			}
		})
	}
}

// Examples and templates are formatted with terraform fmt.
func TestExamplesAreFormatted(t *testing.T) {
	if out, err := exec.Command(cli(), "fmt", "-check", "-recursive",
		"-diff", examples).CombinedOutput(); err != nil {
		t.Errorf("terraform fmt finds unformatted examples: %v\n%s", err, out)
	}
	// ignored by older Terraform versions
	queries, err := filepath.Glob(filepath.Join(examples, "list-resources", "*", "*.tfquery.hcl"))
	if err != nil || len(queries) == 0 {
		t.Fatalf("found %v, %v", queries, err)
	}
	for _, path := range queries {
		formatted(t, path, readFile(&acc{T: t}, path))
	}
}

// formatted checks that a configuration is formatted and can be parsed.
func formatted(t *testing.T, from, code string) {
	t.Helper()
	cmd := exec.Command(cli(), "fmt", "-check", "-diff", "-")
	cmd.Stdin = strings.NewReader(code)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s is not formatted: %v\n%s", from, err, out)
	}
}

// Each type of the provider has an example, and each example is for a type of the provider.
func TestEveryTypeHasAnExample(t *testing.T) {
	r := newRPC(&acc{T: t, now: time.Now})
	for kind, want := range map[string]iter.Seq[string]{
		"resources":           maps.Keys(r.schemas.ResourceSchemas),
		"data-sources":        maps.Keys(r.schemas.DataSourceSchemas),
		"ephemeral-resources": maps.Keys(r.schemas.EphemeralResourceSchemas),
		"list-resources":      maps.Keys(r.schemas.ListResourceSchemas),
		"actions":             maps.Keys(r.schemas.ActionSchemas),
		"functions":           maps.Keys(r.schemas.Functions),
	} {
		var shown []string
		dirs, err := os.ReadDir(filepath.Join(examples, kind))
		if err != nil {
			t.Error(err)
		}
		for _, dir := range dirs {
			shown = append(shown, dir.Name())
		}
		if want := slices.Sorted(want); !slices.Equal(shown, want) {
			t.Errorf("%s: examples of %v, but there are %v", kind, shown, want)
		}
	}
}

// Configurations in the guides are formatted and can be parsed.
func TestGuidesAreFormatted(t *testing.T) {
	guides, err := filepath.Glob("templates/guides/*.md")
	if err != nil || len(guides) < 8 {
		t.Fatalf("found %v, %v", guides, err)
	}
	block := regexp.MustCompile("(?s)```terraform\n(.*?)```")
	for _, guide := range guides {
		for _, code := range block.FindAllStringSubmatch(readFile(&acc{T: t}, guide), -1) {
			formatted(t, guide, code[1])
		}
	}
}

// The queries of the examples find existing objects.
func TestQueryExamples(t *testing.T) {
	needTerraform(t, 14)
	a := newAcc(t)
	a = a.organization(t)
	a.added("query.example.com")
	labels := client.Labels{"team": "shop"}
	if _, err := a.client.UpdateDomain(t.Context(),
		"query.example.com", client.DomainUpdate{Labels: &labels}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.client.CreateWebhook(t.Context(),
		client.WebhookCreate{Url: webhookURL}); err != nil {
		t.Fatal(err)
	}
	member := a.invited(a.login(), client.RoleMember)
	for kind, want := range map[string]string{"dcvaas_domain": "query.example.com",
		"dcvaas_api_token": "tok_", "dcvaas_webhook": "whk_",
		"dcvaas_organization_member": member.Login} {
		query := readFile(a, filepath.Join(examples, "list-resources", kind,
			"list-resource.tfquery.hcl"))
		tf := a.workspace(map[string]string{"example.tfquery.hcl": query,
			"versions.tf": requiresDCVaaS})
		if out := tf.run("query"); !strings.Contains(out, want) {
			t.Errorf("terraform query of %s prints:\n%s", kind, out)
		}
	}
}

// The import examples are for the resource on whose page they appear, with well-formed IDs. Each
// resource has all three.
func TestImportExamples(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(examples, "resources", "*"))
	if err != nil || len(dirs) != 8 {
		t.Fatalf("found %v, %v", dirs, err)
	}
	forms := map[string]*regexp.Regexp{
		"import.sh": regexp.MustCompile(
			`(?m)^terraform import (dcvaas_\w+)\.\w+ (\S+)$`),
		"import-by-string-id.tf": regexp.MustCompile(
			`(?s)^import \{\s+to = (dcvaas_\w+)\.\w+\s+id = "(\S+)"\s+\}\n$`),
		"import-by-identity.tf": regexp.MustCompile(
			`(?s)^import \{\s+to = (dcvaas_\w+)\.\w+\s+identity = \{\s+id = "(\S+)"\s+\}\s+\}\n$`),
	}
	for _, dir := range dirs {
		for file, form := range forms {
			imports := form.FindAllStringSubmatch(readFile(&acc{T: t}, filepath.Join(dir, file)),
				-1)
			if len(imports) == 0 {
				t.Errorf("%s/%s imports nothing", dir, file)
			}
			for _, c := range imports {
				if c[1] != filepath.Base(dir) {
					t.Errorf("%s/%s imports a %s", dir, file, c[1])
				}
				if !importable[c[1]](c[2]) {
					t.Errorf("%s/%s imports %s", dir, file, c[2])
				}
			}
		}
	}
}

var (
	// importable checks the import ID of each resource.
	importable = map[string]func(string) bool{
		"dcvaas_domain":              isDomainRef,
		"dcvaas_domain_validation":   isDomainRef,
		"dcvaas_delegation":          isDelegationRef,
		"dcvaas_api_token":           tokenID.MatchString,
		"dcvaas_webhook":             webhookID.MatchString,
		"dcvaas_dns_connection":      connectionID.MatchString,
		"dcvaas_acmedns_account":     acmednsID.MatchString,
		"dcvaas_organization_member": func(s string) bool { return rules.CheckLogin(s) == nil },
	}
	// exampleFile is the file that makes a directory an example.
	exampleFile = regexp.MustCompile(
		`^(resource|data-source|ephemeral-resource|function|provider|action)\.tf$`)
	invocation = regexp.MustCompile(`-invoke=\S+`)
)

func isDomainRef(s string) bool {
	_, err := rules.ParseName(s)
	return err == nil || domainID.MatchString(s)
}

func isDelegationRef(s string) bool {
	_, err := rules.ParseName(s)
	return err == nil || delegationID.MatchString(s)
}

// organization returns a test with its own organization. The default plan is agency.
func (a *acc) organization(t *testing.T, plan ...string) *acc {
	t.Helper()
	if plan == nil {
		plan = []string{"--tier=agency", "--domain-limit=2000"}
	}
	admin := func(args ...string) string {
		var out, errs bytes.Buffer
		c := plane.dev.Config
		if code := program.Main("test", append(args, "--database-url="+c.Database, "--secret-key="+
			c.SecretKey), &out, &errs); code != 0 {
			t.Fatalf("dcvaas %v: %s", args, errs.String())
		}
		return strings.TrimSpace(out.String())
	}
	b := *a
	b.T = t
	b.token = admin("admin", "create-token", "--org="+
		admin(append([]string{"admin", "create-org", t.Name()}, plan...)...))
	b.client = b.clientWith(b.token)
	return &b
}
