package provider

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/docs/doctest"
)

// allDocuments runs the blocks of every document. Otherwise, only those of the quick documents run,
// and the configurations of the others are validated.
var allDocuments = flag.Bool("documents.full", false, "run the blocks of every document")

// quickDocuments run with every `go test`.
var quickDocuments = []string{"docs/guides/migrating-from-acme.md"}

// docRun runs the blocks of one document in a sandbox, as a reader would.
type docRun struct {
	*workspace
	stubs *stubs
	files map[string]string
	// providers of the reader's module: they remain when other files are removed
	required map[string]string
	values   *strings.Replacer
	n        int // blocks that were run
}

// The blocks of the documents work when they are followed in order: configurations apply with stubs
// of the other providers, the next plan is empty, and commands succeed and print what the document
// shows.
func TestDocumentsRun(t *testing.T) {
	all := documentBlocks(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		full := *allDocuments || slices.Contains(quickDocuments, name)
		t.Run(name, func(t *testing.T) {
			d := newDocRun(t, name)
			for _, b := range all[name] {
				if b.NotRun != "" {
					continue
				}
				switch b.Language {
				case "terraform":
					d.terraform(b, full)
				case "bash":
					d.write("path/"+b.Option("install"), d.values.Replace(b.Text), 0o755)
				case "shell", "sh":
					// The control plane's tests run those of self-hosting. A configuration needs
					// the file that a quick one creates.
					if (full || b.Has("quick")) && name != "docs/guides/self-hosting.md" {
						d.shell(b)
					}
				case "go", "js", "python":
					if full {
						d.receiver(b)
					}
				}
			}
			d.end(full)
			t.Logf("%s: %d blocks run", name, d.n)
		})
	}
}

// newDocRun returns a sandbox: an organization, its tokens in files, and a checkout with what the
// documents use.
func newDocRun(t *testing.T, name string) *docRun {
	t.Helper()
	a := newAcc(t).organization(t)
	d := &docRun{workspace: a.workspace(nil), stubs: startStubs(t, a.playground),
		files: map[string]string{}, required: map[string]string{}}
	// Documents share names, and run in parallel.
	domain := notInNames.ReplaceAllString(strings.ToLower(name), "-") + ".doctest.example"
	d.env = append(d.env, "TF_REATTACH_PROVIDERS="+d.stubs.reattach, "TF_CLI_ARGS=-no-color",
		"TF_CLI_ARGS_apply=-auto-approve", "TF_CLI_ARGS_destroy=-auto-approve", "TF_INPUT=0",
		"TF_VAR_cloudflare_zone_id=zone", `TF_VAR_zones={"`+domain+`"="Z1","shop.`+domain+`"="Z2"}`,
		"TF_VAR_webhook_secret="+webhookSecret(1), "TF_VAR_domain=quickstart."+domain, "PATH="+d.dir+"/path:"+os.Getenv("PATH"),
		"HOME="+d.dir)
	for name, text := range map[string]string{"path/aws": stubAWS,
		"install-certificate.sh": "#!/bin/sh\ntest -n \"$CERTIFICATE\" && test -n \"$KEY\"\n"} {
		d.write(name, text, 0o755)
	}
	d.checkout()
	// DNS connections create records in its zone.
	a.setRecord(domain, "NS", "ns1.playground.test.")
	d.env = append(d.env, "TF_VAR_tsig_name=playground",
		"TF_VAR_name_server="+plane.dev.Playground.DNSAddr(),
		"TF_VAR_tsig_secret="+plane.dev.Env()["DCVAAS_PLAYGROUND_KEY"])
	other := a.organization(t)
	ours, err := a.client.Organization(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := other.client.Organization(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for file, token := range map[string]string{"dcvaas-token": a.token, "dcvaas-shop": a.token,
		"dcvaas-blog": other.token} {
		d.write("run/secrets/"+file, token, 0o600)
	}
	d.values = strings.NewReplacer("/run/secrets/", d.dir+"/run/secrets/",
		"/etc/", d.dir+"/etc/", "https://dcvaas.example.net", a.endpoint,
		"https://dcvaas.example.com", a.endpoint, "org_01k9z5w7r8e4bs6v0q1d2m3n4p", ours.Id,
		"org_01k9z5xfm3f7d9t2v8w4y6a1bc", theirs.Id,
		"example.com", domain)
	return d
}

// checkout puts what the documents use into the sandbox: the state of the development stack, the
// programs, and the examples.
func (d *docRun) checkout() {
	d.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Join(d.dir, "etc", "ssl", "private"), 0o700), os.Mkdir(filepath.Join(d.dir, ".dcvaas"), 0o700), os.Symlink(built.dir, filepath.Join(d.dir, "bin")),
		os.CopyFS(filepath.Join(d.dir, "examples"), os.DirFS(examples))); err != nil {
		d.Fatal(err)
	}
	dev := readFile(d.acc, filepath.Join(plane.dir, "dcvaas", "dev.env"))
	d.write(".dcvaas/dev.env", strings.ReplaceAll(dev, plane.dev.Token, d.token), 0o600)
}

func (d *docRun) write(name, text string, mode os.FileMode) {
	d.Helper()
	path := filepath.Join(d.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text),
		mode)); err != nil {
		d.Fatal(err)
	}
}

// terraform adds a block to the configuration and applies it. The next plan must be empty.
func (d *docRun) terraform(b *doctest.Block, full bool) {
	d.Helper()
	d.n++
	if b.Has("new") {
		kept := d.files[b.Option("keep")]
		d.end(full)
		d.files = map[string]string{}
		if kept != "" {
			d.files[b.Option("keep")] = kept
		}
	}
	given := "given.tf"
	if name := b.Option("given"); name != "" {
		given = name
	}
	if b.Given != "" {
		d.files[given] = b.Given
	}
	if b.Option("before") == "given" {
		d.apply(b.At()+" (before)", full)
		providers, _, _ := strings.Cut(b.Given, "\n}\n")
		d.files[given] = providers + "\n}\n"
	}
	text := b.Text
	if b.Option("import") == "token" {
		text = d.importing(text)
	}
	if name := d.values.Replace(b.Option("issued")); name != "" && full {
		d.added(name)
		d.activate(name)
	}
	if name := d.values.Replace(b.Option("delegate")); name != "" && full {
		d.delegate(name)
	}
	name := fmt.Sprintf("line%d.tf", b.Line)
	if file := b.Option("file"); file != "" {
		name = file
	}
	d.files[name] = text
	d.stubs.taken()
	d.apply(b.At(), full)
	if b.Has("plan-token") && full {
		d.planWith(b)
	}
	if address := b.Option("passes"); address != "" && full {
		d.passes(b, address)
	}
	if address := b.Option("again"); address != "" && full {
		if out, err := d.cli("apply", "-replace="+address); err != nil {
			d.Errorf("%s: terraform apply -replace=%s: %v\n%s", b.At(), address, err, out)
		}
	}
	if gone := d.stubs.taken(); b.Has("none-destroyed") && len(gone) > 0 {
		d.Errorf("%s destroys %v, want nothing", b.At(), gone)
	}
}

var quoted = regexp.MustCompile(`"([^"]+)"`)

// planWith plans the configuration with a token that has only the scopes of the token in the block.
func (d *docRun) planWith(b *doctest.Block) {
	d.Helper()
	_, list, _ := strings.Cut(b.Text, "scopes")
	list, _, _ = strings.Cut(list, "]")
	in := client.TokenCreate{Name: "plan"}
	for _, m := range quoted.FindAllStringSubmatch(list, -1) {
		in.Scopes = append(in.Scopes, client.Scope(m[1]))
	}
	token, err := d.client.CreateToken(d.Context(), in)
	if err != nil {
		d.Fatal(err)
	}
	cmd := exec.Command(cli(), "plan", "-detailed-exitcode")
	cmd.Dir, cmd.Env = d.dir, append(d.env, envAPIToken+"="+token.Token)
	if out, err := cmd.CombinedOutput(); err != nil {
		d.Errorf("%s: terraform plan with the scopes %v: %v\n%s", b.At(), in.Scopes, err, out)
	}
}

// importing returns a configuration that imports a token of this organization.
func (d *docRun) importing(text string) string {
	d.Helper()
	token, err := d.client.CreateToken(d.Context(), client.TokenCreate{Name: "web server",
		Scopes: []client.Scope{client.ScopeDomainsRead, client.ScopeCertificatesRead}})
	if err != nil {
		d.Fatal(err)
	}
	return strings.ReplaceAll(text, "tok_01k9z5w7r8e4bs6v0q1d2m3n4p", token.Id)
}

var (
	requiredProviders = regexp.MustCompile(`(?m)^terraform \{\n  required_providers \{\n(?:    .*\n)*  \}\n\}\n`)
	requiredProvider  = regexp.MustCompile(`(?m)^ +(\w+) *= \{[^}]*\}`)
)

// writeFiles writes the configuration. A configuration has one list of required providers, so those
// of all blocks are merged, as a reader would.
func (d *docRun) writeFiles() {
	d.Helper()
	old, err := filepath.Glob(filepath.Join(d.dir, "*.tf"))
	if err != nil {
		d.Fatal(err)
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			d.Fatal(err)
		}
	}
	for name, text := range d.files {
		for _, block := range requiredProviders.FindAllString(text, -1) {
			for _, m := range requiredProvider.FindAllStringSubmatch(block, -1) {
				d.required[m[1]] = m[0]
			}
		}
		d.write(name, d.values.Replace(requiredProviders.ReplaceAllString(text, "")), 0o600)
	}
	d.write("versions.tf", "terraform {\n  required_providers {\n"+
		strings.Join(slices.Collect(maps.Values(d.required)), "\n")+"\n  }\n}\n", 0o600)
}

// apply applies the files. The next plan must be empty.
func (d *docRun) apply(at string, full bool) {
	d.Helper()
	if !full {
		return // see end
	}
	d.writeFiles()
	for _, args := range [][]string{{"apply"}, {"plan", "-detailed-exitcode"}} {
		if out, err := d.cli(args...); err != nil {
			d.Fatalf("%s: terraform %s: %v\n%s", at, strings.Join(args, " "), err, out)
		}
	}
}

// end destroys what was applied, or validates what was not.
func (d *docRun) end(full bool) {
	d.Helper()
	if len(d.files) == 0 {
		return
	}
	command := "destroy"
	if !full {
		d.writeFiles()
		command = "validate"
	}
	if out, err := d.cli(command); err != nil {
		d.Errorf("terraform %s: %v\n%s", command, err, out)
	}
	d.files = map[string]string{}
}

// cli runs a command of Terraform.
func (d *docRun) cli(args ...string) (string, error) {
	cmd := exec.Command(cli(), args...)
	cmd.Dir, cmd.Env = d.dir, d.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}
